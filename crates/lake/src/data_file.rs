//! One Parquet file of the lake: written under a temporary name, durable and under its final name when handed out.
//!
//! The layout is made for two questions, who used this key and what happened then: rows sorted by key and time, row
//! groups small enough to skip, statistics on each page, Bloom filters on the ids that are looked up. Text is written
//! column by column out of the dictionaries of [`crate::builder`], so that a row group costs one column of memory.
//!
//! The name is made of the file's own SHA-256, so a name never means two contents.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use keytrail_event::{COLUMNS, Kind, col};
use keytrail_ledger::Hash;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use crate::builder::FilledRows;
use crate::faults::{Faults, Step};
use crate::rows::{EXTRA, LAYOUT, RAW, RECORD_CHECK, SEQUENCE, SOURCE_INDEX, schema};
use crate::stats::FileStats;
use crate::{CommittedFile, LakeError};

/// Rows in a row group: small enough that a look-up reads little, large enough for dictionaries to pay (97 bytes an
/// event against 102 at 32 Ki, reference figures).
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;

/// Bytes of a text that statistics keep. The default of 64 cuts key ARNs (75 bytes) within the key id.
const STATISTIC_BYTES: usize = 128;

/// Names of data files begin and end like this, with 32 hexadecimal digits of the SHA-256 between.
pub(crate) const PREFIX: &str = "part-";
/// Ending of a data file's name.
pub(crate) const SUFFIX: &str = ".parquet";
/// Ending of a file that is being written.
pub(crate) const TEMPORARY: &str = ".tmp";

/// A data file that is durable and belongs to no commit yet.
#[derive(Clone, Debug)]
pub(crate) struct DataFileWritten {
    /// What the catalog will say about it.
    pub(crate) file: CommittedFile,
    /// What is known of its columns.
    pub(crate) stats: FileStats,
}

/// Writes the rows into a file in `dir`, durable on return but for its name (the commit syncs the directory once for
/// all of its files). `number` tells the temporary files of this writer apart.
pub(crate) fn write(
    rows: &FilledRows,
    dir: &Path,
    number: u64,
    faults: &Faults,
) -> Result<DataFileWritten, LakeError> {
    let temporary = dir.join(format!("{PREFIX}{number}{TEMPORARY}"));
    faults.at(Step::WriteDataFile, &temporary)?;
    let order = rows.order();
    let file = File::create(&temporary).map_err(LakeError::io("create", &temporary))?;
    let written = encode(rows, &order, Hashing::new(file));
    let hashing = written.map_err(LakeError::parquet("write", &temporary))?;
    let (file, size, sha256) = hashing.finish().map_err(LakeError::io("write", &temporary))?;
    faults.at(Step::SyncDataFile, &temporary)?;
    file.sync_all().map_err(LakeError::io("sync", &temporary))?;
    let path = name(&sha256);
    let named = dir.join(&path);
    faults.at(Step::NameDataFile, &named)?;
    fs::rename(&temporary, &named).map_err(LakeError::io("name", &named))?;
    let file = CommittedFile { path, size, rows: order.len() as u64, sha256 };
    Ok(DataFileWritten { file, stats: rows.stats() })
}

/// The name of a data file with this content.
fn name(sha256: &Hash) -> String {
    format!("{PREFIX}{:.32}{SUFFIX}", sha256.to_string())
}

/// Whether a file of this name in the table's directory can only be one of ours.
pub(crate) fn is_ours(name: &str) -> bool {
    let Some(middle) = name.strip_prefix(PREFIX) else { return false };
    let hexadecimal =
        |text: &str| text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
    middle.strip_suffix(SUFFIX).is_some_and(hexadecimal)
        || middle
            .strip_suffix(TEMPORARY)
            .is_some_and(|number| number.bytes().all(|it| it.is_ascii_digit()))
}

fn encode(rows: &FilledRows, order: &[u32], out: Hashing) -> ParquetResult<Hashing> {
    let schema = schema();
    let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties(&schema)))?;
    let (mut writer, columns) = writer.into_serialized_writer()?;
    for (number, group) in order.chunks(ROW_GROUP_ROWS).enumerate() {
        encode_group(rows, group, number, &columns, &mut writer)?;
    }
    writer.into_inner()
}

