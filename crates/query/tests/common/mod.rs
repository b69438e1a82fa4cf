//! Small lakes to ask and to tamper with.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    compute::concat_batches,
    datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType},
};
use keytrail_event::Timestamp;
use keytrail_lake::{Commit, IngestOptions, Lake, LakePaths, Snapshot, Source};
use keytrail_ledger::{
    Append, DirStorage, EntryKind, Ledger, Options, Origin, Reader, Report, SigningKey,
    VerifyingKey,
};
use keytrail_query::{LakeCheck, LedgerCheck, verify_lake};
use keytrail_testkit::SeededRandom;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

/// 2026-01-02T03:04:05Z.
pub(crate) const START_SECONDS: u64 = 1_767_323_045;

/// A lake in a scratch directory, with the sources it was made of.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn key_arn(letter: char) -> String {
    format!("arn:aws:kms:eu-west-1:111122223333:key/{letter}2345678-1234-4234-8234-123456789012")
}

/// A record as CloudTrail writes it: caller, operation, key, outcome from plain values.
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) operation: &'static str,
    pub(crate) user: &'static str,
    pub(crate) key: char,
    pub(crate) error: Option<&'static str>,
    pub(crate) via: Option<&'static str>,
}

impl Call {
    pub(crate) fn new(number: u64, operation: &'static str, user: &'static str, key: char) -> Call {
        Call { number, operation, user, key, error: None, via: None }
    }

