//! A lake for one test, and the check that every test ends with.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_event::{Timestamp, col, join};
use keytrail_lake::rows::{Place, Provenances, Rows, record_check, schema};
use keytrail_lake::{
    Clock, IngestOptions, IngestReport, Lake, LakePaths, ReceiptSource, Snapshot, Source,
};
use keytrail_ledger::{Hash, merkle};
use keytrail_testkit::{SeededRandom, check_ledger, origin, scratch, signing_key};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

/// A directory with a lake in it, to be opened as often as a test likes.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
}

/// A row that was read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    /// Ledger or file, with the place in it.
    pub(crate) place: (String, u64),
    /// The record's bytes.
    pub(crate) record: String,
    pub(crate) duplicate: bool,
    /// Whether the row keeps the record as text.
    pub(crate) raw: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { dir: scratch() }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    pub(crate) fn sources(&self) -> PathBuf {
        let sources = self.dir.path().join("sources");
        fs::create_dir_all(&sources).unwrap();
        sources
    }

    /// Writes a source file.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.sources().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn open(&self) -> Lake {
        let clock: Clock = Arc::new(|| Timestamp::from_unix_seconds(1_750_000_000));
        let random = Arc::new(SeededRandom::new(1));
        Lake::open(&self.root(), &origin(), signing_key(), random, clock).unwrap()
    }

    /// Ingests the source files with these options in a lake opened for it.
    pub(crate) fn ingest_with(&self, options: &IngestOptions) -> IngestReport {
        let mut lake = self.open();
        let report = lake.ingest(&[Source::Path(self.sources())], options, &()).unwrap();
        lake.close().unwrap();
        report
    }

    pub(crate) fn ingest(&self) -> IngestReport {
        self.ingest_with(&IngestOptions::default())
    }

    /// All rows, by place, after the check that each belongs to a receipt and is what the receipt proves.
    pub(crate) fn rows(&self) -> Vec<Read> {
        check(&self.root())
    }
}

/// Reads the whole lake and holds it against catalog, receipts, Delta log and hashes.
pub(crate) fn check(root: &Path) -> Vec<Read> {
    let paths = LakePaths::new(root);
    check_ledger(&paths.catalog(), &signing_key().verifying_key(&origin()));
    let snapshot = Snapshot::read(root).unwrap();
    check_delta_log(&paths, &snapshot);
    let mut all = Vec::new();
    let mut first_ids = HashSet::new();
    let mut leaves: BTreeMap<(String, String), BTreeMap<u64, Hash>> = BTreeMap::new();
    for file in &snapshot.files {
        let path = snapshot.events.join(&file.path);
        let bytes = fs::read(&path).unwrap();
        assert_eq!((Hash::of(&bytes), bytes.len() as u64), (file.sha256, file.size));
        let mut rows = 0;
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.schema(), schema());
            rows += batch.num_rows() as u64;
            let (records, provenances) =
                (Rows::new(&batch).unwrap(), Provenances::new(&batch).unwrap());
            for at in 0..batch.num_rows() {
                let (row, provenance) = (records.row(at), provenances.provenance(at).unwrap());
                let record = join(&row).unwrap();
                let leaf = merkle::leaf_hash(&record);
                assert_eq!(provenance.record_check, record_check(&leaf));
                let place = match provenance.place {
                    Place::Ledger { origin, sequence } => (origin.into_owned(), sequence),
                    Place::File { file, index } => (file.into_owned(), index),
                    other => panic!("unknown place {other:?}"),
                };
                if let Some(id) = row.cells[col::EVENT_ID].text()
                    && !provenance.duplicate
                {
                    assert!(first_ids.insert(id.to_owned()), "{id} came first twice");
                }
                let of_source = leaves.entry((file.path.clone(), place.0.clone())).or_default();
                assert_eq!(of_source.insert(place.1, leaf), None, "{place:?} twice");
                let record = String::from_utf8(record).unwrap();
                let raw = row.raw.is_some();
                all.push(Read { place, record, duplicate: provenance.duplicate, raw });
            }
        }
        assert_eq!(rows, file.rows);
    }
    check_receipts(&paths, &snapshot, leaves);
    all.sort();
    all
}

