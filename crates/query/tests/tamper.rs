//! The verifier's *no*: every way to change a lake that this file tries must be found, and named.
//!
//! Each test takes a sound lake, does one thing to its files, and asks for the findings. The lake holds rows of a
//! ledger and of log files in several data files, a duplicate, a row that keeps its raw text, and a record in quarantine.

#![expect(clippy::unwrap_used, reason = "a test that cannot tamper should stop at once")]

mod common;

use std::{fs, path::Path};

use arrow::{
    array::AsArray,
    compute::concat_batches,
    datatypes::{Int64Type, Schema},
};
use common::{Call, Fixture, envelope, read_rows, with_edited_cell, write_rows};
use keytrail_lake::{Lake, ReceiptSource, rows};
use keytrail_ledger::{FindingKind, Hash, Origin, Report, SigningKey, merkle};
use keytrail_query::LedgerCheck;

/// 12 rows from a ledger, 9 from three log files, in at least three data files.
fn lake() -> Fixture {
    let fixture = Fixture::empty();
    let native: Vec<String> = (0..12)
        .map(|n| Call::new(n, "Decrypt", "alice", if n % 2 == 0 { 'a' } else { 'b' }).json())
        .collect();
    fixture.write_ledger(&native);
    let foreign = |range: std::ops::Range<u64>| -> Vec<String> {
        range.map(|n| Call::new(n, "Encrypt", "bob", 'c').json()).collect()
    };
    fixture.write_log("1.json", &envelope(&foreign(100..104)));
    // A repeated event, a record with white space between its members, and one that is no record.
    let mut odd = foreign(103..106);
    odd[1] = odd[1].replacen("\"eventVersion\":", "\"eventVersion\" : ", 1);
    odd.push("{\"eventVersion\":".to_owned());
    fixture.write_log("2.json", &envelope(&odd));
    fixture.write_log("3.json", &envelope(&foreign(110..112)));
    fixture.ingest(4);
    fixture
}

fn has(report: &Report, kind: FindingKind, place: &str, detail: &str) -> bool {
    report.findings.iter().any(|found| {
        found.kind == kind && found.place.contains(place) && found.detail.contains(detail)
    })
}

