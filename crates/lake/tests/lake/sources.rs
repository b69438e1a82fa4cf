//! Whatever lies in a source, every record becomes a row or goes to quarantine, and each content is taken in once.

use std::fs;

use keytrail_lake::{IngestOptions, Lake, LakeError, LakePaths, Source};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::{Scene, gzip, log, record, record_with_id};

/// A source file alone in a lake: rows, and what is in quarantine as (index, offset, reason).
#[track_caller]
fn check(name: &str, bytes: &[u8], rows: usize, quarantined: &[(u64, u64, &str)]) {
    let scene = Scene::new();
    scene.file(name, bytes);
    let report = scene.ingest();
    let found: Vec<_> = report
        .quarantined
        .iter()
        .map(|(file, item)| {
            assert_eq!(file, name);
            (item.index, item.offset, item.reason.as_str())
        })
        .collect();
    assert_eq!(found, quarantined);
    assert_eq!((report.rows, report.files_new), (rows as u64, 1));
    assert_eq!(scene.rows().len(), rows);
    // The same again is known, and says nothing.
    let again = scene.ingest();
    assert_eq!((again.files_known, again.files_new, again.commits), (1, 0, 0));
    assert_eq!(scene.rows().len(), rows);
    let index = fs::read_to_string(LakePaths::new(scene.root()).quarantine().join("index.ndjson"));
    assert_eq!(index.map_or(0, |text| text.lines().count()), quarantined.len());
}

fn three() -> Vec<String> {
    (0..3).map(record).collect()
}

#[test]
fn logs_of_every_shape_become_rows() {
    let text = log(&three());
    check("a.json", text.as_bytes(), 3, &[]);
    check("a.json.gz", &gzip(&text), 3, &[]);
    check("lines.ndjson", three().join("\n").as_bytes(), 3, &[]);
    check("array.json", format!("[{}]", three().join(", ")).as_bytes(), 3, &[]);
    check("one.json", record(1).as_bytes(), 1, &[]);
    check("members.json.gz", &[gzip(&text), gzip(log(&[record(9)]))].concat(), 4, &[]);
}

#[test]
fn logs_without_records_are_taken_in_as_nothing() {
    check("empty.json", b"", 0, &[]);
    check("empty.json.gz", &gzip(""), 0, &[]);
    check("none.json", br#"{"Records":[]}"#, 0, &[]);
}

#[test]
fn a_broken_record_is_kept_apart_from_the_good_ones() {
    let [one, two, three] = [record(1), record(2), record(3)];
    let scalar = log(&[one.clone(), "7".to_owned(), three.clone()]);
    let offset = scalar.find(",7,").unwrap() as u64 + 1;
    check("scalar.json", scalar.as_bytes(), 2, &[(1, offset, "a record is a JSON object")]);

    let mut bytes = log(&[one.clone(), two, three.clone()]).into_bytes();
    let at = bytes.windows(7).position(|it| it == b"Decrypt").unwrap();
    bytes[at] = 0xff;
    let expected = format!("not UTF-8 at byte {}", at - 12);
    check("utf8.json", &bytes, 2, &[(0, 12, &expected)]);
}

#[test]
fn a_log_that_is_cut_off_gives_what_came_before() {
    let text = log(&three());
    let cut = text.len() - 10;
    let scene = Scene::new();
    scene.file("cut.json", &text[..cut]);
    let report = scene.ingest();
    assert_eq!((report.rows, report.records, report.quarantined.len()), (2, 3, 1));
    let (_, item) = &report.quarantined[0];
    let kept = fs::read(LakePaths::new(scene.root()).quarantine().join(&item.kept)).unwrap();
    assert_eq!(kept, &text.as_bytes()[usize::try_from(item.offset).unwrap()..cut]);
    scene.rows();
}

#[test]
fn a_log_that_only_lacks_its_end_keeps_all_records_and_says_so() {
    let text = log(&three());
    for missing in [1, 2] {
        let cut = text.len() - missing;
        let scene = Scene::new();
        scene.file("end.json", &text[..cut]);
        let report = scene.ingest();
        assert_eq!((report.rows, report.quarantined.len()), (3, 1));
        let (_, item) = &report.quarantined[0];
        assert_eq!((item.index, item.offset), (3, cut as u64));
        // There is nothing behind the records, and that is what is kept.
        let kept = LakePaths::new(scene.root()).quarantine().join(&item.kept);
        assert_eq!(fs::read(kept).unwrap(), b"");
        scene.rows();
    }
}

#[test]
fn damage_to_a_compressed_log_loses_no_byte() {
    let stored = gzip(log(&three()));
    let damaged = "a damaged or truncated gzip member";
    check("cut.json.gz", &stored[..stored.len() - 1], 0, &[(0, 0, damaged)]);
    let mut flipped = stored.clone();
    flipped[40] ^= 4;
    check("flipped.json.gz", &flipped, 0, &[(0, 0, damaged)]);
    let text_len = log(&three()).len() as u64;
    let trailing = [stored.as_slice(), b"trailing"].concat();
    check("trailing.json.gz", &trailing, 3, &[(3, text_len, "bytes after the last gzip member")]);
    let second = [stored.as_slice(), &stored[..30]].concat();
    check("second.json.gz", &second, 3, &[(3, text_len, damaged)]);
}

#[test]
fn a_file_that_is_no_log_goes_to_quarantine_whole() {
    let scene = Scene::new();
    scene.file("page.json", "<html>not found</html>");
    let report = scene.ingest();
    assert_eq!((report.rows, report.quarantined.len()), (0, 1));
    let (_, item) = &report.quarantined[0];
    let kept = fs::read(LakePaths::new(scene.root()).quarantine().join(&item.kept)).unwrap();
    assert_eq!(kept, b"<html>not found</html>");
}

#[test]
fn digests_and_insights_are_counted_and_not_taken_in() {
    let scene = Scene::new();
    let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2025-06-02T03:00:00Z","digestEndTime":"2025-06-02T04:00:00Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[]}"#;
    scene.file("AWSLogs/1/CloudTrail-Digest/us-east-1/d.json.gz", gzip(digest));
    scene.file("moved/digest.json", digest);
    scene.file("AWSLogs/1/CloudTrail-Insight/us-east-1/i.json.gz", gzip("{}"));
    scene.file("AWSLogs/1/CloudTrail/us-east-1/a.json.gz", gzip(log(&three())));
    let report = scene.ingest();
    assert_eq!((report.files_seen, report.files_skipped, report.files_new), (4, 3, 1));
    assert_eq!((report.rows, report.quarantined.len()), (3, 0));
}

