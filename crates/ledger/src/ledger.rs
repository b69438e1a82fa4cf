//! The ledger as its users see it: create, open, append.
//!
//! What happens to an append is told elsewhere: its order and who commits it in [`crate::group`],
//! how a batch becomes durable and signed in [`crate::writer`], what opening does about a crash in
//! [`crate::recover`].

use std::any::Any;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::entry::EntryKind;
use crate::error::LedgerError;
use crate::frame::PAYLOAD_LEN_MAX;
use crate::group::{Group, Pending, Published};
use crate::hash::Hash;
use crate::note::{SignedNote, SigningKey, VerifyingKey};
use crate::notice;
use crate::origin::Origin;
use crate::recover;
use crate::seal::Seal;
use crate::storage::{LOCK_FILE, PUBLIC_KEY_FILE, Storage};
use crate::tip::Tip;
use crate::writer::{Committed, OpenSegment, Writer, begin_segment, failed, own};

/// A source of random bytes fit for secrets; the salts come from it.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buf: &mut [u8]);
}

/// How a ledger is written. The defaults are for real use, other values for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A new segment is begun once one has this many bytes; 128 MiB at most. The default, 16 MiB,
    /// is read in some 10 ms when a ledger is opened.
    pub segment_bytes: u64,
    /// Entries in one batch at most. The default, 4096, hashes in about as long as one sync takes.
    pub batch_entries: usize,
    /// Bytes in one batch at most, unless its only entry is larger; 64 MiB at most. The default is
    /// 4 MiB.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, batch_entries: 4096, batch_bytes: 4 << 20 }
    }
}

impl Options {
    /// Values under which a segment stays below the length that readers accept.
    fn within_limits(self) -> Self {
        Self {
            segment_bytes: self.segment_bytes.min(128 << 20),
            batch_entries: self.batch_entries.max(1),
            batch_bytes: self.batch_bytes.min(PAYLOAD_LEN_MAX),
        }
    }
}

/// What is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Any kind but `Start` and `Recovery`, which the ledger writes itself.
    pub kind: EntryKind,
    /// Nanoseconds since the Unix epoch; raised to the time of the entry before where it is less.
    pub time_ns: u64,
    /// The content; 64 MiB at most.
    pub payload: Vec<u8>,
    /// A sealed state change that belongs to the content, or nothing; 1 MiB at most. Whoever reads
    /// the files reads it: sealing it is the caller's part.
    pub state: Vec<u8>,
}

/// Says that an entry is durable and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the log.
    pub sequence: u64,
    /// Its leaf hash: with it a caller can later show that the log had the entry.
    pub leaf_hash: Hash,
    /// Its time, nanoseconds since the Unix epoch.
    pub time_ns: u64,
}

/// What opening a ledger found and repaired. The ledger says so itself, in a `recovery` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries that were durable and not signed, and are signed now.
    pub signed_again: u64,
    /// Files with torn tails, relative to the ledger's directory.
    pub quarantined: Vec<String>,
}

/// A ledger open for writing; the only one for its directory, in any process.
///
/// Dropping it commits what is queued and makes the checkpoint durable, as [`Ledger::close`] does,
/// but cannot say whether that worked.
pub struct Ledger {
    verifying_key: VerifyingKey,
    group: Group,
    /// Keeps other writers out.
    _lock: Box<dyn Any + Send + Sync>,
}

impl Ledger {
    /// Creates a ledger in an empty directory and appends its first entry, `start`.
    ///
    /// When it fails, there may be files already; remove them before another try.
    pub fn create(
        storage: Arc<dyn Storage>,
        origin: Origin,
        key: SigningKey,
        random: Arc<dyn Random>,
        time_ns: u64,
        options: Options,
    ) -> Result<Self, LedgerError> {
        let lock = lock(&*storage)?;
        let names = storage.list().map_err(failed("list", "the ledger's directory"))?;
        if let Some(file) = names.into_iter().find(|name| name != LOCK_FILE) {
            return Err(LedgerError::AlreadyExists { file });
        }
        let public = format!("{}\n", key.verifying_key(&origin));
        let written = storage.replace_durably(PUBLIC_KEY_FILE, public.as_bytes());
        written.map_err(failed("write", PUBLIC_KEY_FILE))?;
        let (seal, tip) = (Seal::new(&key, &origin), Tip::start(&origin));
        let segment = begin_segment(&*storage, &origin, &tip, &seal)?;
        let writer = Writer {
            storage,
            random,
            options: options.within_limits(),
            origin,
            key,
            seal,
            tip,
            segment,
            checkpoint: None,
            settled: 0,
            buffer: Vec::new(),
        };
        Self::start(writer, lock, Vec::new(), time_ns)
    }

