//! The formats that others read: drawn in `schemas/`, and the same as in the code.

use std::fmt::Write;
use std::fs;

use arrow::datatypes::DataType;
use keytrail_event::{COLUMNS, Kind};
use keytrail_lake::{IngestOptions, LakePaths, STATS_COLUMNS, rows};
use keytrail_ledger::{EntryKind, Reader};
use parquet::basic::{Compression, Encoding};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::support::{Scene, gzip, log, record};

fn schemas(name: &str) -> String {
    let path = format!("{}/../../schemas/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_drawn_columns_are_those_of_the_code() {
    let mut table = String::from("| column | type | from |\n|---|---|---|\n");
    for (field, at) in rows::schema().fields().iter().zip(0..) {
        let kind = match field.data_type() {
            DataType::Utf8 => "text",
            DataType::Boolean => "boolean",
            DataType::Int32 => "integer",
            DataType::Int64 => "long",
            DataType::Timestamp(..) => "timestamp (µs, UTC)",
            other => panic!("{other}"),
        };
        let (kind, from) = match COLUMNS.get(at) {
            Some(column) if column.path.is_empty() => (kind, "derived".to_owned()),
            Some(column) if column.kind == Kind::Json => ("text (JSON)", column.path.join(".")),
            Some(column) => (kind, column.path.join(".")),
            None => (kind, "the lake".to_owned()),
        };
        writeln!(table, "| `{}` | {kind} | {from} |", field.name()).unwrap();
    }
    let drawn = schemas("lake-row.md");
    assert!(drawn.contains(&table), "schemas/lake-row.md must contain this table:\n{table}");
    for column in STATS_COLUMNS {
        assert!(drawn.contains(&format!("`{column}`")));
    }
}

/// The members of a JSON value, nested ones with dots, arrays by their first element.
fn members(prefix: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let name = format!("{prefix}{name}");
                names.push(name.clone());
                members(&format!("{name}."), value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(prefix, item, names)),
        _ => {}
    }
}

#[test]
fn a_catalog_entry_has_the_members_that_are_drawn_and_no_others() {
    let scene = Scene::new();
    scene.file("a.json.gz", gzip(log(&[record(1), "7".into()])));
    scene.ingest();
    let ledger = scene.dir.path().join("lake/catalog");
    let mut lake = scene.open();
    // The catalog is a ledger, so it can stand for any.
    let copy = scene.dir.path().join("copy");
    keytrail_testkit::Image::read(&ledger).write(&copy);
    lake.ingest(&[keytrail_lake::Source::Ledger(copy)], &IngestOptions::default(), &()).unwrap();
    lake.close().unwrap();
    let mut names = Vec::new();
    for frame in Reader::open(&ledger).unwrap().frames(0) {
        let frame = frame.unwrap();
        if frame.entry.kind == EntryKind::Segment {
            members("", &serde_json::from_slice(&frame.payload).unwrap(), &mut names);
        }
    }
    names.sort();
    names.dedup();
    let drawn = schemas("catalog.md");
    let mut documented: Vec<_> = drawn
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    documented.sort();
    assert_eq!(names, documented);
}

#[test]
fn a_data_file_is_sorted_and_says_so() {
    let scene = Scene::new();
    let mut records: Vec<_> = (0..500).rev().map(record).collect();
    records.push(r#"{"eventVersion":"1.11","eventName":"GetObject"}"#.into());
    scene.file("a.json", log(&records));
    scene.ingest();
    let snapshot = scene.open().snapshot().unwrap();
    let path = LakePaths::new(scene.root()).events().join(&snapshot.files[0].path);
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let column = |name: &str| {
        let columns = group.columns().iter();
        columns.into_iter().find(|it| it.column_path().string() == name).unwrap()
    };
    let sorting: Vec<_> = group
        .sorting_columns()
        .unwrap()
        .iter()
        .map(|it| {
            let column = group.column(usize::try_from(it.column_idx).unwrap());
            (column.column_path().string(), it.descending, it.nulls_first)
        })
        .collect();
    assert_eq!(sorting, [("key_arn".into(), false, false), ("event_time".into(), false, false)]);
    assert!(column("event_time").encodings().any(|it| it == Encoding::DELTA_BINARY_PACKED));
    assert!(matches!(column("event_name").compression(), Compression::ZSTD(_)));
    for name in ["event_id", "access_key_id", "source_ip_address"] {
        assert!(column(name).bloom_filter_offset().is_some(), "{name}");
    }
    assert!(column("key_arn").bloom_filter_offset().is_none());

    let keys: Vec<Option<(String, i64)>> = {
        use parquet::record::RowAccessor;
        reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                let at = |name| keytrail_event::column(name).unwrap();
                let key = row.get_string(at("key_arn")).ok()?.clone();
                Some((key, row.get_timestamp_micros(at("event_time")).unwrap()))
            })
            .collect()
    };
    assert_eq!(keys.iter().position(Option::is_none), Some(500), "rows without a key come last");
    assert!(keys[..500].is_sorted());
}

#[test]
fn statistics_hold_the_bounds_of_the_columns() {
    use keytrail_lake::StatValue;
    let scene = Scene::new();
    scene.file("a.json", log(&(0..60).map(record).collect::<Vec<_>>()));
    scene.ingest();
    let snapshot = scene.open().snapshot().unwrap();
    let stats = &snapshot.files[0].stats.columns;
    let time = |second: i64| Some(StatValue::Time((1_748_833_440 + second) * 1_000_000));
    assert_eq!(
        (stats["event_time"].min.clone(), stats["event_time"].max.clone()),
        (time(0), time(59))
    );
    let key = |at| {
        let arn = "arn:aws:kms:us-east-1:111122223333:key";
        Some(StatValue::Text(format!("{arn}/0000000{at}-0000-4000-8000-000000000000")))
    };
    assert_eq!((stats["key_arn"].min.clone(), stats["key_arn"].max.clone()), (key(0), key(6)));
    assert_eq!((stats["error_code"].min.clone(), stats["error_code"].nulls), (None, 60));
    assert_eq!(stats.len(), STATS_COLUMNS.len());
}