#[test]
fn a_file_of_twenty_megabytes_on_one_line_is_one_source() {
    let records: Vec<_> = (0..32_000).map(record).collect();
    let text = log(&records);
    assert!(text.len() > 20_000_000);
    let scene = Scene::new();
    scene.file("long.json", &text);
    let options = IngestOptions { rows_per_file: 1000, ..IngestOptions::default() };
    let report = scene.ingest_with(&options);
    assert_eq!((report.rows, report.files_new), (32_000, 1));
    assert_eq!(scene.open().snapshot().unwrap().files.len(), 1, "a source is never divided");
}

#[test]
fn thousands_of_broken_records_are_kept_as_the_rest_of_their_file() {
    let broken = (0..3000).map(|number| number.to_string());
    let text = log(&std::iter::once(record(1)).chain(broken).collect::<Vec<_>>());
    let scene = Scene::new();
    scene.file("broken.json", &text);
    let report = scene.ingest();
    assert_eq!((report.rows, report.quarantined.len()), (1, 1001));
    let (_, rest) = report.quarantined.last().unwrap();
    assert_eq!(rest.reason, "more than 1000 broken records; the rest of the file");
    let kept = fs::read(LakePaths::new(scene.root()).quarantine().join(&rest.kept)).unwrap();
    assert_eq!(kept, &text.as_bytes()[usize::try_from(rest.offset).unwrap()..]);
    scene.rows();
}

#[test]
fn a_content_is_taken_in_once_whatever_it_is_called() {
    let scene = Scene::new();
    scene.file("b.json", log(&three()));
    scene.file("c.json", log(&three()));
    let report = scene.ingest();
    assert_eq!((report.files_new, report.files_known, report.rows), (1, 1, 3));
    assert!(scene.rows().iter().all(|row| row.place.0 == "b.json"));
    scene.file("a.json", log(&three()));
    let report = scene.ingest();
    assert_eq!((report.files_new, report.files_known), (0, 3));
}

#[test]
fn an_event_that_comes_again_is_a_duplicate_of_the_first_one() {
    let scene = Scene::new();
    scene.file("a.json", log(&[record(1), record(2), record(1)]));
    scene.file("b.json", log(&[record(2), record(3)]));
    let report = scene.ingest();
    assert_eq!((report.rows, report.duplicates), (5, 2));
    // In a later ingest, and a later process.
    scene.file("0.json", log(&[record(3), record(4)]));
    let report = scene.ingest();
    assert_eq!((report.rows, report.duplicates), (2, 1));
    let duplicates: Vec<_> =
        scene.rows().into_iter().filter(|row| row.duplicate).map(|row| row.place).collect();
    let expected = [("0.json", 0), ("a.json", 2), ("b.json", 0)];
    assert_eq!(duplicates, expected.map(|(file, index)| (file.to_owned(), index)));
}

