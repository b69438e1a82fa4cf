//! Points in time, and the three ways AWS writes them.
//!
//! A [`Timestamp`] holds nanoseconds since 1970 in UTC. There is no clock here: `now` is always
//! given by the caller. Records carry whole seconds (`eventTime`), API timestamps inside
//! `requestParameters` and `responseElements` are locale text without a zone, and the lake stores
//! microseconds.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::ParseError;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, up to the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `nanos` nanoseconds after 1970.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `seconds` seconds after 1970; saturates at the last representable nanosecond, in
    /// 2554.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since 1970.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Microseconds since 1970, rounded down: the unit of the lake.
    pub const fn unix_micros(self) -> i64 {
        (self.0 / 1_000).cast_signed() // at most 2⁶⁴ / 1000, far below 2⁶³
    }

    /// Whole seconds since 1970, rounded down: the unit of `eventTime`.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Reads `eventTime`: exactly `YYYY-MM-DDTHH:MM:SSZ`, a date that exists, not before 1970.
    ///
    /// # Errors
    /// [`ParseError::EventTime`] for any other text.
    pub fn parse_event_time(text: &str) -> Result<Self, ParseError> {
        let seconds = event_seconds(text).ok_or(ParseError::EventTime)?;
        let seconds = u64::try_from(seconds).map_err(|_| ParseError::EventTime)?;
        let nanos = seconds.checked_mul(NANOS_PER_SECOND).ok_or(ParseError::EventTime)?;
        Ok(Self(nanos))
    }

    /// `2026-01-02T03:04:05Z`, the form of `eventTime`; fractions of a second are cut off.
    pub fn event_time(self) -> String {
        let mut text = String::with_capacity(EVENT_TIME_LENGTH);
        // Never `None`: a Timestamp lies between 1970 and 2554.
        let _ = push_event_time(&mut text, self.unix_seconds().cast_signed());
        text
    }

    /// `May 21, 2025, 5:47:45 AM`: how CloudTrail writes API timestamps (`deletionDate`, `validTo`,
    /// `creationDate` of a key) inside `requestParameters` and `responseElements`. UTC, short
    /// month, 12-hour clock, no zone.
    pub fn locale(self) -> String {
        self.civil().strftime("%b %-d, %Y, %-I:%M:%S %p").to_string()
    }

    fn civil(self) -> DateTime {
        civil_of_seconds(self.unix_seconds().cast_signed()).unwrap_or_default() // 2554 < 9999
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_time())
    }
}

/// Bytes of `YYYY-MM-DDTHH:MM:SSZ`.
const EVENT_TIME_LENGTH: usize = 20;

/// Seconds since 1970 of exactly `YYYY-MM-DDTHH:MM:SSZ`, years 0000 to 9999, or `None`.
///
/// Taken apart by hand because it stands in the ingest loop, where a general parser costs several
/// times as much. No leap second: UTC has had none in CloudTrail's life, and `:60` would not
/// survive the way back.
pub(crate) fn event_seconds(text: &str) -> Option<i64> {
    let bytes: &[u8; EVENT_TIME_LENGTH] = text.as_bytes().try_into().ok()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *bytes
    else {
        return None;
    };
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let civil = DateTime::new(year, two(m1, m2)?, two(d1, d2)?, hour, minute, second, 0).ok()?;
    Offset::UTC.to_timestamp(civil).ok().map(jiff::Timestamp::as_second)
}

/// Microseconds since 1970 of `YYYY-MM-DDTHH:MM:SS`, an optional fraction of 1 to 9 digits, and `Z`
/// or `+HH:MM`: the RFC 3339 times that other programs write. Digits beyond microseconds are cut
/// off.
///
/// Spelled out, not left to a library's idea of a date: a cell must be the same whoever splits the
/// record again, years later.
pub(crate) fn loose_micros(text: &str) -> Option<i64> {
    let (civil, tail) = text.split_at_checked(EVENT_TIME_LENGTH - 1)?;
    let seconds = event_seconds(&format!("{civil}Z"))?;
    let (fraction, zone) = match tail.strip_prefix('.') {
        Some(tail) => tail.split_at_checked(tail.find(|c: char| !c.is_ascii_digit())?)?,
        None => ("0", tail),
    };
    if !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let east = match *zone.as_bytes() {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (i64::from(two(h1, h2)?), i64::from(two(m1, m2)?));
            let east = hours * 3600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if sign == b'-' { -east } else { east })?
        }
        _ => return None,
    };
    Some((seconds - east) * 1_000_000 + micros)
}