#[track_caller]
fn assert_finds(report: &Report, kind: FindingKind, place: &str, detail: &str) {
    assert!(!report.is_ok(), "nothing was found");
    assert!(has(report, kind, place, detail), "no {kind} at {place}: {detail} in\n{report}");
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn an_untouched_lake_is_sound_and_says_what_was_checked() {
    let fixture = lake();
    let report = fixture.verify();
    assert!(report.is_ok(), "{report}");
    let checked: Vec<String> = report
        .checked
        .iter()
        .filter(|(name, _)| !name.starts_with("catalog") && !name.contains("ledger b"))
        .filter(|(name, _)| !name.contains("public key") && !name.contains("signed"))
        .map(|(name, what)| format!("{name}: {what}"))
        .collect();
    insta::assert_snapshot!(checked.join("\n"), @r"
    commits: 2
    data files: 3
    footers: statistics, page indexes and Bloom filters by the SHA-256 of their file
    ledger entries: 13
    ledger records compared: 12
    ledger segments: 1
    ledger torn tails: 0
    quarantine files: 1
    raw rows: 1
    receipts: 4
    rows: 21
    rows rebuilt from columns: 20
    ");
}

/// Every column of the lake, in a row of a ledger that is at hand and in a row of a log file.
#[test]
fn an_edit_of_any_column_is_found_and_named() {
    let fixture = lake();
    let native_file = native_file(&fixture);
    let foreign_file = fixture.data_files().into_iter().find(|file| *file != native_file).unwrap();
    for file in [native_file.clone(), foreign_file] {
        let original = fs::read(&file).unwrap();
        let untouched = read_rows(&file);
        let native = file == native_file;
        for column in 0..rows::ROW_COLUMN_COUNT {
            write_rows(&file, &with_edited_cell(&untouched, column, 0));
            let report = fixture.verify();
            let name_of_column = untouched.schema().field(column).name().clone();
            assert_finds(&report, FindingKind::Modified, &name(&file), "expected");
            let row = format!("{} row 0", name(&file));
            let named = report
                .findings
                .iter()
                .any(|found| found.place.contains(&row) && found.detail.contains(&name_of_column));
            // Without the ledger there is nothing to compare a record of a file with: the row is named, by its check.
            let row_named = report
                .findings
                .iter()
                .any(|found| found.place.contains(&row) && found.detail.contains("record_check"));
            let duplicate = name_of_column == "duplicate"
                && report.findings.iter().any(|found| found.detail.contains("column duplicate"));
            assert!(
                named || duplicate || !native && row_named,
                "{name_of_column} in {row}:\n{report}"
            );
        }
        fs::write(&file, original).unwrap();
    }
    assert!(fixture.verify().is_ok());
}

#[test]
fn the_ledger_tells_what_an_edited_cell_held() {
    let fixture = lake();
    let file = native_file(&fixture);
    let rows = read_rows(&file);
    let column = rows.schema().index_of("user_name").unwrap();
    write_rows(&file, &with_edited_cell(&rows, column, 3));
    let report = fixture.verify();
    assert_finds(
        &report,
        FindingKind::Modified,
        &format!("{} row 3 (example.org/ledger sequence ", name(&file)),
        "column user_name: expected \"alice\", found \"edited\"",
    );
}

/// A file that was rewritten as a whole does not crowd out what is wrong elsewhere.
#[test]
fn findings_of_one_file_are_limited() {
    let fixture = Fixture::empty();
    let call = |n| Call::new(n, "Decrypt", "alice", 'a').json();
    fixture.write_ledger(&(0..200).map(call).collect::<Vec<_>>());
    fixture.write_log("1.json", &envelope(&(300..500).map(call).collect::<Vec<_>>()));
    fixture.ingest(200);
    let files = fixture.data_files();
    for file in &files {
        let mut rows = read_rows(file);
        let column = rows.schema().index_of("user_agent").unwrap();
        for row in 0..rows.num_rows() {
            rows = with_edited_cell(&rows, column, row);
        }
        write_rows(file, &rows);
    }
    let report = fixture.verify();
    for file in &files {
        let of_file = report.findings.iter().filter(|it| it.place.contains(&name(file))).count();
        assert!((100..110).contains(&of_file), "{of_file} findings of {}", name(file));
        assert_finds(&report, FindingKind::Modified, &name(file), "further");
    }
}

/// An attacker who knows the format edits a cell *and* its row's check value.
#[test]
fn a_check_value_that_was_edited_with_the_record_changes_nothing() {
    let fixture = lake();
    let without_ledger = |fixture: &Fixture| fixture.verify_with(&common::catalog_key(), None);
    for file in fixture.data_files() {
        let original = fs::read(&file).unwrap();
        let rows = read_rows(&file);
        let column = rows.schema().index_of("source_ip_address").unwrap();
        let edited = with_edited_cell(&rows, column, 0);
        let record = keytrail_event::join(&rows::row_at(&edited, 0).unwrap()).unwrap();
        let check = rows::record_check(&merkle::leaf_hash(&record));
        write_rows(&file, &with_check(&edited, 0, check));
        assert_finds(&without_ledger(&fixture), FindingKind::Modified, &name(&file), "Merkle root");
        fs::write(&file, original).unwrap();
    }
    assert!(without_ledger(&fixture).is_ok());
}

#[test]
fn a_deleted_row_an_added_row_and_a_moved_row_are_found() {
    let fixture = lake();
    for file in fixture.data_files() {
        let original = fs::read(&file).unwrap();
        let rows = read_rows(&file);
        write_rows(&file, &rows.slice(1, rows.num_rows() - 1));
        assert_finds(&fixture.verify(), FindingKind::Missing, &name(&file), "rows expected");

        let twice = concat_batches(&rows.schema(), [&rows, &rows.slice(0, 1)]).unwrap();
        write_rows(&file, &twice);
        let added = format!("row {} has the same place in the source", rows.num_rows());
        assert_finds(&fixture.verify(), FindingKind::Inserted, "row 0 ", &added);
        fs::write(&file, original).unwrap();
    }
    // A row moved to another file: gone here, without a receipt there.
    let [first, second, ..] = &fixture.data_files()[..] else { panic!("two files") };
    let (from, to) = (read_rows(first), read_rows(second));
    write_rows(first, &from.slice(1, from.num_rows() - 1));
    write_rows(second, &concat_batches(&to.schema(), [&to, &from.slice(0, 1)]).unwrap());
    let report = fixture.verify();
    assert_finds(&report, FindingKind::Missing, &name(first), "rows expected");
    assert_finds(&report, FindingKind::Inserted, &name(second), "no receipt of this data file");
}

#[test]
fn files_that_are_swapped_gone_cut_or_added_are_found() {
    let fixture = lake();
    let files = fixture.data_files();
    let contents: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();

    fs::write(&files[0], &contents[1]).unwrap();
    fs::write(&files[1], &contents[0]).unwrap();
    let report = fixture.verify();
    for file in &files[..2] {
        assert_finds(&report, FindingKind::Inserted, &name(file), "no receipt of this data file");
    }
    fs::write(&files[0], &contents[0]).unwrap();
    fs::write(&files[1], &contents[1]).unwrap();

    fs::remove_file(&files[0]).unwrap();
    assert_finds(&fixture.verify(), FindingKind::Missing, &name(&files[0]), "cannot be opened");
    for length in [0, 3, contents[0].len() / 2, contents[0].len() - 1] {
        fs::write(&files[0], &contents[0][..length]).unwrap();
        assert_finds(&fixture.verify(), FindingKind::Modified, &name(&files[0]), "bytes expected");
    }
    let mut longer = contents[0].clone();
    longer.extend_from_slice(b"PAR1");
    fs::write(&files[0], longer).unwrap();
    assert_finds(&fixture.verify(), FindingKind::Modified, &name(&files[0]), "bytes expected");
    fs::write(&files[0], &contents[0]).unwrap();

    for stray in ["part-forged.parquet", "_delta_log/00000000000000000009.json", "a/b.parquet"] {
        let path = fixture.paths().events().join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &contents[0]).unwrap();
        assert_finds(&fixture.verify(), FindingKind::StrayFile, stray, "no commit");
        fs::remove_file(path).unwrap();
    }
    assert!(fixture.verify().is_ok());
}

#[test]
fn a_file_of_other_columns_is_found() {
    let fixture = lake();
    let file = native_file(&fixture);
    let rows = read_rows(&file);
    let fewer: Vec<usize> = (1..rows.num_columns()).collect();
    let mut renamed: Vec<_> =
        rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    renamed.swap(0, 2);
    let renamed =
        arrow::array::RecordBatch::try_new(Schema::new(renamed).into(), rows.columns().to_vec());
    for forged in [rows.project(&fewer).unwrap(), renamed.unwrap()] {
        write_rows(&file, &forged);
        assert_finds(&fixture.verify(), FindingKind::Unreadable, &name(&file), "");
    }
}

#[test]
fn the_delta_log_is_the_catalogs_byte_for_byte() {
    let fixture = lake();
    let commit = fixture.paths().delta_commit(1);
    let bytes = fs::read(&commit).unwrap();
    for at in 0..bytes.len() {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        fs::write(&commit, edited).unwrap();
        if at % 97 == 0 {
            assert_finds(
                &fixture.verify(),
                FindingKind::Modified,
                &name(&commit),
                &format!("at byte {at};"),
            );
        }
    }
    fs::remove_file(&commit).unwrap();
    assert_finds(&fixture.verify(), FindingKind::Missing, &name(&commit), "in the catalog");
    fs::write(&commit, &bytes[..bytes.len() - 1]).unwrap();
    assert_finds(&fixture.verify(), FindingKind::Modified, &name(&commit), "bytes expected");
}

#[test]
fn the_catalog_is_held_to_its_signature_and_to_the_key_that_was_given() {
    let fixture = lake();
    let other = SigningKey::from_seed(&[9; 32]).verifying_key(&common::catalog_origin());
    assert_finds(&fixture.verify_with(&other, None), FindingKind::Signature, "catalog", "");
    let other_log =
        common::catalog_signing_key().verifying_key(&Origin::new("example.org/other").unwrap());
    assert!(!fixture.verify_with(&other_log, None).is_ok());

    let segments = fixture.paths().catalog().join("segments");
    let segment = fs::read_dir(segments).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&segment).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut edited = bytes.clone();
        edited[at] ^= 4;
        fs::write(&segment, edited).unwrap();
        assert!(!fixture.verify().is_ok(), "byte {at} of the catalog");
    }
    fs::write(&segment, &bytes).unwrap();
    assert!(fixture.verify().is_ok());

    fs::remove_file(fixture.paths().catalog().join("checkpoint")).unwrap();
    assert!(!fixture.verify().is_ok());
    fs::remove_dir_all(fixture.paths().catalog()).unwrap();
    assert!(!fixture.verify().is_ok());
}