    pub(crate) fn json(&self) -> String {
        let time = Timestamp::from_unix_seconds(START_SECONDS + 60 * self.number).event_time();
        let Call { number, operation, user, .. } = self;
        let arn = key_arn(self.key);
        let via = self.via.map_or(String::new(), |service| format!(r#","invokedBy":"{service}""#));
        let error = self.error.map_or(String::new(), |message| {
            format!(r#""errorCode":"AccessDenied","errorMessage":"{message}","#)
        });
        let resources = if self.error.is_some() {
            String::new()
        } else {
            format!(
                r#""resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"{arn}"}}],"#
            )
        };
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDA{user}","arn":"arn:aws:iam::111122223333:user/{user}","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE{user}","userName":"{user}"{via}}},"eventTime":"{time}","eventSource":"kms.amazonaws.com","eventName":"{operation}","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{}","userAgent":"aws-cli/2.31.0",{error}"requestParameters":{{"keyId":"{arn}","encryptionAlgorithm":"SYMMETRIC_DEFAULT"}},"responseElements":null,"requestID":"aaaaaaaa-0000-4000-8000-{number:012}","eventID":"bbbbbbbb-0000-4000-8000-{number:012}","readOnly":true,{resources}"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3"}}}}"#,
            number % 7,
        )
    }
}

/// A log file with these records.
pub(crate) fn envelope(records: &[String]) -> String {
    format!("{{\"Records\":[{}]}}", records.join(","))
}

pub(crate) fn random() -> Arc<SeededRandom> {
    Arc::new(SeededRandom::new(42))
}

pub(crate) fn catalog_signing_key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub(crate) fn catalog_origin() -> Origin {
    Origin::new("example.org/catalog").expect("valid")
}

pub(crate) fn ledger_origin() -> Origin {
    Origin::new("example.org/ledger").expect("valid")
}

fn ledger_signing_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

pub(crate) fn catalog_key() -> VerifyingKey {
    catalog_signing_key().verifying_key(&catalog_origin())
}

pub(crate) fn ledger_key() -> VerifyingKey {
    ledger_signing_key().verifying_key(&ledger_origin())
}

impl Fixture {
    /// An empty directory: sources and the lake are put into it.
    pub(crate) fn empty() -> Fixture {
        Fixture { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    pub(crate) fn paths(&self) -> LakePaths {
        LakePaths::new(self.lake())
    }

    pub(crate) fn write_log(&self, name: &str, text: &str) {
        fs::create_dir_all(self.logs()).expect("a directory");
        fs::write(self.logs().join(name), text).expect("written");
    }

    /// A ledger with these records.
    pub(crate) fn write_ledger(&self, records: &[String]) {
        let storage = Arc::new(DirStorage::new(self.ledger()));
        let ledger = Ledger::create(
            storage,
            ledger_origin(),
            ledger_signing_key(),
            random(),
            START_SECONDS * 1_000_000_000,
            Options::default(),
        )
        .expect("a ledger");
        for record in records {
            let append = Append {
                kind: EntryKind::Record,
                time_ns: START_SECONDS * 1_000_000_000,
                payload: record.clone().into_bytes(),
                state: Vec::new(),
            };
            ledger.append(append).expect("appended");
        }
        ledger.close().expect("closed");
    }

    /// Takes in the sources that are there, with so many rows to a file.
    pub(crate) fn ingest(&self, rows_per_file: usize) {
        let mut sources = Vec::new();
        if self.ledger().exists() {
            sources.push(Source::Ledger(self.ledger()));
        }
        if self.logs().exists() {
            sources.push(Source::Path(self.logs()));
        }
        self.take_in(&sources, rows_per_file);
    }

    /// Takes in a directory of log files from elsewhere.
    pub(crate) fn ingest_from(&self, logs: &Path, rows_per_file: usize) {
        self.take_in(&[Source::Path(logs.to_owned())], rows_per_file);
    }

    /// On a thread of its own: an ingest blocks, which the runtime of an async test does not allow.
    fn take_in(&self, sources: &[Source], rows_per_file: usize) {
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| self.take_in_here(sources, rows_per_file));
            taken.join().expect("taken in");
        });
    }

    fn take_in_here(&self, sources: &[Source], rows_per_file: usize) {
        let clock = Arc::new(|| Timestamp::from_unix_seconds(START_SECONDS + 86_400));
        let (key, origin) = (catalog_signing_key(), catalog_origin());
        let mut lake = Lake::open(&self.lake(), &origin, key, random(), clock).expect("a lake");
        let options = IngestOptions { threads: 1, rows_per_file, ..IngestOptions::default() };
        lake.ingest(sources, &options, &()).expect("taken in");
        lake.close().expect("closed");
    }

    /// The verdict with everything at hand.
    pub(crate) fn verify(&self) -> Report {
        let key = ledger_key();
        let ledger = LedgerCheck { dir: &self.ledger(), key: &key };
        self.verify_with(&catalog_key(), Some(ledger))
    }

    pub(crate) fn verify_with(
        &self,
        catalog: &VerifyingKey,
        ledger: Option<LedgerCheck<'_>>,
    ) -> Report {
        let check =
            LakeCheck { catalog_key: Some(catalog), ledger, threads: 2, progress: &|_, _| () };
        verify_lake(&self.lake(), &check)
    }

    /// Makes the catalog anew with other commits, signed by its own key: what a dishonest ingester can do. The Delta log
    /// follows.
    pub(crate) fn forge_catalog(&self, edit: impl Fn(&mut Commit)) {
        let catalog = self.paths().catalog();
        let reader = Reader::open(&catalog).expect("a catalog");
        let frames: Vec<_> = reader.frames(0).collect::<Result<_, _>>().expect("frames");
        fs::remove_dir_all(&catalog).expect("removed");
        let time_ns = START_SECONDS * 1_000_000_000;
        let storage = Arc::new(DirStorage::new(&catalog));
        let (key, origin) = (catalog_signing_key(), catalog_origin());
        let ledger = Ledger::create(storage, origin, key, random(), time_ns, Options::default())
            .expect("a catalog");
        for frame in frames.into_iter().filter(|frame| frame.entry.kind == EntryKind::Segment) {
            let mut commit: Commit = serde_json::from_slice(&frame.payload).expect("a commit");
            edit(&mut commit);
            fs::write(self.paths().delta_commit(commit.version), &commit.delta).expect("written");
            let payload = serde_json::to_vec(&commit).expect("JSON");
            let append = Append { kind: EntryKind::Segment, time_ns, payload, state: Vec::new() };
            ledger.append(append).expect("appended");
        }
        ledger.close().expect("closed");
    }

    /// The data files, in catalog order.
    pub(crate) fn data_files(&self) -> Vec<PathBuf> {
        let snapshot = Snapshot::read(&self.lake()).expect("a lake");
        let events = self.paths().events();
        snapshot.files.iter().map(|file| events.join(&file.path)).collect()
    }
}

pub(crate) fn read_rows(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file"))
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .expect("a Parquet file");
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("rows");
    concat_batches(&schema, &batches).expect("one batch")
}

/// Replaces a data file by a valid one with other rows.
pub(crate) fn write_rows(path: &Path, rows: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
    writer.write(rows).expect("written");
    writer.close().expect("closed");
}

/// `rows` with another value in one cell: text gets `edited` (or loses its value if it is that), numbers and times
/// grow by one, booleans turn over, an absent value becomes present.
pub(crate) fn with_edited_cell(rows: &RecordBatch, column: usize, row: usize) -> RecordBatch {
    let array = rows.column(column);
    let edited: ArrayRef = match array.data_type() {
        DataType::Utf8 => {
            let mut values: Vec<Option<String>> =
                array.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect();
            values[row] = Some("edited".to_owned());
            Arc::new(StringArray::from(values))
        }
        DataType::Boolean => {
            let mut values: Vec<Option<bool>> = array.as_boolean().iter().collect();
            values[row] = Some(!values[row].unwrap_or(false));
            Arc::new(BooleanArray::from(values))
        }
        DataType::Int64 => {
            let mut values: Vec<Option<i64>> = array.as_primitive::<Int64Type>().iter().collect();
            values[row] = Some(values[row].unwrap_or(0) + 1);
            Arc::new(Int64Array::from(values))
        }
        DataType::Int32 => {
            let mut values: Vec<Option<i32>> = array.as_primitive::<Int32Type>().iter().collect();
            values[row] = Some(values[row].unwrap_or(0).wrapping_add(1));
            Arc::new(Int32Array::from(values))
        }
        DataType::Timestamp(..) => {
            let mut values: Vec<Option<i64>> =
                array.as_primitive::<TimestampMicrosecondType>().iter().collect();
            values[row] = Some(values[row].unwrap_or(0) + 1_000_000);
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        }
        other => panic!("the lake has no column of type {other}"),
    };
    let mut columns = rows.columns().to_vec();
    columns[column] = edited;
    RecordBatch::try_new(rows.schema(), columns).expect("a batch")
}
