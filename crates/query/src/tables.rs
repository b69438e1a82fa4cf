//! The tables of a session.
//!
//! | table | rows |
//! |---|---|
//! | `records` | every row of the lake, with the columns that make it lossless and say where it came from |
//! | `events` | every event once: CloudTrail's columns, `actor`, `via` ([`views/events.sql`](../views/events.sql)) |
//! | `key_events` | every key that an event names ([`views/key_events.sql`](../views/key_events.sql)) |
//! | `sources` | every log file and ledger range that was taken in, from its receipt |
//!
//! `records` reads the files of the snapshot, the next two are views over it, `sources` lies in memory.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringViewArray, UInt64Array},
    datatypes::{DataType, Schema, SchemaRef},
};
use datafusion::{
    common::ScalarValue,
    datasource::{MemTable, ViewTable},
    execution::context::SessionContext,
};
use datafusion_functions_json::json_field_metadata;
use keytrail_event::{COLUMNS, Kind};
use keytrail_lake::{ReceiptSource, Snapshot, SourceReceipt, StatValue, rows};

use crate::{
    QueryError,
    provider::{Bounds, FileTable, TableFile},
    session::{execution, planning},
};

const EVENTS: &str = include_str!("../views/events.sql");
const KEY_EVENTS: &str = include_str!("../views/key_events.sql");

/// Registers all tables over `snapshot`.
pub(crate) async fn register(
    context: &SessionContext,
    snapshot: &Snapshot,
) -> Result<(), QueryError> {
    let records = FileTable::new(&schema(), files(snapshot)?);
    context.register_table("records", Arc::new(records)).map_err(execution)?;
    let sources = sources(snapshot)?;
    let sources = MemTable::try_new(sources.schema(), vec![vec![sources]]).map_err(execution)?;
    context.register_table("sources", Arc::new(sources)).map_err(execution)?;
    register_view(context, "events", &events_sql(snapshot)).await?;
    register_view(context, "key_events", &KEY_EVENTS.replace("{columns}", &columns())).await
}

/// Views are planned once for the session; each query only inlines them.
async fn register_view(context: &SessionContext, name: &str, sql: &str) -> Result<(), QueryError> {
    let plan = context.state().create_logical_plan(sql).await.map_err(planning)?;
    let view = ViewTable::new(plan, Some(sql.to_owned()));
    context.register_table(name, Arc::new(view)).map_err(execution)?;
    Ok(())
}

/// The names of CloudTrail's columns, in order.
fn columns() -> String {
    COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// A lake whose receipts count no duplicate needs no look at the column: `count(*)` then comes from the catalog.
fn events_sql(snapshot: &Snapshot) -> String {
    let sql = EVENTS.replace("{columns}", &columns());
    let duplicates: u64 = snapshot.receipts.iter().map(|receipt| receipt.duplicates).sum();
    if duplicates == 0 { sql.replace("WHERE NOT duplicate", "") } else { sql }
}

/// The lake's schema as queries see it: text as views, which DataFusion compares and groups without copying, and JSON
/// columns marked as such, so that `json` output nests them.
fn schema() -> SchemaRef {
    let is_json =
        |name: &str| COLUMNS.iter().any(|column| column.name == name && column.kind == Kind::Json);
    let mut fields = Vec::with_capacity(rows::ROW_COLUMN_COUNT);
    for field in rows::schema().fields() {
        let mut field = field.as_ref().clone();
        if *field.data_type() == DataType::Utf8 {
            field = field.with_data_type(DataType::Utf8View);
        }
        if is_json(field.name()) {
            field = field.with_metadata(json_field_metadata());
        }
        fields.push(field);
    }
    Arc::new(Schema::new(fields))
}

fn files(snapshot: &Snapshot) -> Result<Vec<TableFile>, QueryError> {
    let events = std::path::absolute(&snapshot.events)
        .map_err(|source| QueryError::Path { path: snapshot.events.clone(), source })?;
    let mut files = Vec::with_capacity(snapshot.files.len());
    for file in &snapshot.files {
        let bounds = file.stats.columns.iter().map(|(column, stats)| Bounds {
            column: column.clone(),
            min: stats.min.as_ref().and_then(scalar),
            max: stats.max.as_ref().and_then(scalar),
            nulls: Some(stats.nulls),
        });
        let path = events.join(&file.path);
        let file = TableFile::new(&path, file.size, file.rows, bounds.collect());
        files.push(file.map_err(execution)?);
    }
    Ok(files)
}

fn scalar(bound: &StatValue) -> Option<ScalarValue> {
    match bound {
        StatValue::Text(text) => Some(ScalarValue::Utf8View(Some(text.clone()))),
        StatValue::Time(micros) => {
            Some(ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into())))
        }
        StatValue::Integer(number) => Some(ScalarValue::Int64(Some(*number))),
        // A kind of bound that this crate does not know yet prunes nothing.
        _ => None,
    }
}