#[test]
fn a_lake_is_held_against_the_ledger_it_was_made_from() {
    let fixture = lake();
    // Another ledger under the same name and key: one record differs.
    let forged = Fixture::empty();
    let mut records: Vec<String> =
        (0..12).map(|n| Call::new(n, "Decrypt", "alice", 'a').json()).collect();
    records[7] = Call::new(7, "Decrypt", "mallory", 'a').json();
    forged.write_ledger(&records);
    let key = common::ledger_key();
    let check = |dir: &Path| {
        fixture.verify_with(&common::catalog_key(), Some(LedgerCheck { dir, key: &key }))
    };
    assert_finds(
        &check(&forged.ledger()),
        FindingKind::Modified,
        "example.org/ledger [0, 13)",
        "ledger",
    );
    // A shorter one.
    let short = Fixture::empty();
    short.write_ledger(&records[..3]);
    assert_finds(
        &check(&short.ledger()),
        FindingKind::Truncated,
        "example.org/ledger",
        "ends after 4",
    );
    // None: said, not passed over.
    let report = fixture.verify_with(&common::catalog_key(), None);
    assert!(report.is_ok(), "{report}");
    assert!(
        report.not_checked.iter().any(|what| what.starts_with("12 rows against the ledger")),
        "{report}"
    );
}

