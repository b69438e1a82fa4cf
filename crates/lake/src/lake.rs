//! A lake that is open for writing: what opening repairs, and what a commit is.
//!
//! [`Lake::commit`] is the one place where a lake changes. It repairs nothing when it fails, and neither does anything
//! on the way to it; the lake then stops, and [`Lake::open`] finds out what became of the commit. So a failed step, a
//! killed process and a lost machine are one case, and the tests need to know only that one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use keytrail_event::Timestamp;
use keytrail_ledger::{
    Append, DirStorage, EntryKind, Hash, Ledger, LedgerError, Options, Origin, Random, SigningKey,
    Storage,
};

use crate::catalog::{self, Commit, FORMAT, ReceiptSource, SourceReceipt};
use crate::data_file::{self, DataFileWritten};
use crate::dedup::EventIds;
use crate::delta::{AddedFile, Planned, Table};
use crate::faults::{Faults, Step};
use crate::quarantine::{Quarantine, sync_directory};
use crate::snapshot::Snapshot;
use crate::{LakeError, LakePaths};

/// Tells the time of a commit.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The file that a ledger's writer holds locked.
const LOCK_FILE: &str = "writer.lock";

/// Ending of a Delta log file that is being written. The kernel and other readers skip it.
const TEMPORARY: &str = ".tmp";

/// A lake that is open for writing: the only one, the catalog's lock sees to that.
pub struct Lake {
    pub(crate) paths: LakePaths,
    pub(crate) quarantine: Quarantine,
    pub(crate) faults: Faults,
    /// What was taken in before.
    pub(crate) known: Known,
    /// Ids of the events in the lake; read from its files when they are first needed.
    pub(crate) ids: EventIds,
    pub(crate) ids_are_complete: bool,
    /// Number of the next item of a source ([`crate::dedup::Position`]).
    pub(crate) next_item: u32,
    catalog: Ledger,
    table: Table,
    clock: Clock,
    /// A commit began and did not end.
    stopped: bool,
}

/// What the lake took in before.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Contents of files.
    pub(crate) contents: HashSet<Hash>,
    /// By origin line, the sequence up to which a ledger was taken in and the leaf hash of the entry before it.
    pub(crate) ledgers: HashMap<String, (u64, Hash)>,
}

impl Lake {
    /// Opens the lake in this directory, and creates it if there is none; then `origin` names its catalog.
    ///
    /// Publishes a commit that the catalog has and the Delta log lacks, and moves files that a crash left over to
    /// quarantine.
    pub fn open(
        root: &Path,
        origin: &Origin,
        key: SigningKey,
        random: Arc<dyn Random>,
        clock: Clock,
    ) -> Result<Self, LakeError> {
        let storage = Arc::new(DirStorage::new(LakePaths::new(root).catalog()));
        Self::open_with(root, storage, origin, key, random, clock, Faults::default())
    }

    pub(crate) fn open_with(
        root: &Path,
        storage: Arc<dyn Storage>,
        origin: &Origin,
        key: SigningKey,
        random: Arc<dyn Random>,
        clock: Clock,
        faults: Faults,
    ) -> Result<Self, LakeError> {
        let paths = LakePaths::new(root);
        let log = paths.delta_log();
        fs::create_dir_all(&log).map_err(LakeError::io("create", &log))?;
        for dir in [root, &paths.events()] {
            sync_directory(dir)?;
        }
        let catalog = open_catalog(&paths, storage, origin, key, random, clock().unix_nanos())?;
        let (_, commits) = catalog::read(&paths.catalog())?;
        let mut lake = Self {
            quarantine: Quarantine::new(paths.quarantine()),
            table: Table::open(&paths.events())?,
            known: Known::default(),
            ids: EventIds::new(),
            ids_are_complete: commits.iter().all(|commit| commit.files.is_empty()),
            next_item: 1,
            stopped: false,
            faults,
            catalog,
            clock,
            paths,
        };
        lake.publish_missing(&commits)?;
        lake.refuse_foreign_commits(&commits)?;
        lake.take_strays(&commits)?;
        let receipts: Vec<_> = commits.iter().flat_map(|it| it.receipts.iter().cloned()).collect();
        lake.quarantine.restore_index(&receipts)?;
        for receipt in &receipts {
            lake.known.add(receipt);
        }
        if commits.is_empty() {
            let planned = lake.table.plan_create()?;
            lake.commit_planned(planned, Vec::new(), Vec::new())?;
        }
        Ok(lake)
    }

