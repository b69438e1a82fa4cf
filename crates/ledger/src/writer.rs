//! The writer.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::entry::EntryKind;
use crate::error::LedgerError;
use crate::hash::Hash;
use crate::note::{SignedNote, SigningKey, VerifyingKey};
use crate::origin::Origin;
use crate::storage::Storage;

/// Bytes that a payload may have.
pub const PAYLOAD_LEN_MAX: usize = 64 << 20;
/// Bytes that a sealed state change may have.
pub const STATE_LEN_MAX: usize = 1 << 20;

/// A source of random bytes fit for secrets.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buf: &mut [u8]);
}

/// How a ledger is written. The defaults are for real use, other values for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A new segment is begun once one has this many bytes.
    pub segment_bytes: u64,
    /// Entries in one batch at most.
    pub batch_entries: usize,
    /// Bytes in one batch at most, unless its only entry is larger.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, batch_entries: 4096, batch_bytes: 4 << 20 }
    }
}

/// What is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Any kind but `Start` and `Recovery`.
    pub kind: EntryKind,
    /// Nanoseconds since the Unix epoch; raised to the time of the entry before where it is less.
    pub time_ns: u64,
    /// The content.
    pub payload: Vec<u8>,
    /// A sealed state change that belongs to it; may be empty.
    pub state: Vec<u8>,
}

/// Says that an entry is durable and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the log.
    pub sequence: u64,
    /// Its leaf hash.
    pub leaf_hash: Hash,
    /// Its time.
    pub time_ns: u64,
}

/// What opening a ledger had to repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries that were durable and not yet signed.
    pub signed_again: u64,
    /// Files in which the torn tail was put aside.
    pub quarantined: Vec<String>,
}

/// A ledger open for writing.
pub struct Ledger {
    origin: Origin,
    key: VerifyingKey,
    note: SignedNote,
}

/// An append whose place is fixed and which is not yet durable.
#[must_use]
pub struct Pending<'a> {
    ledger: &'a Ledger,
    sequence: u64,
}

impl Ledger {
    /// Creates a ledger.
    pub fn create(
        _storage: Arc<dyn Storage>,
        _origin: Origin,
        _key: SigningKey,
        _random: Arc<dyn Random>,
        _time_ns: u64,
        _options: Options,
    ) -> Result<Self, LedgerError> {
        Err(LedgerError::NoCheckpoint)
    }

    /// Opens a ledger.
    pub fn open(
        _storage: Arc<dyn Storage>,
        _key: SigningKey,
        _random: Arc<dyn Random>,
        _time_ns: u64,
        _options: Options,
    ) -> Result<(Self, Recovery), LedgerError> {
        Err(LedgerError::NoCheckpoint)
    }

    /// Fixes the place of an append. Cheap; may be called under a caller's lock.
    pub fn enqueue(&self, _append: Append) -> Result<Pending<'_>, LedgerError> {
        Err(LedgerError::NoCheckpoint)
    }

    /// Enqueues and waits.
    pub fn append(&self, append: Append) -> Result<Receipt, LedgerError> {
        self.enqueue(append)?.wait()
    }

    /// The newest checkpoint, signed.
    pub fn signed_checkpoint(&self) -> SignedNote {
        self.note.clone()
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: 0, root: Hash::of(b"") }
    }

    /// Entries that are durable and signed.
    pub fn size(&self) -> u64 {
        0
    }

    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The name of the log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Commits what is queued, makes the checkpoint durable and lets the next writer in.
    pub fn close(self) -> Result<(), LedgerError> {
        Err(LedgerError::NoCheckpoint)
    }
}

impl Pending<'_> {
    /// The place in the log that the append will have.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Blocks until the append is durable and signed.
    pub fn wait(self) -> Result<Receipt, LedgerError> {
        let _ = self.ledger;
        Err(LedgerError::NoCheckpoint)
    }
}