// Whoever holds the catalog's key can sign anything; the rows and the ledger tell all the same.

/// Bounds that hide the newest rows from every query by time.
#[test]
fn bounds_that_are_signed_but_wrong_are_found() {
    let fixture = lake();
    fixture.forge_catalog(|commit| {
        commit.delta = commit.delta.replace("T03:15:05.000Z", "T03:05:05.000Z");
    });
    let detail = "maximum of event_time in the Delta log";
    assert_finds(&fixture.verify(), FindingKind::Metadata, "events/", detail);
}

/// A record is left out, and file, commit and receipt are signed to match.
#[test]
fn a_record_that_the_ingester_left_out_is_found_by_the_ledger() {
    let fixture = lake();
    let file = native_file(&fixture);
    let rows = read_rows(&file);
    let kept = rows.slice(0, rows.num_rows() - 1);
    write_rows(&file, &kept);
    let bytes = fs::read(&file).unwrap();
    let root = root_of_native(&kept);
    fixture.forge_catalog(|commit| {
        for committed in commit.files.iter_mut().filter(|it| it.path == name(&file)) {
            let size = |size: u64| format!("\"size\":{size}");
            let rows = |rows: u64| format!("numRecords\\\":{rows}");
            let now = bytes.len() as u64;
            commit.delta = commit.delta.replace(&size(committed.size), &size(now));
            commit.delta = commit.delta.replace(&rows(committed.rows), &rows(committed.rows - 1));
            committed.size = now;
            committed.rows -= 1;
            committed.sha256 = Hash::of(&bytes);
        }
        for receipt in commit.receipts.iter_mut().filter(|it| it.data_file == Some(name(&file))) {
            receipt.rows -= 1;
            receipt.records -= 1;
            receipt.root = root;
        }
    });
    let report = fixture.verify();
    let detail = "the receipt says 11 rows";
    assert_finds(&report, FindingKind::Modified, "example.org/ledger [0, 13)", detail);
    assert!(!has(&report, FindingKind::Missing, "", ""), "{report}");
}

#[test]
fn a_range_that_nobody_took_in_is_found_by_the_ledger() {
    let fixture = lake();
    fixture.forge_catalog(|commit| {
        for receipt in &mut commit.receipts {
            if let ReceiptSource::Ledger { first, .. } = &mut receipt.source {
                *first = 1;
            }
        }
    });
    assert_finds(&fixture.verify(), FindingKind::Missing, "[1, 13)", "no receipt covers");
}