/// Appends `YYYY-MM-DDTHH:MM:SSZ`; `None`, and nothing appended, outside the years 0000 to 9999.
pub(crate) fn push_event_time(out: &mut String, seconds: i64) -> Option<()> {
    let civil = civil_of_seconds(seconds).filter(|civil| civil.year() >= 0)?;
    let year = civil.year().unsigned_abs();
    push_two(out, year / 100);
    push_two(out, year % 100);
    for (mark, field) in [
        ('-', civil.month()),
        ('-', civil.day()),
        ('T', civil.hour()),
        (':', civil.minute()),
        (':', civil.second()),
    ] {
        out.push(mark);
        push_two(out, field.unsigned_abs().into());
    }
    out.push('Z');
    Some(())
}

/// Two decimal digits of a number below 100.
fn push_two(out: &mut String, value: u16) {
    out.extend(char::from_digit(u32::from(value / 10), 10));
    out.extend(char::from_digit(u32::from(value % 10), 10));
}

fn civil_of_seconds(seconds: i64) -> Option<DateTime> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| Offset::UTC.to_datetime(time))
}

fn two(tens: u8, ones: u8) -> Option<i8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| ((tens - b'0') * 10 + (ones - b'0')).cast_signed())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn event_times_go_both_ways() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-02T03:04:05Z", 1_767_323_045),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("2554-07-21T23:34:33Z", 18_446_744_073),
        ] {
            let time = Timestamp::parse_event_time(text).unwrap();
            assert_eq!(time, Timestamp::from_unix_seconds(seconds));
            assert_eq!((time.event_time(), time.to_string()), (text.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn only_one_form_of_a_time_is_an_event_time() {
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.0Z",
            "2026-01-01T00:00:00z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "+026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2554-07-21T23:34:34Z",
            "",
        ] {
            assert_eq!(Timestamp::parse_event_time(bad), Err(ParseError::EventTime), "{bad}");
        }
    }

    #[test]
    fn the_locale_form_is_that_of_the_kms_guide() {
        let locale = |text| Timestamp::parse_event_time(text).unwrap().locale();
        assert_eq!(locale("2025-05-21T05:47:45Z"), "May 21, 2025, 5:47:45 AM");
        assert_eq!(locale("2021-11-02T23:25:25Z"), "Nov 2, 2021, 11:25:25 PM");
        assert_eq!(locale("2024-09-30T00:00:00Z"), "Sep 30, 2024, 12:00:00 AM");
        assert_eq!(locale("2024-06-01T12:00:09Z"), "Jun 1, 2024, 12:00:09 PM");
    }

    #[test]
    fn units_are_rounded_down() {
        let time = Timestamp::from_unix_nanos(1_999_999_999);
        assert_eq!((time.unix_seconds(), time.unix_micros()), (1, 1_999_999));
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX).unix_nanos(), u64::MAX);
        assert_eq!(Timestamp::from_unix_nanos(u64::MAX).event_time(), "2554-07-21T23:34:33Z");
    }

    #[test]
    fn loose_times_are_those_of_rfc_3339() {
        let midnight = 1_767_312_000_000_000; // 2026-01-02T00:00:00Z
        for (text, micros) in [
            ("2026-01-02T00:00:00Z", midnight),
            ("2026-01-02T00:00:00.5Z", midnight + 500_000),
            ("2026-01-02T00:00:00.123456789Z", midnight + 123_456),
            ("2026-01-02T05:30:00+05:30", midnight),
            ("2026-01-01T16:00:00.000-08:00", midnight),
            ("1969-12-31T23:59:59.999999Z", -1),
        ] {
            assert_eq!(loose_micros(text), Some(micros), "{text}");
            let general: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(general.as_nanosecond().div_euclid(1000), i128::from(micros), "{text}");
        }
        for bad in [
            "2026-01-02T00:00:00",
            "2026-01-02T00:00:00.Z",
            "2026-01-02T00:00:00.1234567890Z",
            "2026-01-02T00:00:00.5",
            "2026-01-02T00:00:00+0530",
            "2026-01-02T00:00:00+24:00",
            "2026-01-02T00:00:00Z[UTC]",
            "2026-02-30T00:00:00.5Z",
            "2026-01-02T00:00:0ü",
            "",
        ] {
            assert_eq!(loose_micros(bad), None, "{bad}");
        }
    }

    proptest! {
        /// The short way of the ingest loop agrees with the general parser and printer.
        #[test]
        fn seconds_agree_with_the_calendar_library(seconds in -70_000_000_000_i64..260_000_000_000) {
            let mut text = String::new();
            let written = push_event_time(&mut text, seconds);
            let general = jiff::Timestamp::from_second(seconds).ok()
                .filter(|_| seconds >= -62_167_219_200).map(|time| time.to_string());
            prop_assert_eq!(written.map(|()| text.clone()), general);
            prop_assert_eq!(event_seconds(&text), written.map(|()| seconds));
        }
    }
}
