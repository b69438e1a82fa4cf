//! The Delta table, through `delta_kernel`: the only module that names it, because its interface moves with each
//! release.
//!
//! The kernel plans a commit, we make it real. Its `Committer` is where a commit is meant to happen; ours only hands
//! the bytes of the log file out ([`Planned`]), so that the order of things (catalog first, then the log) is written in
//! one place, [`crate::Lake::commit`]. After that, [`Table::advance`] takes the kernel's own idea of the new state over.
//!
//! The kernel stamps commits with the clock of the machine; nothing of ours reads that time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use delta_kernel::committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata};
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt};
use delta_kernel::object_store::local::LocalFileSystem;
use delta_kernel::schema::StructType;
use delta_kernel::table_features::TableFeature;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::{CommitResult, UpdateTableOperation};
use delta_kernel::{
    Engine, FileMeta, FilteredEngineData, KernelError, KernelResult, KernelResultIterator,
    Snapshot, SnapshotRef,
};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::stats::{ColumnStats, FileStats, STATS_COLUMNS, StatValue};
use crate::{LakeError, rows};

/// Named in each commit's `commitInfo`.
const ENGINE_INFO: &str = concat!("keytrail/", env!("CARGO_PKG_VERSION"));

/// Features under which the same files would hold other rows, or the same columns other names.
const FORBIDDEN: &[TableFeature] =
    &[TableFeature::DeletionVectors, TableFeature::ColumnMapping, TableFeature::RowTracking];

/// A data file that is to be added.
#[derive(Clone, Debug)]
pub(crate) struct AddedFile {
    /// Path relative to the table.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// Time of the commit, in milliseconds since 1970.
    pub(crate) modified_ms: u64,
    /// What is known of its columns.
    pub(crate) stats: FileStats,
}

/// A commit that is planned and not yet made.
pub(crate) struct Planned {
    /// The version it makes.
    pub(crate) version: u64,
    /// The bytes of its log file.
    pub(crate) bytes: String,
    /// The table after it, if the kernel knows.
    after: Option<SnapshotRef>,
}

/// The table as the kernel sees it.
pub(crate) struct Table {
    engine: DefaultEngine<TokioMultiThreadExecutor>,
    /// Runs what the kernel does asynchronously. Ours, so that [`Drop`] decides how it ends.
    runtime: Option<Runtime>,
    snapshot: Option<SnapshotRef>,
    dir: PathBuf,
    url: Url,
}