    /// Opens a ledger, finds its end, and appends a `start` entry.
    ///
    /// A batch that a crash cut short is put into quarantine, and a `recovery` entry tells of it.
    /// Everything else that is not as it was signed is refused: see [`LedgerError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        key: SigningKey,
        random: Arc<dyn Random>,
        time_ns: u64,
        options: Options,
    ) -> Result<(Self, Recovery), LedgerError> {
        let lock = lock(&*storage)?;
        let verifying_key = recover::read_public_key(&*storage)?;
        let origin = verifying_key.name().clone();
        let found = key.verifying_key(&origin);
        if found != verifying_key {
            let (expected, found) = (verifying_key.to_string(), found.to_string());
            return Err(LedgerError::WrongKey { expected, found });
        }
        let (_, signed) = recover::read_checkpoint(&*storage, &verifying_key)?;
        let seal = Seal::new(&key, &origin);
        let names = storage.list().map_err(failed("list", "the ledger's directory"))?;
        let end = recover::find_end(&*storage, &names, &verifying_key, &seal, &signed)?;

        recover::remove_temporaries(&*storage, &names)?;
        let wreck = recover::put_aside(&*storage, &names, &end)?;
        recover::rewrite(&*storage, &end, &signed)?;
        let recovery = Recovery {
            signed_again: end.tip.size() - signed.size,
            quarantined: wreck.torn.iter().map(|torn| torn.file.clone()).collect(),
        };
        let told =
            (!wreck.torn.is_empty()).then(|| own(EntryKind::Recovery, time_ns, wreck.write()));

        let file = storage.open(&end.segment).map_err(failed("open", &end.segment))?;
        let segment = OpenSegment { name: end.segment, len: end.whole.len() as u64, file };
        let writer = Writer {
            storage,
            random,
            options: options.within_limits(),
            origin,
            key,
            seal,
            tip: end.tip,
            segment,
            checkpoint: None,
            settled: 0,
            buffer: Vec::new(),
        };
        let ledger = Self::start(writer, lock, told.into_iter().collect(), time_ns)?;
        Ok((ledger, recovery))
    }

    /// Commits `first` and a `start` entry.
    fn start(
        mut writer: Writer,
        lock: Box<dyn Any + Send + Sync>,
        mut first: Vec<Append>,
        time_ns: u64,
    ) -> Result<Self, LedgerError> {
        let verifying_key = writer.key.verifying_key(&writer.origin);
        let start = notice::start(env!("CARGO_PKG_VERSION"), &verifying_key);
        first.push(own(EntryKind::Start, time_ns, start));
        let Committed { checkpoint, note, .. } = writer.commit(&first)?;
        let published = Published { checkpoint, note };
        Ok(Self { verifying_key, group: Group::new(writer, published), _lock: lock })
    }

    /// Fixes the place of an append behind all earlier ones. Cheap, without I/O or hashing: may be
    /// called under a lock that orders the caller's own state changes, and the lock released
    /// before [`Pending::wait`].
    pub fn enqueue(&self, append: Append) -> Result<Pending<'_>, LedgerError> {
        self.group.enqueue(append)
    }

    /// As [`Ledger::enqueue`], for several appends that belong together: they lie behind each other
    /// in one batch, and after a crash the log has all of them or none. Together they may be as
    /// large as one.
    pub fn enqueue_together(&self, appends: Vec<Append>) -> Result<Vec<Pending<'_>>, LedgerError> {
        self.group.enqueue_together(appends)
    }

    /// Appends, and returns when the entry is durable and signed.
    pub fn append(&self, append: Append) -> Result<Receipt, LedgerError> {
        self.enqueue(append)?.wait()
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        self.group.published().checkpoint.clone()
    }

    /// The newest checkpoint with its signature, as in the file `checkpoint`.
    pub fn signed_checkpoint(&self) -> SignedNote {
        self.group.published().note.clone()
    }

    /// Entries that are durable and signed.
    pub fn size(&self) -> u64 {
        self.group.published().checkpoint.size
    }

    /// Whether a failed write or sync has stopped it: then nothing is accepted until it is opened again.
    pub fn is_stopped(&self) -> bool {
        self.group.is_stopped()
    }

    /// The public key, under the log's name.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// The name of the log.
    pub fn origin(&self) -> &Origin {
        self.verifying_key.name()
    }

    /// Commits what is queued, makes the checkpoint durable, and lets the next writer in.
    pub fn close(self) -> Result<(), LedgerError> {
        self.group.finish()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Who wants to know calls `close`. Everything acknowledged is durable in any case.
        let _ = self.group.finish();
    }
}

fn lock(storage: &dyn Storage) -> Result<Box<dyn Any + Send + Sync>, LedgerError> {
    storage.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => LedgerError::Locked,
        _ => failed("lock", LOCK_FILE)(error),
    })
}