    /// The lake as it is now.
    pub fn snapshot(&self) -> Result<Snapshot, LakeError> {
        Snapshot::read(self.paths.root())
    }

    /// Where its parts lie.
    pub fn paths(&self) -> &LakePaths {
        &self.paths
    }

    /// Makes the catalog durable and lets the next writer in.
    pub fn close(self) -> Result<(), LakeError> {
        let path = self.paths.catalog();
        self.catalog.close().map_err(|source| LakeError::Catalog { path, source })
    }

    /// Forgets which events the lake has; they are read from its files when they are next needed.
    pub(crate) fn forget_ids(&mut self) {
        self.ids = EventIds::new();
        self.ids_are_complete = false;
    }

    /// Adds data files, which are durable, and receipts, whose rows lie in them.
    pub(crate) fn commit(
        &mut self,
        files: Vec<DataFileWritten>,
        receipts: Vec<SourceReceipt>,
    ) -> Result<(), LakeError> {
        let modified_ms = (self.clock)().unix_nanos() / 1_000_000;
        let added: Vec<_> = files
            .iter()
            .map(|DataFileWritten { file, stats }| AddedFile {
                path: file.path.clone(),
                size: file.size,
                rows: file.rows,
                modified_ms,
                stats: stats.clone(),
            })
            .collect();
        if self.stopped {
            return Err(LakeError::Stopped { path: self.paths.root().to_owned() });
        }
        let planned = self.table.plan_append(&added)?;
        self.commit_planned(planned, files, receipts)
    }

    /// The commit protocol. Each step says what a crash before its end means.
    fn commit_planned(
        &mut self,
        planned: Planned,
        files: Vec<DataFileWritten>,
        receipts: Vec<SourceReceipt>,
    ) -> Result<(), LakeError> {
        self.stopped = true;

        // 1. The names of the data files. Until here a crash leaves files that no commit names: strays.
        let events = self.paths.events();
        self.faults.at(Step::SyncTable, &events)?;
        sync_directory(&events)?;

        // 2. Nobody else may have taken the version. Without this look a leaf would be written that can never be
        //    published; the hard link below closes the gap that remains.
        let path = self.paths.delta_commit(planned.version);
        if path.exists() {
            return Err(LakeError::ForeignCommit { path });
        }

        // 3. The leaf: the commit is made. Before it is durable a crash leaves strays; the catalog's own recovery
        //    decides whether it was. Afterwards the lake has the rows, and opening it does the rest.
        let commit = Commit {
            format: FORMAT,
            version: planned.version,
            delta: planned.bytes.clone(),
            files: files.into_iter().map(|written| written.file).collect(),
            receipts,
        };
        self.faults.at(Step::AppendCatalog, &self.paths.catalog())?;
        self.append(&commit)?;

        // 4. The Delta log. A crash leaves readers of the log one version behind the catalog until the lake is opened.
        self.publish(planned.version, &planned.bytes)?;

        // 5. Memory, and the index for people, which opening the lake restores.
        self.table.advance(planned);
        for receipt in &commit.receipts {
            self.known.add(receipt);
        }
        self.faults.at(Step::IndexQuarantine, &self.paths.quarantine())?;
        self.quarantine.index(&commit.receipts)?;
        self.stopped = false;
        Ok(())
    }

    fn append(&self, commit: &Commit) -> Result<(), LakeError> {
        let append = Append {
            kind: EntryKind::Segment,
            time_ns: (self.clock)().unix_nanos(),
            payload: commit.to_payload(),
            state: Vec::new(),
        };
        let path = self.paths.catalog();
        self.catalog.append(append).map_err(|source| LakeError::Catalog { path, source })?;
        Ok(())
    }

