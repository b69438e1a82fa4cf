//! `read_log` on all the shapes of a log file, whole, cut off and damaged.

use keytrail_event::{Broken, LogEnd, LogKind, LogRecords, read_log, split, split_log};
use proptest::prelude::*;

/// The elements' texts, after checking what always holds.
fn check<'a>(text: &'a [u8], kind: LogKind) -> (Vec<&'a str>, Option<Broken>) {
    let log = read_log(text);
    consistent(text, &log);
    assert_eq!(log.kind, kind, "{}", String::from_utf8_lossy(text));
    let show = |bytes: &'a [u8]| std::str::from_utf8(bytes).unwrap_or("(not UTF-8)");
    (log.records.iter().map(|record| show(record.bytes)).collect(), log.broken)
}

/// Elements lie in the text where they say, in order, without overlap, and before the broken place;
/// between them is only punctuation. So no byte of a record is lost.
fn consistent(text: &[u8], log: &LogRecords<'_>) {
    let mut end = 0;
    let punctuation = |range: &[u8]| {
        let range = String::from_utf8_lossy(range).replace("\"Records\"", "");
        range.chars().all(|c| "{}[]:, \t\r\n".contains(c))
    };
    for (index, record) in log.records.iter().enumerate() {
        assert_eq!(record.index, index);
        assert!(record.offset >= end && punctuation(&text[end..record.offset]));
        end = record.offset + record.bytes.len();
        assert_eq!(&text[record.offset..end], record.bytes);
    }
    both_ways_agree(text, log);
    let Some(broken) = log.broken else {
        assert!(log.kind == LogKind::Digest || punctuation(&text[end..]));
        return;
    };
    assert!(end <= broken.offset && broken.offset <= broken.at && broken.at <= text.len());
    assert!(punctuation(&text[end..broken.offset]));
    assert_eq!(broken.index, log.records.len());
}

/// Splitting in one pass finds what reading and then splitting finds.
fn both_ways_agree(text: &[u8], log: &LogRecords<'_>) {
    let mut found = Vec::new();
    let end = split_log(text, &mut |record, row| {
        assert_eq!(row, split(record.bytes));
        found.push(record);
    });
    if log.kind != LogKind::Insight {
        assert_eq!(found, log.records);
    }
    let expected = LogEnd { records: log.records.len(), broken: log.broken, kind: log.kind };
    assert_eq!(end, expected, "{}", String::from_utf8_lossy(text));
}

fn whole(text: &str, kind: LogKind, expected: &[&str]) {
    assert_eq!(check(text.as_bytes(), kind), (expected.to_vec(), None), "{text}");
}

/// A file that breaks at `offset` after these elements.
fn cut(text: &str, kind: LogKind, expected: &[&str], offset: usize) {
    let (records, broken) = check(text.as_bytes(), kind);
    assert_eq!(records, expected, "{text}");
    assert_eq!(broken.map(|broken| broken.offset), Some(offset), "{text}");
}