/// The table `sources`. For a log file `sha256` and `size` are those of the file as stored; for a ledger `first` and
/// `end` (exclusive) are the range of its entries. `version` is the table version that added the rows.
fn sources(snapshot: &Snapshot) -> Result<RecordBatch, QueryError> {
    let versions: HashMap<&str, u64> =
        snapshot.files.iter().map(|file| (file.path.as_str(), file.version)).collect();
    let version = |receipt: &SourceReceipt| versions.get(receipt.data_file.as_deref()?).copied();
    let receipts = &snapshot.receipts;
    let columns: [(&str, ArrayRef); 13] = [
        ("kind", texts(receipts, |receipt| Some(origin(receipt).kind.to_owned()))),
        ("source", texts(receipts, |receipt| Some(origin(receipt).name.to_owned()))),
        ("sha256", texts(receipts, |receipt| origin(receipt).sha256)),
        ("size", numbers(receipts, |receipt| origin(receipt).size)),
        ("first", numbers(receipts, |receipt| Some(origin(receipt).range?.0))),
        ("end", numbers(receipts, |receipt| Some(origin(receipt).range?.1))),
        ("records", numbers(receipts, |receipt| Some(receipt.records))),
        ("rows", numbers(receipts, |receipt| Some(receipt.rows))),
        ("duplicates", numbers(receipts, |receipt| Some(receipt.duplicates))),
        ("quarantined", numbers(receipts, |receipt| Some(receipt.quarantined.len() as u64))),
        ("root", texts(receipts, |receipt| Some(receipt.root.to_string()))),
        ("data_file", texts(receipts, |receipt| receipt.data_file.clone())),
        ("version", numbers(receipts, version)),
    ];
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The parts of a receipt's source that become columns.
#[derive(Default)]
struct Origin<'a> {
    kind: &'static str,
    name: &'a str,
    sha256: Option<String>,
    size: Option<u64>,
    range: Option<(u64, u64)>,
}

fn origin(receipt: &SourceReceipt) -> Origin<'_> {
    match &receipt.source {
        ReceiptSource::File { name, size, sha256 } => Origin {
            kind: "file",
            name,
            sha256: Some(sha256.to_string()),
            size: Some(*size),
            range: None,
        },
        ReceiptSource::Ledger { origin, first, end, .. } => Origin {
            kind: "ledger",
            name: origin,
            range: Some((*first, *end)),
            ..Origin::default()
        },
        _ => Origin { kind: "other", ..Origin::default() },
    }
}

fn texts(receipts: &[SourceReceipt], value: impl Fn(&SourceReceipt) -> Option<String>) -> ArrayRef {
    Arc::new(receipts.iter().map(value).collect::<StringViewArray>())
}

fn numbers(receipts: &[SourceReceipt], value: impl Fn(&SourceReceipt) -> Option<u64>) -> ArrayRef {
    Arc::new(receipts.iter().map(value).collect::<UInt64Array>())
}
