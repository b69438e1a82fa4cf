//! One CloudTrail log file: where it lies and what its bytes are.
//!
//! The key layout is AWS's own, so that every tool that reads a CloudTrail bucket (`aws cloudtrail
//! validate-logs`, Athena's partition projection, other people's parsers) reads ours:
//!
//! ```text
//! AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE16.json.gz
//! ```
//!
//! The time in the name is the *delivery* time, to the minute, and the folder is its date; the
//! events inside are a few minutes older. The 16 characters at the end mean nothing, they only keep
//! two files of one minute apart.
//!
//! The content is one JSON object on one line, `{"Records":[…,…]}`, in a single gzip member. The
//! bytes of each record go in verbatim: these are the bytes that were signed. Writing the file to a
//! disk or a bucket is the caller's.

use std::fmt;

use keytrail_event::{AccountId, Region, Timestamp};
use libdeflater::{CompressionLvl, Compressor};

/// The key of a log file below the bucket (or directory) root, parts joined by `/`.
///
/// `delivery` is cut to the minute; AWS delivers on a 5-minute grid, but nothing reads that into
/// the name. Source: CloudTrail User Guide, "Getting and viewing your CloudTrail log files".
pub fn log_file_key(
    account: &AccountId,
    region: &Region,
    delivery: Timestamp,
    unique: Unique,
) -> String {
    let (account, region) = (account.as_str(), region.as_str());
    // `YYYY-MM-DDTHH:MM:SSZ`; a year beyond 9999 does not fit a `Timestamp` (nanoseconds in a u64
    // end in 2554).
    let time = delivery.event_time();
    let (year, month, day) = (&time[0..4], &time[5..7], &time[8..10]);
    let (hour, minute) = (&time[11..13], &time[14..16]);
    format!(
        "AWSLogs/{account}/CloudTrail/{region}/{year}/{month}/{day}/\
         {account}_CloudTrail_{region}_{year}{month}{day}T{hour}{minute}Z_{unique}.json.gz"
    )
}

/// The last part of a log file's name: 16 letters and digits without meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unique([u8; 16]);

impl Unique {
    /// Turns 16 random bytes into 16 characters of `0-9A-Za-z`.
    ///
    /// 256 is no multiple of 62, so some characters are a little likelier; it does not matter, as
    /// the part only has to differ between the handful of files that share an account, a region and
    /// a minute.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        Self(bytes.map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }
}

impl fmt::Display for Unique {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&character| fmt::Write::write_char(formatter, character.into()))
    }
}

/// How hard [`write_log`] compresses.
///
/// Part of the output: the same records give the same bytes only at the same level, so it is fixed.
/// Level 6 gives AWS's own density (about 140 bytes per record in real files); higher levels win 3
/// % for twice the time.
const LEVEL: i32 = 6;

const OPENING: &[u8] = b"{\"Records\":[";
const CLOSING: &[u8] = b"]}";

/// The bytes of a log file holding `records` in the given order, each a JSON object, verbatim.
///
/// AWS keeps a file below 50 MB of text; how many records go into one file is the caller's choice.
/// No records give `{"Records":[]}`, which readers accept and AWS never writes.
pub fn write_log<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = OPENING.to_vec();
    for record in records {
        if text.len() > OPENING.len() {
            text.push(b',');
        }
        text.extend_from_slice(record);
    }
    text.extend_from_slice(CLOSING);
    gzip(&text)
}

/// Compresses `text` into one gzip member with an empty header: no name, no time, so equal text
/// gives equal bytes.
fn gzip(text: &[u8]) -> Vec<u8> {
    let level = CompressionLvl::new(LEVEL).expect("LEVEL lies within libdeflate's 0 to 12");
    let mut compressor = Compressor::new(level);
    let mut file = vec![0; compressor.gzip_compress_bound(text.len())];
    let length = compressor
        .gzip_compress(text, &mut file)
        .expect("the buffer has the size that libdeflate itself gave as the bound");
    file.truncate(length);
    file
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use libdeflater::Decompressor;

    fn gunzip(file: &[u8]) -> Vec<u8> {
        // The trailer's last four bytes are the length of the text (RFC 1952), true for a single
        // member.
        let length = u32::from_le_bytes(file[file.len() - 4..].try_into().unwrap());
        let mut text = vec![0; usize::try_from(length).unwrap()];
        assert_eq!(Decompressor::new().gzip_decompress(file, &mut text).unwrap(), text.len());
        text
    }

    fn check_text(records: &[&str], text: &str) {
        let file = write_log(records.iter().map(|record| record.as_bytes()));
        assert_eq!(String::from_utf8(gunzip(&file)).unwrap(), text);
    }

    #[test]
    fn a_key_has_the_layout_of_aws() {
        let key = log_file_key(
            &"111122223333".parse().unwrap(),
            &"eu-west-1".parse().unwrap(),
            Timestamp::parse_event_time("2025-01-09T07:05:00Z").unwrap(),
            Unique::from_random(
                *b"\x00\x01\x09\x0a\x0b\x23\x24\x25\x3d\x3e\x7f\x80\xfe\xff\x10\x20",
            ),
        );
        assert_eq!(
            key,
            "AWSLogs/111122223333/CloudTrail/eu-west-1/2025/01/09/\
             111122223333_CloudTrail_eu-west-1_20250109T0705Z_019ABZabz03467GW.json.gz"
        );
    }

    #[test]
    fn records_go_in_verbatim_and_in_order() {
        check_text(&[], r#"{"Records":[]}"#);
        check_text(&["{}"], r#"{"Records":[{}]}"#);
        check_text(
            &[r#"{"b": 1}"#, "{}", r#"{"a":"é"}"#],
            r#"{"Records":[{"b": 1},{},{"a":"é"}]}"#,
        );
    }

    #[test]
    fn a_file_is_one_gzip_member_without_name_or_time() {
        let file = write_log([&b"{}"[..]]);
        assert_eq!(file[..3], [0x1f, 0x8b, 8]);
        assert_eq!(file[3..8], [0; 5], "no flags, no modification time");
        assert_eq!(file, write_log([&b"{}"[..]]));
    }
}