/// Each row is under exactly one receipt, whose root its record's bytes lead to.
fn check_receipts(
    paths: &LakePaths,
    snapshot: &Snapshot,
    mut leaves: BTreeMap<(String, String), BTreeMap<u64, Hash>>,
) {
    for receipt in &snapshot.receipts {
        assert_eq!(receipt.records, receipt.rows + receipt.quarantined.len() as u64);
        for kept in &receipt.quarantined {
            let bytes = fs::read(paths.quarantine().join(&kept.kept)).unwrap();
            assert!(kept.kept.starts_with(&Hash::of(&bytes).to_string()));
        }
        let (name, range) = match &receipt.source {
            ReceiptSource::File { name, .. } => (name, 0..u64::MAX),
            ReceiptSource::Ledger { origin, first, end, .. } => (origin, *first..*end),
            other => panic!("unknown source {other:?}"),
        };
        let Some(file) = &receipt.data_file else {
            assert_eq!((receipt.rows, receipt.root), (0, merkle::empty_root()));
            continue;
        };
        let of_source = leaves.get_mut(&(file.clone(), name.clone())).unwrap();
        let (mine, others) =
            of_source.iter().partition::<BTreeMap<u64, Hash>, _>(|(at, _)| range.contains(at));
        let mine: Vec<_> = mine.into_values().collect();
        assert_eq!((merkle::root_of(&mine), mine.len() as u64), (receipt.root, receipt.rows));
        *of_source = others;
    }
    assert!(leaves.values().all(BTreeMap::is_empty), "rows without a receipt");
}

/// The Delta log holds the catalog's bytes, and names the snapshot's files.
fn check_delta_log(paths: &LakePaths, snapshot: &Snapshot) {
    let version = snapshot.version.unwrap();
    let mut names = Vec::new();
    for version in 0..=version {
        let text = fs::read_to_string(paths.delta_commit(version)).unwrap();
        for line in text.lines() {
            let action: serde_json::Value = serde_json::from_str(line).unwrap();
            names.extend(action["add"]["path"].as_str().map(str::to_owned));
        }
    }
    let files: Vec<_> = snapshot.files.iter().map(|file| file.path.clone()).collect();
    assert_eq!(names, files);
    assert!(!paths.delta_commit(version + 1).exists());
}

/// A record that splits well, with this id.
pub(crate) fn record(id: u32) -> String {
    record_with_id(&format!("00000000-0000-4000-8000-{id:012x}"), id)
}

/// A record with this text as its id.
pub(crate) fn record_with_id(id: &str, number: u32) -> String {
    let second = number % 60;
    let key = number % 7;
    format!(
        concat!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDA{key}","#,
            r#""arn":"arn:aws:iam::111122223333:user/u{key}","accountId":"111122223333"}},"#,
            r#""eventTime":"2025-06-02T03:04:{second:02}Z","eventSource":"kms.amazonaws.com","#,
            r#""eventName":"Decrypt","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.{key}","#,
            r#""requestParameters":{{"n":{number}}},"responseElements":null,"eventID":"{id}","#,
            r#""readOnly":true,"resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","#,
            r#""ARN":"arn:aws:kms:us-east-1:111122223333:key/0000000{key}-0000-4000-8000-000000000000"}}],"#,
            r#""eventType":"AwsApiCall","recipientAccountId":"111122223333"}}"#
        ),
        id = id,
        key = key,
        second = second,
        number = number,
    )
}

/// A log file with these records.
pub(crate) fn log(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

/// The same, compressed.
pub(crate) fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
    let mut out = vec![0; compressor.gzip_compress_bound(text.len())];
    let len = compressor.gzip_compress(text, &mut out).unwrap();
    out.truncate(len);
    out
}