#[test]
fn every_shape_of_a_log_is_recognised() {
    whole(r#"{"Records":[{"a":1},{}]}"#, LogKind::Envelope, &[r#"{"a":1}"#, "{}"]);
    whole(" { \"Records\" : [ {} , {} ] } \n", LogKind::Envelope, &["{}", "{}"]);
    whole(r#"{"Records":[]}"#, LogKind::Envelope, &[]);
    whole(r#"{"Records":[{}]}{"Records":[{"b":2}]}"#, LogKind::Envelope, &["{}", r#"{"b":2}"#]);
    whole(r#"[{"a":1},{"b":2}]"#, LogKind::Array, &[r#"{"a":1}"#, r#"{"b":2}"#]);
    whole("[]", LogKind::Array, &[]);
    whole("{\n  \"a\": 1\n}\n", LogKind::Record, &["{\n  \"a\": 1\n}"]);
    whole("{\"a\":1}\n{\"b\":2}\r\n\n{}", LogKind::Lines, &["{\"a\":1}", "{\"b\":2}", "{}"]);
    whole("", LogKind::Empty, &[]);
    whole(" \n", LogKind::Empty, &[]);
}

#[test]
fn elements_that_are_no_records_are_handed_over_for_split_to_refuse() {
    whole(r#"{"Records":[null,{},1,[]]}"#, LogKind::Envelope, &["null", "{}", "1", "[]"]);
    let (records, broken) = check(b"[{\"a\":\"\xff\"},{}]", LogKind::Array);
    assert_eq!((records, broken), (vec!["(not UTF-8)", "{}"], None));
}

#[test]
fn good_records_before_a_broken_place_are_kept() {
    cut(r#"{"Records":[{"a":1},{"b":2"#, LogKind::Envelope, &[r#"{"a":1}"#], 20);
    cut(r#"{"Records":[{"a":1},{"b":01},{}]}"#, LogKind::Envelope, &[r#"{"a":1}"#], 20);
    cut(r#"{"Records":[{}"#, LogKind::Envelope, &["{}"], 14);
    cut(r#"{"Records":[{}]"#, LogKind::Envelope, &["{}"], 15);
    cut(r#"{"Records":[{},]}"#, LogKind::Envelope, &["{}"], 15);
    cut(r#"{"Records":[{}]}x"#, LogKind::Envelope, &["{}"], 16);
    cut("[{} {}]", LogKind::Array, &["{}"], 4);
    cut("{\"a\":", LogKind::Record, &[], 0);
    cut("hello", LogKind::Unknown, &[], 0);
    cut("\u{feff}{}", LogKind::Unknown, &[], 0);
}

#[test]
fn nothing_hides_beside_the_records() {
    let beside = r#"{"Records":[{}],"Records":[{"a":1}]}"#;
    cut(beside, LogKind::Envelope, &["{}"], 15);
    let first = r#"{"eventName":"X","Records":[{}]}"#;
    whole(first, LogKind::Record, &[first]);
    whole(r#"{"Records":5}"#, LogKind::Record, &[r#"{"Records":5}"#]);
    let digest =
        r#"{"digestEndTime":"","digestS3Object":"","logFiles":[],"eventName":"DeleteTrail"}"#;
    whole(digest, LogKind::Record, &[digest]);
}

#[test]
fn a_broken_line_costs_only_itself() {
    whole("{\"a\":1\n{}\n{}", LogKind::Lines, &["{\"a\":1", "{}", "{}"]);
    whole("{}\nlog noise \n{}", LogKind::Lines, &["{}", "log noise", "{}"]);
    cut("{}\n{\"torn", LogKind::Lines, &["{}"], 3);
    cut("{}\nlog noise\nmore noise", LogKind::Lines, &["{}"], 3);
}

#[test]
fn digests_and_insights_are_told_from_logs() {
    let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2026-01-02T02:04:05Z","digestEndTime":"2026-01-02T03:04:05Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[]}"#;
    whole(digest, LogKind::Digest, &[]);
    let insight = r#"{"eventCategory":"Insight"}"#;
    let log = format!(r#"{{"Records":[{insight},{insight}]}}"#);
    whole(&log, LogKind::Insight, &[insight, insight]);
    let late = format!(r#"{{"Records":[]}}{{"Records":[{insight}]}}"#);
    whole(&late, LogKind::Envelope, &[insight]);
    let mixed = format!(r#"{{"Records":[{insight},{{}}]}}"#);
    whole(&mixed, LogKind::Envelope, &[insight, "{}"]);
}

#[test]
fn depth_and_length_cost_no_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    whole(&format!("[{deep}]"), LogKind::Array, &[&deep]);
    let open = "{\"Records\":[".repeat(50_000);
    cut(&open, LogKind::Envelope, &[], 12);
    let many = "{}\n".repeat(50_000);
    assert_eq!(check(many.as_bytes(), LogKind::Lines).0.len(), 50_000);
}

/// A small log file, as compact as AWS writes it.
const LOG: &str = r#"{"Records":[{"eventName":"A","requestParameters":{"k":["\u0041",-1.5e3,null]}},{"eventName":"B","userIdentity":{"type":"Root"}},{"eventName":"ü"}]}"#;

#[test]
fn a_file_cut_anywhere_keeps_every_record_that_is_whole() {
    let ends: Vec<usize> = read_log(LOG.as_bytes())
        .records
        .iter()
        .map(|record| record.offset + record.bytes.len())
        .collect();
    for length in 0..LOG.len() {
        let log = read_log(&LOG.as_bytes()[..length]);
        consistent(&LOG.as_bytes()[..length], &log);
        let kept = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(log.records.len(), kept, "cut at {length}");
        assert_eq!(log.broken.is_some(), length > 0, "cut at {length}");
    }
}

#[test]
fn a_flipped_bit_never_hurts_the_records_before_it() {
    let whole = read_log(LOG.as_bytes());
    for position in 0..LOG.len() {
        for bit in 0..8 {
            let mut bytes = LOG.as_bytes().to_vec();
            bytes[position] ^= 1 << bit;
            let log = read_log(&bytes);
            consistent(&bytes, &log);
            let untouched = whole
                .records
                .iter()
                .take_while(|record| record.offset + record.bytes.len() <= position)
                .count();
            // Before the array begins, the flip may turn the envelope into something else.
            if position >= 12 {
                assert_eq!(log.records[..untouched], whole.records[..untouched], "{position}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn reading_is_total_and_loses_no_byte(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "{\"Records\":[", "{", "}", "[", "]", ",", ":", "\n", " ", "{}", "{\"a\":1}", "\"x\"",
                "null", "1", "\\", "\"", "\u{0}", "ü", "{\"eventCategory\":\"Insight\"}",
            ]),
            0..24,
        ),
    ) {
        let text = pieces.concat();
        let log = read_log(text.as_bytes());
        consistent(text.as_bytes(), &log);
        for record in log.records {
            let _ = split(record.bytes);
        }
    }
}