#[test]
fn files_that_a_running_ingest_has_not_committed_yet_are_no_findings() {
    let fixture = lake();
    let stray = fixture.paths().events().join("part-0.tmp");
    let clock = std::sync::Arc::new(|| keytrail_event::Timestamp::from_unix_seconds(0));
    let origin = common::catalog_origin();
    let key = common::catalog_signing_key();
    let running = Lake::open(&fixture.lake(), &origin, key, common::random(), clock).unwrap();
    fs::write(&stray, "half a file").unwrap();
    let report = fixture.verify();
    assert!(report.is_ok(), "{report}");
    assert!(
        report.not_checked.iter().any(|what| what.starts_with("events/part-0.tmp")),
        "{report}"
    );
    running.close().unwrap();
    assert_finds(&fixture.verify(), FindingKind::StrayFile, "events/part-0.tmp", "");
}

#[test]
fn what_is_in_quarantine_is_still_there() {
    let fixture = lake();
    let kept = fs::read_dir(fixture.paths().quarantine())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "json"))
        .unwrap();
    fs::write(&kept, "{}").unwrap();
    assert_finds(&fixture.verify(), FindingKind::Modified, &name(&kept), "content");
    fs::remove_file(&kept).unwrap();
    assert_finds(&fixture.verify(), FindingKind::Missing, &name(&kept), "gone");
}

/// Any bit, anywhere in a data file. The file's hash alone would say so; what is tested is that reading such a file on
/// does no harm.
#[test]
fn two_hundred_flipped_bits_are_two_hundred_findings() {
    let fixture = lake();
    let files = fixture.data_files();
    let random = common::random();
    for _ in 0..200 {
        let file = &files[usize::try_from(random.next_u64() % files.len() as u64).unwrap()];
        let bytes = fs::read(file).unwrap();
        let mut flipped = bytes.clone();
        let at = usize::try_from(random.next_u64() % bytes.len() as u64).unwrap();
        flipped[at] ^= 1 << (random.next_u64() % 8);
        fs::write(file, flipped).unwrap();
        let report = fixture.verify();
        assert_finds(&report, FindingKind::Modified, &name(file), "SHA-256");
        fs::write(file, bytes).unwrap();
    }
    assert!(fixture.verify().is_ok());
}

fn native_file(fixture: &Fixture) -> std::path::PathBuf {
    let is_native = |file: &std::path::PathBuf| {
        !arrow::array::Array::is_null(read_rows(file).column(rows::ORIGIN), 0)
    };
    fixture.data_files().into_iter().find(is_native).unwrap()
}

/// The Merkle root that a receipt for exactly these rows of a ledger has.
fn root_of_native(rows: &arrow::array::RecordBatch) -> Hash {
    let sequences = rows.column(rows::SEQUENCE).as_primitive::<Int64Type>();
    let mut leaves: Vec<(i64, Hash)> = (0..rows.num_rows())
        .map(|row| {
            let record = keytrail_event::join(&rows::row_at(rows, row).unwrap()).unwrap();
            (sequences.value(row), merkle::leaf_hash(&record))
        })
        .collect();
    leaves.sort_by_key(|(sequence, _)| *sequence);
    let leaves: Vec<Hash> = leaves.into_iter().map(|(_, leaf)| leaf).collect();
    merkle::root_of(&leaves)
}

fn with_check(
    rows: &arrow::array::RecordBatch,
    row: usize,
    check: i32,
) -> arrow::array::RecordBatch {
    use arrow::{array::AsArray, datatypes::Int32Type};
    let checks = rows.column(rows::RECORD_CHECK).as_primitive::<Int32Type>();
    let mut checks: Vec<Option<i32>> = checks.iter().collect();
    checks[row] = Some(check);
    let mut columns = rows.columns().to_vec();
    columns[rows::RECORD_CHECK] = std::sync::Arc::new(arrow::array::Int32Array::from(checks));
    arrow::array::RecordBatch::try_new(rows.schema(), columns).unwrap()
}
