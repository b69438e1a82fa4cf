//! The catalog: what a lake consists of, and what each file was made of.
//!
//! A ledger with one `segment` entry per commit. The entry is written before the Delta log is, so the catalog decides
//! what is in the lake, and the Delta log can be published again from it. `schemas/catalog.md` draws the entry.
//!
//! The module reads and writes entries; what a crash between catalog and Delta log means is [`crate::Lake`]'s story,
//! and whether files, rows and entries agree is the verifier's in `keytrail-query`.

use std::path::Path;

use keytrail_ledger::{EntryKind, Frame, Hash, Reader};
use serde::{Deserialize, Serialize};

use crate::LakeError;

/// Version of the entry's format.
pub(crate) const FORMAT: u32 = 1;

/// One commit: the payload of a `segment` entry, as JSON with the members in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this format: 1.
    pub format: u32,
    /// Version of the Delta table that the commit makes.
    pub version: u64,
    /// The bytes of the Delta log's file for this version.
    pub delta: String,
    /// The data files that the commit adds.
    pub files: Vec<CommittedFile>,
    /// The sources that the commit takes in.
    pub receipts: Vec<SourceReceipt>,
}

impl Commit {
    /// The commit in a frame of the catalog; none in frames that the ledger writes for itself.
    ///
    /// A commit of a later format is refused: half of it would be a lake with files missing.
    pub fn from_frame(frame: &Frame) -> Result<Option<Self>, LakeError> {
        let sequence = frame.entry.sequence;
        if frame.entry.kind != EntryKind::Segment {
            return Ok(None);
        }
        let commit: Self = serde_json::from_slice(&frame.payload)
            .map_err(|error| LakeError::CatalogEntry { sequence, detail: error.to_string() })?;
        if commit.format != FORMAT {
            let detail = format!("format {}, this program knows {FORMAT}", commit.format);
            return Err(LakeError::CatalogEntry { sequence, detail });
        }
        Ok(Some(commit))
    }

    /// The payload of the entry.
    pub(crate) fn to_payload(&self) -> Vec<u8> {
        // Structs of numbers and text under fixed names: nothing in them can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The commits of the catalog in this directory, in order, with what its checkpoint says about it.
pub(crate) fn read(dir: &Path) -> Result<(Reader, Vec<Commit>), LakeError> {
    let fail = |source| LakeError::Catalog { path: dir.to_owned(), source };
    let reader = Reader::open(dir).map_err(fail)?;
    let mut commits = Vec::new();
    for frame in reader.frames(0) {
        let frame = frame.map_err(fail)?;
        let Some(commit) = Commit::from_frame(&frame)? else { continue };
        if commit.version != commits.len() as u64 {
            let detail = format!("version {} where {} follows", commit.version, commits.len());
            return Err(LakeError::CatalogEntry { sequence: frame.entry.sequence, detail });
        }
        commits.push(commit);
    }
    Ok((reader, commits))
}

/// A data file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedFile {
    /// Path relative to the Delta table.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// SHA-256 of the file.
    #[serde(with = "hex")]
    pub sha256: Hash,
}

/// What was taken in from one source, and where its rows lie: all of them in one data file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReceipt {
    /// The file, or the range of a ledger.
    pub source: ReceiptSource,
    /// Records that were found: rows, and records in quarantine.
    pub records: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Rows among them whose `event_id` had come before.
    pub duplicates: u64,
    /// RFC 6962 Merkle root over the rows' exact record bytes in source order; the hash of the empty tree without rows.
    #[serde(with = "hex")]
    pub root: Hash,
    /// The data file that holds the rows; none without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_file: Option<String>,
    /// What could not become a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<Quarantined>,
}

/// What a receipt is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptSource {
    /// A log file. Its content is its identity: the same content under another name is known.
    File {
        /// Path relative to the source, with `/` between its parts.
        name: String,
        /// Bytes, as stored (compressed).
        size: u64,
        /// SHA-256 of those bytes.
        #[serde(with = "hex")]
        sha256: Hash,
    },
    /// A range of a ledger's entries, of which those of kind `record` become rows.
    Ledger {
        /// The ledger's origin line.
        origin: String,
        /// First sequence.
        first: u64,
        /// Sequence after the last.
        end: u64,
        /// Leaf hash of the last entry: through the chain it names everything before it.
        #[serde(with = "hex")]
        last_leaf: Hash,
    },
}

/// Something in a source that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The element of the file, from 0; of a ledger, the sequence.
    pub index: u64,
    /// First byte in the file's text (after decompression), from 0.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// Name of the file in quarantine that holds the bytes.
    pub kept: String,
}

/// A hash as 64 hexadecimal digits.
mod hex {
    use keytrail_ledger::Hash;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Hash, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Hash::parse_hex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}
