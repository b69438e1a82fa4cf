//! The time in `x-amz-date`: `20150830T123600Z`, ISO 8601 without punctuation, in seconds and UTC.

use keytrail_event::Timestamp;

/// A signing time, in the spelling that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigningTime {
    text: String,
    time: Timestamp,
}

impl SigningTime {
    /// Accepts exactly `YYYYMMDDTHHMMSSZ`, a date and time that exist.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 || !text.is_ascii() {
            return None;
        }
        let (date, time) = text.split_at(8);
        let time = time.strip_prefix('T')?;
        let punctuated = format!(
            "{}-{}-{}T{}:{}:{}",
            &date[..4],
            &date[4..6],
            &date[6..],
            &time[..2],
            &time[2..4],
            &time[4..] // with the `Z`
        );
        let time = Timestamp::parse_event_time(&punctuated).ok()?;
        Some(Self { text: text.to_owned(), time })
    }

    /// `20150830T123600Z`.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// `20150830`, as the credential scope has it.
    pub(super) fn date(&self) -> &str {
        &self.text[..8]
    }

    pub(super) fn time(&self) -> Timestamp {
        self.time
    }
}

/// `20150830T123600Z` for any time.
pub(super) fn format(time: Timestamp) -> String {
    time.event_time().chars().filter(|letter| !"-:".contains(*letter)).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn times_parse_and_format_back() {
        for text in ["20150830T123600Z", "19700101T000000Z", "20240229T235959Z"] {
            let signed = SigningTime::parse(text).unwrap();
            assert_eq!((signed.as_str(), signed.date()), (text, &text[..8]));
            assert_eq!(format(signed.time()), text);
        }
        assert_eq!(SigningTime::parse("19700101T000001Z").unwrap().time().unix_seconds(), 1);
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600z",
            "20150830t123600Z",
            "20150830 123600Z",
            "20150830T1236000Z",
            "20150229T123600Z",
            "20151330T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "2015-08-30T12:36:00Z",
            "+0150830T123600Z",
            "20150830T12360\u{e9}",
            "Sun, 30 Aug 2015",
        ] {
            assert_eq!(SigningTime::parse(text), None, "{text:?}");
        }
    }
}