fn encode_group(
    rows: &FilledRows,
    group: &[u32],
    number: usize,
    columns: &ArrowRowGroupWriterFactory,
    writer: &mut SerializedFileWriter<Hashing>,
) -> ParquetResult<()> {
    let schema = schema();
    let mut row_group = writer.next_row_group()?;
    let columns = columns.create_column_writers(number)?;
    for (index, (mut column, field)) in columns.into_iter().zip(schema.fields()).enumerate() {
        let array = rows.array(index, group).map_err(ParquetError::from)?;
        for leaf in compute_leaves(field, &array)? {
            column.write(&leaf)?;
        }
        column.close()?.append_to_row_group(&mut row_group)?;
    }
    row_group.close()?;
    Ok(())
}

fn properties(schema: &Schema) -> WriterProperties {
    let path = |index: usize| ColumnPath::from(schema.field(index).name().as_str());
    let zstd = ZstdLevel::try_new(1).map_or(Compression::UNCOMPRESSED, Compression::ZSTD);
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("keytrail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_truncate_length(Some(STATISTIC_BYTES))
        .set_column_index_truncate_length(Some(STATISTIC_BYTES))
        .set_sorting_columns(Some(vec![sorted_by(col::KEY_ARN), sorted_by(col::EVENT_TIME)]));
    // Nearly sequential within a key: differences take 3 bytes where a dictionary takes 5.
    for index in [col::EVENT_TIME, SEQUENCE, SOURCE_INDEX] {
        properties = properties
            .set_column_dictionary_enabled(path(index), DICTIONARY_OFF)
            .set_column_encoding(path(index), Encoding::DELTA_BINARY_PACKED);
    }
    // Never twice the same: a dictionary would only be built and given up.
    for index in [col::EVENT_ID, col::REQUEST_ID, RECORD_CHECK] {
        properties = properties.set_column_dictionary_enabled(path(index), DICTIONARY_OFF);
    }
    properties = properties.set_column_compression(path(RECORD_CHECK), Compression::UNCOMPRESSED);
    // Looked up by value, and all over the file in its order.
    for index in [col::EVENT_ID, col::ACCESS_KEY_ID, col::SOURCE_IP_ADDRESS] {
        properties = properties.set_column_bloom_filter_enabled(path(index), BLOOM_ON);
    }
    for index in (0..COLUMNS.len()).filter(|index| COLUMNS[*index].kind == Kind::Json) {
        properties = without_statistics(properties, path(index));
    }
    for index in [LAYOUT, EXTRA, RAW, RECORD_CHECK, col::USER_AGENT, col::ERROR_MESSAGE] {
        properties = without_statistics(properties, path(index));
    }
    properties.build()
}

const DICTIONARY_OFF: bool = false;
const BLOOM_ON: bool = true;

/// Nobody asks for a range of JSON texts; their bounds would only lengthen the footer.
fn without_statistics(
    properties: WriterPropertiesBuilder,
    column: ColumnPath,
) -> WriterPropertiesBuilder {
    properties.set_column_statistics_enabled(column, EnabledStatistics::None)
}

fn sorted_by(column: usize) -> SortingColumn {
    // The schema is flat, so Parquet's column numbers are ours, and there are fewer than 100.
    SortingColumn {
        column_idx: i32::try_from(column).unwrap_or(i32::MAX),
        descending: false,
        nulls_first: false,
    }
}

/// Hashes what is written on its way to the file.
struct Hashing {
    out: BufWriter<File>,
    sha: Sha256,
    size: u64,
}

impl Hashing {
    fn new(file: File) -> Self {
        Self { out: BufWriter::with_capacity(1 << 20, file), sha: Sha256::new(), size: 0 }
    }

    fn finish(self) -> io::Result<(File, u64, Hash)> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.size, Hash::from_bytes(self.sha.finalize().into())))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
