//! The table over a committed list of Parquet files.
//!
//! Guarantees: the table holds exactly the files it was given (invariant 7: a table is built from committed files only,
//! never from a directory listing), and a plan names only files whose bounds leave room for a matching row. What
//! happens inside a file is DataFusion's: filters reach its Parquet source, which drops row groups by statistics and
//! bloom filters, then pages by the page index, and decodes the other columns of matching rows only.
//!
//! Which bounds to believe is the caller's choice: a wrong bound hides rows without any error. Keytrail takes them
//! from commits that the signed catalog covers, and `verify` compares the commit files with it (attack 11 of the threat
//! list).
//!
//! ```text
//! filters ──► bounds of each file ──► files that may match ──► one scan, split over the partitions
//!                                                              └─ row groups ─► pages ─► rows
//! ```

use std::{path::Path, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{
        ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics,
        project_schema, pruning::PrunableStatistics, stats::Precision,
    },
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{
            FileGroup, FileScanConfigBuilder, ParquetSource,
            parquet::CachedParquetFileReaderFactory,
        },
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, utils::conjunction},
    physical_optimizer::pruning::PruningPredicateBuilder,
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};

/// `key_arn IN (…)` prunes up to this many keys; DataFusion's 20 is too few for an alias or an id that several accounts
/// share.
pub(crate) const IN_LIST_MAX: usize = 256;

/// What is known of one column of one file without opening it.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Column name.
    pub(crate) column: String,
    /// The smallest value, exactly: `MIN` is answered with it. `None`: unknown, or all are null.
    pub(crate) min: Option<ScalarValue>,
    /// The greatest value, exactly. `None`: unknown, or all are null.
    pub(crate) max: Option<ScalarValue>,
    /// Rows without a value. `None`: unknown.
    pub(crate) nulls: Option<u64>,
}

/// One committed file of a table.
#[derive(Clone, Debug)]
pub(crate) struct TableFile {
    scan: PartitionedFile,
    rows: u64,
    bounds: Vec<Bounds>,
}

impl TableFile {
    /// A file at an absolute path.
    pub(crate) fn new(
        path: &Path,
        bytes: u64,
        rows: u64,
        bounds: Vec<Bounds>,
    ) -> Result<TableFile> {
        let mut scan = PartitionedFile::new("", bytes);
        scan.object_meta.location = object_store::path::Path::from_absolute_path(path)
            .map_err(|error| DataFusionError::ObjectStore(Box::new(error.into())))?;
        Ok(TableFile { scan, rows, bounds })
    }
}

/// A table over committed Parquet files.
#[derive(Debug)]
pub(crate) struct FileTable {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    /// Of each file.
    statistics: Vec<Arc<Statistics>>,
}

impl FileTable {
    /// A table with the columns of `schema` over `files`, which may be empty.
    pub(crate) fn new(schema: &SchemaRef, files: Vec<TableFile>) -> FileTable {
        let mut table = FileTable {
            schema: Arc::clone(schema),
            files: Vec::with_capacity(files.len()),
            statistics: Vec::with_capacity(files.len()),
        };
        for file in files {
            let statistics = Arc::new(statistics(schema, &file));
            // DataFusion prunes by these once more at run time, with filters that only then exist (top-k, joins).
            table.files.push(file.scan.with_statistics(Arc::clone(&statistics)));
            table.statistics.push(statistics);
        }
        table
    }

    /// Which files may hold a row that satisfies all `filters`.
    fn candidates(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<bool>> {
        let every = vec![true; self.files.len()];
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(every) };
        let columns = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = state.create_physical_expr(filter, &columns)?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .with_max_in_list_size(IN_LIST_MAX)
            .build(filter);
        match predicate {
            Some(predicate) => predicate
                .prune(&PrunableStatistics::new(self.statistics.clone(), Arc::clone(&self.schema))),
            // A filter that says nothing about bounds, such as a function of two columns.
            None => Ok(every),
        }
    }

    /// The statistics of a scan over the candidates: what answers `count(*)`, `MIN` and `MAX` without reading.
    fn total(&self, candidates: &[bool]) -> Result<Statistics> {
        let files = pick(&self.statistics, candidates).map(Arc::as_ref);
        Statistics::try_merge_iter(files, &self.schema)
    }
}