impl Drop for Table {
    fn drop(&mut self) {
        // Waiting for its threads, as a runtime does by itself, is not allowed on an asynchronous caller's thread.
        // There is nothing to wait for either: each call of ours ended with its work done.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Table {
    /// The table in this directory, which must exist; it may be without any commit.
    pub(crate) fn open(dir: &Path) -> Result<Self, LakeError> {
        // The kernel speaks of files by URL, and a URL has no relative form.
        let absolute = std::path::absolute(dir).map_err(LakeError::io("find", dir))?;
        let url = Url::from_directory_path(&absolute)
            .map_err(|()| LakeError::NoLake { path: dir.to_owned() })?;
        // The kernel's default executor, one background thread, deadlocks in `checkpoint`.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(LakeError::delta("start a thread for", dir))?;
        let executor = TokioMultiThreadExecutor::new(runtime.handle().clone());
        let engine = DefaultEngineBuilder::new(Arc::new(LocalFileSystem::new()))
            .with_task_executor(Arc::new(executor))
            .build();
        Ok(Self { engine, runtime: Some(runtime), snapshot: None, dir: dir.to_owned(), url })
    }

    /// Plans the commit that creates the table, version 0.
    pub(crate) fn plan_create(&self) -> Result<Planned, LakeError> {
        let fail = || LakeError::delta("plan the creation of", &self.dir);
        let schema = StructType::try_from_arrow(rows::schema().as_ref())
            .map_err(LakeError::delta("describe the columns of", &self.dir))?;
        let (committer, taken) = HandOut::new();
        let properties = [
            // Other tools delete commits after 30 days; the catalog would then name what no reader finds.
            ("delta.enableExpiredLogCleanup", "false".to_owned()),
            ("delta.dataSkippingStatsColumns", STATS_COLUMNS.join(",")),
        ];
        let result = create_table(self.url.as_str(), Arc::new(schema), ENGINE_INFO, DATA_CHANGE)
            .with_table_properties(properties)
            .build(&self.engine, Box::new(committer))
            .and_then(|transaction| transaction.commit(&self.engine))
            .map_err(fail())?;
        let after = match result {
            CommitResult::Committed(committed) => committed.post_commit_snapshot().cloned(),
            _ => None,
        };
        taken.planned(after).map_err(fail())
    }

    /// Plans a commit that adds files, possibly none.
    pub(crate) fn plan_append(&mut self, files: &[AddedFile]) -> Result<Planned, LakeError> {
        let snapshot = self.current()?;
        let fail = || LakeError::delta("plan a commit to", &self.dir);
        let (committer, taken) = HandOut::new();
        let mut transaction = snapshot
            .update_table(UpdateTableOperation::Write, ENGINE_INFO, DATA_CHANGE)
            .build(&self.engine, Box::new(committer))
            .map_err(fail())?;
        if !files.is_empty() {
            let batch = added_batch(files).map_err(fail())?;
            transaction.add_files(Box::new(ArrowEngineData::new(batch)));
        }
        let after = match transaction.commit(&self.engine).map_err(fail())? {
            CommitResult::Committed(committed) => committed.post_commit_snapshot().cloned(),
            _ => None,
        };
        taken.planned(after).map_err(fail())
    }

    /// A planned commit was made: catalog and log have it.
    pub(crate) fn advance(&mut self, planned: Planned) {
        self.snapshot = planned.after;
    }

    /// The newest state of the table in the log; refuses features that change what a row is.
    fn current(&mut self) -> Result<SnapshotRef, LakeError> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Snapshot::builder_for(self.url.as_str())
            .build(&self.engine)
            .map_err(LakeError::delta("open", &self.dir))?;
        let configuration = snapshot.table_configuration();
        if let Some(feature) = FORBIDDEN.iter().find(|it| configuration.is_feature_supported(it)) {
            let feature = feature.to_string();
            return Err(LakeError::DeltaFeature { path: self.dir.clone(), feature });
        }
        self.snapshot = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

/// Our commits change data; only a compaction would not.
const DATA_CHANGE: bool = true;

/// The committer that makes nothing real: it serialises the actions, as the kernel's own would, and hands them out.
struct HandOut(Sender<(u64, String)>);

struct Taken(std::sync::mpsc::Receiver<(u64, String)>);

impl HandOut {
    fn new() -> (Self, Taken) {
        let (sender, receiver) = channel();
        (Self(sender), Taken(receiver))
    }
}

impl Taken {
    fn planned(self, after: Option<SnapshotRef>) -> KernelResult<Planned> {
        let kept = |_| KernelError::generic("the kernel did not hand its commit out");
        let (version, bytes) = self.0.try_recv().map_err(kept)?;
        Ok(Planned { version, bytes, after })
    }
}

impl Committer for HandOut {
    fn commit(
        &self,
        _: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        for action in actions {
            let batch = action?.apply_selection_vector()?.try_into_record_batch()?;
            writer.write(&batch)?;
        }
        writer.finish()?;
        let bytes = String::from_utf8(writer.into_inner()).map_err(KernelError::generic_err)?;
        let size = bytes.len() as u64;
        let location = metadata.published_commit_path()?;
        self.0
            .send((metadata.version(), bytes))
            .map_err(|_| KernelError::generic("nobody waits"))?;
        Ok(CommitResponse::Committed {
            file_meta: FileMeta::new(location, metadata.in_commit_timestamp(), size),
        })
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _: &dyn Engine, _: PublishMetadata) -> KernelResult<()> {
        Ok(())
    }
}

/// The `add` actions as the kernel takes them: one row a file, statistics as a struct with our columns.
fn added_batch(files: &[AddedFile]) -> KernelResult<RecordBatch> {
    let mut decoder =
        ReaderBuilder::new(added_schema()).with_batch_size(files.len()).build_decoder()?;
    let rows: Vec<Value> = files.iter().map(added_json).collect();
    decoder.serialize(&rows)?;
    decoder.flush()?.ok_or_else(|| KernelError::generic("no files to add"))
}

fn added_json(file: &AddedFile) -> Value {
    let pick = |of: fn(&ColumnStats) -> Option<Value>| -> BTreeMap<&str, Value> {
        let columns = file.stats.columns.iter();
        columns.filter_map(|(name, stats)| Some((name.as_str(), of(stats)?))).collect()
    };
    json!({
        "path": file.path,
        "partitionValues": {},
        "size": file.size,
        "modificationTime": file.modified_ms,
        "stats": {
            "numRecords": file.rows,
            "nullCount": pick(|stats| Some(json!(stats.nulls))),
            "minValues": pick(|stats| stats.min.as_ref().map(stat_json)),
            "maxValues": pick(|stats| stats.max.as_ref().map(stat_json)),
            "tightBounds": true,
        },
    })
}

fn stat_json(value: &StatValue) -> Value {
    match value {
        StatValue::Text(text) => json!(text),
        // Whole milliseconds already: the kernel would round a largest value down.
        StatValue::Time(micros) => json!(micros),
        StatValue::Integer(integer) => json!(integer),
    }
}

fn added_schema() -> SchemaRef {
    let columns = |of: &dyn Fn(&Field) -> DataType| -> DataType {
        let schema = rows::schema();
        let fields =
            schema.fields().iter().filter(|it| STATS_COLUMNS.contains(&it.name().as_str()));
        DataType::Struct(fields.map(|it| Field::new(it.name(), of(it), true)).collect::<Fields>())
    };
    let values = |field: &Field| match field.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    };
    let stats = DataType::Struct(Fields::from(vec![
        Field::new("numRecords", DataType::Int64, true),
        Field::new("nullCount", columns(&|_| DataType::Int64), true),
        Field::new("minValues", columns(&values), true),
        Field::new("maxValues", columns(&values), true),
        Field::new("tightBounds", DataType::Boolean, true),
    ]));
    let partition = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    let partition = Field::new("key_value", DataType::Struct(partition), false);
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("partitionValues", DataType::Map(Arc::new(partition), false), false),
        Field::new("size", DataType::Int64, false),
        Field::new("modificationTime", DataType::Int64, false),
        Field::new("stats", stats, true),
    ]))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

    use super::*;

    fn publish(dir: &Path, planned: &Planned) {
        let log = dir.join("_delta_log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join(format!("{:020}.json", planned.version)), &planned.bytes).unwrap();
    }

    fn stats() -> FileStats {
        let text = |min: &str, max: &str, nulls| ColumnStats {
            min: Some(StatValue::Text(min.into())),
            max: Some(StatValue::Text(max.into())),
            nulls,
        };
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{}", "0".repeat(36));
        let time = |micros| Some(StatValue::Time(micros));
        let columns = [
            ("key_arn", text(&arn, &arn, 3)),
            (
                "event_time",
                ColumnStats { min: time(0), max: time(1_700_000_000_000_000), nulls: 0 },
            ),
            (
                "sequence",
                ColumnStats {
                    min: Some(StatValue::Integer(1)),
                    max: Some(StatValue::Integer(9)),
                    nulls: 1,
                },
            ),
            ("error_code", ColumnStats { min: None, max: None, nulls: 9 }),
        ];
        FileStats { columns: columns.map(|(name, stats)| (name.to_owned(), stats)).into() }
    }

    #[test]
    fn a_planned_commit_is_real_only_once_it_is_published() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::open(dir.path()).unwrap();
        let created = table.plan_create().unwrap();
        assert_eq!(created.version, 0);
        assert!(!dir.path().join("_delta_log").exists());
        publish(dir.path(), &created);
        table.advance(created);

        let file = AddedFile {
            path: "part-1.parquet".into(),
            size: 10,
            rows: 9,
            modified_ms: 1_000,
            stats: stats(),
        };
        let planned = table.plan_append(std::slice::from_ref(&file)).unwrap();
        let again = table.plan_append(std::slice::from_ref(&file)).unwrap();
        assert_eq!((planned.version, again.version), (1, 1));
        publish(dir.path(), &planned);
        table.advance(planned);
        let empty = table.plan_append(&[]).unwrap();
        assert_eq!(empty.version, 2);
        publish(dir.path(), &empty);

        // Another process sees it through the log.
        let mut reopened = Table::open(dir.path()).unwrap();
        assert_eq!(reopened.current().unwrap().version(), 2);
        let added: Value = again
            .bytes
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .find(|action: &Value| action.get("add").is_some())
            .unwrap();
        let text = added["add"]["stats"].as_str().unwrap();
        assert_eq!(FileStats::from_delta(text), stats());
    }

    /// The command line's default data directory is a relative path.
    #[test]
    fn a_table_may_be_named_by_a_relative_path() {
        let dir = tempfile::tempdir().unwrap();
        let here = std::env::current_dir().unwrap();
        let mut relative: PathBuf = here.components().skip(1).map(|_| "..").collect();
        relative.extend(dir.path().components().skip(1));
        assert!(relative.is_relative() && relative.is_dir());
        let planned = Table::open(&relative).unwrap().plan_create().unwrap();
        publish(&relative, &planned);
        assert!(Table::open(&relative).unwrap().plan_append(&[]).is_ok());
    }

    #[test]
    fn a_table_with_deletion_vectors_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::open(dir.path()).unwrap();
        let mut created = table.plan_create().unwrap();
        created.bytes = created
            .bytes
            .lines()
            .map(|line| {
                if line.contains("\"protocol\"") {
                    r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#.to_owned() + "\n"
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        publish(dir.path(), &created);
        let error = Table::open(dir.path()).unwrap().plan_append(&[]).err().unwrap();
        assert!(matches!(error, LakeError::DeltaFeature { .. }), "{error}");
    }
}