    /// Makes the log file of a version, whole and durable, unless there is one already.
    fn publish(&self, version: u64, bytes: &str) -> Result<(), LakeError> {
        let (log, path) = (self.paths.delta_log(), self.paths.delta_commit(version));
        let temporary = log.join(format!(".{version:020}{TEMPORARY}"));
        self.faults.at(Step::WriteDeltaCommit, &temporary)?;
        let mut file = File::create(&temporary).map_err(LakeError::io("create", &temporary))?;
        file.write_all(bytes.as_bytes()).map_err(LakeError::io("write", &temporary))?;
        file.sync_all().map_err(LakeError::io("sync", &temporary))?;
        self.faults.at(Step::NameDeltaCommit, &path)?;
        // A link, unlike a rename, never replaces what another writer put there.
        match fs::hard_link(&temporary, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(LakeError::ForeignCommit { path });
            }
            linked => linked.map_err(LakeError::io("name", &path))?,
        }
        self.faults.at(Step::SyncDeltaLog, &log)?;
        fs::remove_file(&temporary).map_err(LakeError::io("remove", &temporary))?;
        sync_directory(&log)
    }

    /// Publishes what the catalog has and the log lacks: the newest version after a crash, others if they were deleted.
    fn publish_missing(&self, commits: &[Commit]) -> Result<(), LakeError> {
        for commit in commits {
            if !self.paths.delta_commit(commit.version).exists() {
                self.publish(commit.version, &commit.delta)?;
            }
        }
        Ok(())
    }

    /// The log must end where the catalog ends, and with the same bytes. Earlier versions are the verifier's business.
    fn refuse_foreign_commits(&self, commits: &[Commit]) -> Result<(), LakeError> {
        let next = self.paths.delta_commit(commits.len() as u64);
        if next.exists() {
            return Err(LakeError::ForeignCommit { path: next });
        }
        let Some(last) = commits.last() else { return Ok(()) };
        let path = self.paths.delta_commit(last.version);
        let bytes = fs::read(&path).map_err(LakeError::io("read", &path))?;
        if bytes == last.delta.as_bytes() { Ok(()) } else { Err(LakeError::ForeignCommit { path }) }
    }

    /// Moves files that only a crash can have left to quarantine. Files of other kinds stay: the verifier names them.
    fn take_strays(&self, commits: &[Commit]) -> Result<(), LakeError> {
        let files = commits.iter().flat_map(|commit| &commit.files);
        let committed: HashSet<&str> = files.map(|file| file.path.as_str()).collect();
        for name in names(&self.paths.events())? {
            if data_file::is_ours(&name) && !committed.contains(name.as_str()) {
                self.quarantine.take_stray(&self.paths.events().join(name))?;
            }
        }
        for name in names(&self.paths.delta_log())? {
            if name.ends_with(TEMPORARY) {
                self.quarantine.take_stray(&self.paths.delta_log().join(name))?;
            }
        }
        Ok(())
    }
}

impl Known {
    fn add(&mut self, receipt: &SourceReceipt) {
        match &receipt.source {
            ReceiptSource::File { sha256, .. } => {
                self.contents.insert(*sha256);
            }
            ReceiptSource::Ledger { origin, end, last_leaf, .. } => {
                self.ledgers.insert(origin.clone(), (*end, *last_leaf));
            }
        }
    }
}

fn open_catalog(
    paths: &LakePaths,
    storage: Arc<dyn Storage>,
    origin: &Origin,
    key: SigningKey,
    random: Arc<dyn Random>,
    time_ns: u64,
) -> Result<Ledger, LakeError> {
    let dir = paths.catalog();
    let fail = |source| match source {
        LedgerError::Locked => LakeError::Busy { path: paths.root().to_owned() },
        source => LakeError::Catalog { path: dir.clone(), source },
    };
    if paths.exists() || !names(&paths.delta_log())?.is_empty() {
        let opened = Ledger::open(storage, key, random, time_ns, Options::default());
        return opened.map(|(ledger, _)| ledger).map_err(fail);
    }
    // No catalog and no table. What lies here is a creation that was interrupted, and nothing was in the lake yet.
    clear_interrupted(paths, &*storage)?;
    Ledger::create(storage, origin.clone(), key, random, time_ns, Options::default()).map_err(fail)
}

/// Removes the files of a catalog whose creation was interrupted, unless another process is creating it just now.
fn clear_interrupted(paths: &LakePaths, storage: &dyn Storage) -> Result<(), LakeError> {
    let dir = paths.catalog();
    let _lock = storage.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => LakeError::Busy { path: paths.root().to_owned() },
        _ => LakeError::Io { action: "lock", path: dir.clone(), source: error },
    })?;
    if paths.exists() {
        return Err(LakeError::Busy { path: paths.root().to_owned() });
    }
    for name in storage.list().map_err(LakeError::io("list", &dir))? {
        if name != LOCK_FILE {
            storage.remove(&name).map_err(LakeError::io("remove", &dir.join(&name)))?;
        }
    }
    Ok(())
}

fn names(dir: &Path) -> Result<Vec<String>, LakeError> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(LakeError::io("list", dir))?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}