fn pick<'a, T>(all: &'a [T], picked: &'a [bool]) -> impl Iterator<Item = &'a T> {
    all.iter().zip(picked).filter_map(|(item, picked)| picked.then_some(item))
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Inexact: a filter only picks files here. DataFusion keeps it, and its physical optimizer moves it into the
    /// Parquet source, where it picks row groups, pages and rows.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let candidates = self.candidates(state, filters)?;
        if !candidates.contains(&true) {
            // A scan without files would have no partitions, which the planner does not expect below a UNION.
            let schema = project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let total = self.total(&candidates)?;
        let files = pick(&self.files, &candidates).cloned().collect();
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());

        let store_url = ObjectStoreUrl::local_filesystem();
        let store = state.runtime_env().object_store(&store_url)?;
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let source = ParquetSource::new(TableSchema::from(Arc::clone(&self.schema)))
            .with_table_parquet_options(state.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(
                store, footers,
            )));
        let scan = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(total)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// `file`'s bounds in DataFusion's form.
fn statistics(schema: &SchemaRef, file: &TableFile) -> Statistics {
    let rows = usize::try_from(file.rows).map_or(Precision::Absent, Precision::Exact);
    let mut all = Statistics::new_unknown(schema).with_num_rows(rows);
    for bounds in &file.bounds {
        let Ok(index) = schema.index_of(&bounds.column) else { continue };
        let kind = schema.field(index).data_type();
        let exact = |value: &Option<ScalarValue>| {
            let value = value.as_ref().and_then(|value| value.cast_to(kind).ok());
            value.map_or(Precision::Absent, Precision::Exact)
        };
        let nulls = bounds.nulls.and_then(|nulls| usize::try_from(nulls).ok());
        all.column_statistics[index] = ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, Precision::Exact),
            min_value: exact(&bounds.min),
            max_value: exact(&bounds.max),
            ..ColumnStatistics::new_unknown()
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::Arc};

    use arrow::{
        array::{Array, AsArray, Int64Array, RecordBatch, StringViewArray},
        datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    };
    use datafusion::{
        common::ScalarValue,
        datasource::physical_plan::{FileGroup, FileScanConfig, ParquetSource},
        datasource::source::DataSourceExec,
        physical_plan::{ExecutionPlan, collect, displayable},
        prelude::{SessionConfig, SessionContext},
    };
    use parquet::arrow::ArrowWriter;

    use super::{Bounds, FileTable, TableFile};

    /// Three files of ten rows: keys `a…`, `b…` and `c…`, numbers 0–9, 10–19, 20–29. The last column has no bounds.
    struct Fixture {
        context: SessionContext,
        _dir: tempfile::TempDir,
    }

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("key", DataType::Utf8View, true),
            Field::new("n", DataType::Int64, true),
            Field::new("unbounded", DataType::Int64, true),
        ]))
    }

    fn fixture(true_rows: u64) -> Fixture {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = Vec::new();
        for (index, letter) in (0..).zip(["a", "b", "c"]) {
            let numbers = index * 10..index * 10 + 10;
            let keys = StringViewArray::from_iter_values(
                numbers.clone().map(|n| format!("{letter}{n:02}")),
            );
            let numbers = Int64Array::from_iter_values(numbers);
            let (first, last) = (keys.value(0).to_owned(), keys.value(9).to_owned());
            let bounds = vec![
                text_bounds("key", first, last),
                Bounds {
                    column: "n".to_owned(),
                    min: Some(ScalarValue::Int64(Some(index * 10))),
                    max: Some(ScalarValue::Int64(Some(index * 10 + 9))),
                    nulls: Some(0),
                },
            ];
            let columns: Vec<Arc<dyn Array>> =
                vec![Arc::new(keys), Arc::new(numbers.clone()), Arc::new(numbers)];
            let batch = RecordBatch::try_new(schema(), columns).expect("a batch");
            let path = dir.path().join(format!("{letter} %20.parquet"));
            let mut writer =
                ArrowWriter::try_new(File::create(&path).expect("a file"), schema(), None)
                    .expect("a writer");
            writer.write(&batch).expect("written");
            writer.close().expect("closed");
            let bytes = path.metadata().expect("there").len();
            files.push(TableFile::new(&path, bytes, true_rows, bounds).expect("a file"));
        }
        let mut config = SessionConfig::new().with_target_partitions(2);
        config.options_mut().execution.parquet.pushdown_filters = true;
        let context = SessionContext::new_with_config(config);
        let table = FileTable::new(&schema(), files);
        context.register_table("t", Arc::new(table)).expect("registered");
        Fixture { context, _dir: dir }
    }

    fn text_bounds(column: &str, min: String, max: String) -> Bounds {
        Bounds {
            column: column.to_owned(),
            min: Some(ScalarValue::Utf8View(Some(min))),
            max: Some(ScalarValue::Utf8View(Some(max))),
            nulls: Some(0),
        }
    }

    impl Fixture {
        async fn plan(&self, sql: &str) -> Arc<dyn ExecutionPlan> {
            let frame = self.context.sql(sql).await.expect("valid SQL");
            frame.create_physical_plan().await.expect("a plan")
        }

        /// Names of the files that the plan of `sql` reads, sorted.
        async fn files(&self, sql: &str) -> Vec<String> {
            let mut names = scanned(&self.plan(sql).await);
            names.sort();
            names
        }

        async fn number(&self, sql: &str) -> i64 {
            let batches =
                collect(self.plan(sql).await, self.context.task_ctx()).await.expect("an answer");
            batches[0].column(0).as_primitive::<Int64Type>().value(0)
        }
    }

    fn scanned(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
        let mut names: Vec<String> = plan.children().into_iter().flat_map(scanned).collect();
        if let Some(scan) = plan.downcast_ref::<DataSourceExec>()
            && let Some((config, _)) = scan.downcast_to_file_source::<ParquetSource>()
        {
            let config: &FileScanConfig = config;
            let files = config.file_groups.iter().flat_map(FileGroup::files);
            names.extend(files.map(|file| file.path().filename().expect("a name")[..1].to_owned()));
        }
        names
    }

    #[tokio::test]
    async fn only_files_that_may_match_are_in_the_plan() {
        let t = fixture(10);
        assert_eq!(t.files("SELECT * FROM t").await, ["a", "b", "c"]);
        assert_eq!(t.files("SELECT * FROM t WHERE key = 'b13'").await, ["b"]);
        assert_eq!(t.files("SELECT * FROM t WHERE n >= 19 AND key < 'c'").await, ["b"]);
        assert_eq!(t.files("SELECT * FROM t WHERE key IN ('a00', 'c29')").await, ["a", "c"]);
        assert_eq!(t.files("SELECT * FROM t WHERE key = 'a00' OR n = 25").await, ["a", "c"]);
        assert_eq!(t.files("SELECT * FROM t WHERE key IS NULL").await, [""; 0]);
        assert_eq!(t.files("SELECT * FROM t WHERE unbounded = 25").await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_pruned_plan_gives_the_same_rows() {
        let t = fixture(10);
        assert_eq!(t.number("SELECT count(*) FROM t WHERE n BETWEEN 8 AND 21").await, 14);
        assert_eq!(
            t.number("SELECT sum(unbounded) FROM t WHERE key >= 'b18'").await,
            18 + 19 + 245
        );
        assert_eq!(t.number("SELECT count(*) FROM t WHERE key = 'zz'").await, 0);
    }

    /// A limit must count matching rows: pushed below a filter that is still to be applied it would lose some.
    #[tokio::test]
    async fn a_limit_counts_only_rows_that_match() {
        let t = fixture(10);
        let sql = "SELECT sum(n) FROM (SELECT n FROM t WHERE unbounded % 10 = 9 LIMIT 3)";
        assert_eq!(t.number(sql).await, 9 + 19 + 29);
    }

    #[tokio::test]
    async fn counts_and_extremes_are_answered_without_reading() {
        // A row count that only the file list says shows where the answer comes from.
        let t = fixture(1_000);
        assert_eq!(t.number("SELECT count(*) FROM t").await, 3_000);
        assert_eq!(t.number("SELECT max(n) FROM t").await, 29);
        let plan = t.plan("SELECT count(*), min(n), max(n) FROM t").await;
        assert_eq!(scanned(&plan), [""; 0], "{}", displayable(plan.as_ref()).indent(false));
    }
}
