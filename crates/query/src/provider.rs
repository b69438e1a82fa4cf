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
        pruning::PrunableStatistics, stats::Precision,
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
    physical_plan::ExecutionPlan,
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
        if !candidates.contains(&true) {
            return Ok(Statistics::new_unknown(&self.schema).with_num_rows(Precision::Exact(0)));
        }
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
