//! Where bytes go that could not become rows, so that nothing of a source is lost by taking it in.
//!
//! ```text
//! quarantine/
//!   <sha256>.<ending>    the bytes, under their own hash: keeping them twice keeps them once
//!   index.ndjson         one JSON object a line: source, sha256, index, offset, reason, kept
//!   strays/              files that a crash left in the table's directory and that no commit names
//! ```
//!
//! The receipts in the catalog are what is proven; the index repeats them for people. It is written after the commit,
//! and rewritten from the catalog when the lake is opened and finds it short.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use keytrail_ledger::Hash;
use serde_json::json;

use crate::catalog::{ReceiptSource, SourceReceipt};
use crate::{LakeError, Quarantined};

const INDEX: &str = "index.ndjson";
const STRAYS: &str = "strays";

/// The quarantine of a lake.
#[derive(Debug)]
pub(crate) struct Quarantine {
    dir: PathBuf,
    /// Tells the temporary files of several workers apart.
    temporaries: AtomicU64,
}

impl Quarantine {
    /// The quarantine in this directory, which is created when something is put there.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, temporaries: AtomicU64::new(0) }
    }

    /// Keeps bytes, durably. The name under which they lie.
    pub(crate) fn keep(&self, bytes: &[u8], ending: &str) -> Result<String, LakeError> {
        let name = format!("{}{ending}", Hash::of(bytes));
        let path = self.dir.join(&name);
        if path.exists() {
            return Ok(name);
        }
        fs::create_dir_all(&self.dir).map_err(LakeError::io("create", &self.dir))?;
        // Two workers may keep equal bytes at once; each then renames its own whole file to the same name.
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{name}.{number}.tmp"));
        let mut file = File::create(&temporary).map_err(LakeError::io("create", &temporary))?;
        file.write_all(bytes).map_err(LakeError::io("write", &temporary))?;
        file.sync_all().map_err(LakeError::io("sync", &temporary))?;
        fs::rename(&temporary, &path).map_err(LakeError::io("name", &path))?;
        sync_directory(&self.dir)?;
        Ok(name)
    }

    /// Adds the lines of these receipts to the index.
    pub(crate) fn index(&self, receipts: &[SourceReceipt]) -> Result<(), LakeError> {
        let lines = lines(receipts);
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(INDEX);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.map_err(LakeError::io("open", &path))?;
        file.write_all(lines.as_bytes()).map_err(LakeError::io("write", &path))
    }

    /// Sees to it that the index has exactly the lines of these receipts, all of the lake's.
    pub(crate) fn restore_index(&self, receipts: &[SourceReceipt]) -> Result<(), LakeError> {
        let (path, lines) = (self.dir.join(INDEX), lines(receipts));
        if fs::read_to_string(&path).unwrap_or_default() == lines {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(LakeError::io("create", &self.dir))?;
        let temporary = self.dir.join(format!("{INDEX}.tmp"));
        fs::write(&temporary, lines).map_err(LakeError::io("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(LakeError::io("name", &path))
    }

    /// Moves a file here that lies where no file should.
    pub(crate) fn take_stray(&self, path: &Path) -> Result<(), LakeError> {
        let strays = self.dir.join(STRAYS);
        fs::create_dir_all(&strays).map_err(LakeError::io("create", &strays))?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        fs::rename(path, strays.join(name)).map_err(LakeError::io("move to quarantine", path))
    }
}

fn lines(receipts: &[SourceReceipt]) -> String {
    let mut lines = String::new();
    for receipt in receipts {
        for item in &receipt.quarantined {
            lines.push_str(&line(&receipt.source, item));
            lines.push('\n');
        }
    }
    lines
}

fn line(source: &ReceiptSource, item: &Quarantined) -> String {
    let (name, sha256) = match source {
        ReceiptSource::File { name, sha256, .. } => (name, Some(sha256.to_string())),
        ReceiptSource::Ledger { origin, .. } => (origin, None),
    };
    let Quarantined { index, offset, reason, kept } = item;
    json!({
        "source": name,
        "sha256": sha256,
        "index": index,
        "offset": offset,
        "reason": reason,
        "kept": kept,
    })
    .to_string()
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> Result<(), LakeError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(LakeError::io("sync", dir))
}