#[test]
fn records_without_an_id_are_never_duplicates() {
    let scene = Scene::new();
    let anonymous = record(1).replace(r#""eventID":"00000000-0000-4000-8000-000000000001","#, "");
    let named = record_with_id("not a GUID", 1);
    let both = [anonymous.clone(), anonymous, named.clone(), named];
    scene.file("a.json", log(&both));
    scene.ingest();
    let duplicates: Vec<_> = scene.rows().iter().map(|row| row.duplicate).collect();
    assert_eq!(duplicates, [false, false, false, true]);
}

#[test]
fn a_file_that_changed_under_its_name_is_another_source() {
    let scene = Scene::new();
    scene.file("a.json", log(&[record(1)]));
    scene.ingest();
    scene.file("a.json", log(&[record(1), record(2)]));
    let report = scene.ingest();
    assert_eq!((report.files_new, report.rows, report.duplicates), (1, 2, 1));
    scene.rows();

    // Also within one ingest, from two sources with equal names.
    let (one, two) = (scene.sources().join("one"), scene.sources().join("two"));
    scene.file("one/x.json", log(&[record(5)]));
    scene.file("two/x.json", log(&[record(6)]));
    let mut lake = scene.open();
    let sources = [Source::Path(one), Source::Path(two)];
    let report = lake.ingest(&sources, &IngestOptions::default(), &()).unwrap();
    assert_eq!(report.rows, 2);
    lake.close().unwrap();
    scene.rows();
}

#[test]
fn a_second_writer_is_refused() {
    let scene = Scene::new();
    let lake = scene.open();
    let clock: keytrail_lake::Clock =
        std::sync::Arc::new(|| keytrail_event::Timestamp::from_unix_seconds(1));
    let random = std::sync::Arc::new(keytrail_testkit::SeededRandom::new(2));
    let (origin, key) = (keytrail_testkit::origin(), keytrail_testkit::signing_key());
    let second = Lake::open(&scene.root(), &origin, key, random, clock);
    assert!(matches!(second.err(), Some(LakeError::Busy { .. })));
    drop(lake);
    scene.open();
}

/// The same cases in every run. A longer search is a change of this number away.
const SEED: u64 = 1;

/// What remains of a text when these parts are cut out, each once.
fn without(text: &[u8], parts: &mut Vec<Vec<u8>>) -> Vec<u8> {
    // Where only the end of a log is missing, nothing is left to be kept.
    parts.retain(|part| !part.is_empty());
    // The longest first: a broken rest may contain what looks like a record.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut rest = text.to_vec();
    for part in parts {
        let at = rest.windows(part.len()).position(|window| window == part.as_slice());
        let at =
            at.unwrap_or_else(|| panic!("{} is not in the text", String::from_utf8_lossy(part)));
        rest.splice(at..at + part.len(), *b" ");
    }
    rest
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    /// The promise: each byte of a log is in a row, in quarantine, or punctuation between records.
    #[test]
    fn no_byte_of_a_damaged_log_is_lost(
        kinds in prop::collection::vec(0_u32..6, 1..8),
        cut in 0_usize..4000,
        flip in prop::option::of((0_usize..4000, 1_u8..=255)),
    ) {
        let element = |(at, kind): (u32, &u32)| match kind {
            0 => "null".to_owned(),
            1 => format!(r#"["{at}"]"#),
            _ => record(at),
        };
        let mut text = log(&(0..).zip(&kinds).map(element).collect::<Vec<_>>()).into_bytes();
        text.truncate(cut.max(1));
        if let Some((at, bits)) = flip {
            let at = at % text.len();
            text[at] ^= bits;
        }
        let scene = Scene::new();
        scene.file("a.json", &text);
        let report = scene.ingest();
        prop_assert_eq!(report.records, report.rows + report.quarantined.len() as u64);
        let mut parts: Vec<Vec<u8>> = scene.rows().into_iter().map(|row| row.record.into()).collect();
        prop_assert_eq!(parts.len() as u64, report.rows);
        let quarantine = LakePaths::new(scene.root()).quarantine();
        parts.extend(report.quarantined.iter().map(|(_, it)| fs::read(quarantine.join(&it.kept)).unwrap()));
        let rest = without(&text, &mut parts);
        let rest = String::from_utf8(rest).unwrap();
        prop_assert!(
            rest.replace("\"Records\":", "").chars().all(|it| "{}[], \n".contains(it)),
            "left over: {}", rest
        );
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_and_tried_again() {
    let scene = Scene::new();
    scene.file("good.json", log(&[record(1)]));
    // Permissions mean nothing to root; a link into the void does.
    std::os::unix::fs::symlink("/nowhere", scene.sources().join("gone.json")).unwrap();
    let report = scene.ingest();
    assert_eq!((report.rows, report.unreadable.len()), (1, 1));
    assert!(report.unreadable[0].path.ends_with("gone.json"));
    fs::remove_file(scene.sources().join("gone.json")).unwrap();
    scene.file("gone.json", log(&[record(2)]));
    assert_eq!(scene.ingest().rows, 1);
}

#[test]
fn real_records_become_rows_and_hardly_one_is_kept_as_text() {
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cloudtrail");
    let folder = std::path::Path::new(real).join("stratus-2023");
    if !folder.is_dir() {
        eprintln!("skipped: no {}", folder.display());
        return;
    }
    let scene = Scene::new();
    let mut lake = scene.open();
    let sources = [Source::Path(folder)];
    let report = lake.ingest(&sources, &IngestOptions::default(), &()).unwrap();
    lake.close().unwrap();
    assert_eq!((report.rows, report.quarantined.len()), (1289, 0));
    let rows = scene.rows();
    let raw = rows.iter().filter(|row| row.raw).count();
    assert!(raw * 100 <= rows.len(), "{raw} of {} rows are kept as text", rows.len());
}
