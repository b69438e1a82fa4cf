//! The two tamperings that `keytrail demo` stages: one bit in a ledger segment, one cell in a Parquet file.
//!
//! The second is the interesting one: the file is read and written again as a valid Parquet file with fresh statistics, so
//! that every other tool would read it without complaint.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Flips one bit of `file` at `offset`.
pub(crate) fn flip_bit(file: &Path, offset: usize) -> anyhow::Result<()> {
    let mut bytes = fs::read(file).with_context(|| format!("{}", file.display()))?;
    ensure!(offset < bytes.len(), "{} ends before byte {offset}", file.display());
    bytes[offset] ^= 1;
    fs::write(file, bytes).with_context(|| format!("{}", file.display()))
}

/// Writes `text` into one cell of a text column and the whole file anew; the cell's old text.
pub(crate) fn edit_cell(
    file: &Path,
    column: &str,
    row: usize,
    text: &str,
) -> anyhow::Result<String> {
    let batch = read(file)?;
    let index = batch.schema().index_of(column)?;
    let cells: &StringArray =
        batch.column(index).as_any().downcast_ref().context("not a text column")?;
    let old = cells.value(row).to_owned();
    let edited: StringArray = (0..cells.len())
        .map(|at| if at == row { Some(text) } else { cells.is_valid(at).then(|| cells.value(at)) })
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[index] = Arc::new(edited);
    let edited = RecordBatch::try_new(batch.schema(), columns)?;
    let mut writer = ArrowWriter::try_new(File::create(file)?, edited.schema(), None)?;
    writer.write(&edited)?;
    writer.close()?;
    Ok(old)
}

/// The first row whose text in `column` is `text`.
pub(crate) fn find_row(file: &Path, column: &str, text: &str) -> anyhow::Result<Option<usize>> {
    let batch = read(file)?;
    let cells: &StringArray = batch
        .column_by_name(column)
        .and_then(|cells| cells.as_any().downcast_ref())
        .context("not a text column")?;
    Ok(cells.iter().position(|cell| cell == Some(text)))
}

fn read(file: &Path) -> anyhow::Result<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()?;
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let schema = batches.first().context("a data file without rows")?.schema();
    Ok(concat_batches(&schema, &batches)?)
}
