//! The ways in which working with a ledger fails, grouped by what one can do about them.

use std::io;

use crate::checkpoint::CheckpointError;

/// Why a ledger could not be created, opened, appended to or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The caller's: there are files already where the ledger was to be created.
    #[error("{file} is there already: open that ledger, or create the new one elsewhere")]
    AlreadyExists {
        /// A file that is there.
        file: String,
    },
    /// The caller's: another process, or another `Ledger` of this one, writes to the directory.
    #[error("another writer has this ledger open")]
    Locked,
    /// The caller's: the key is not the one that signs this ledger.
    #[error("the ledger is signed by {expected}, the key given is {found}")]
    WrongKey {
        /// The public key in the directory.
        expected: String,
        /// The public half of the key given.
        found: String,
    },
    /// The caller's: payload or state above its limit; nothing was logged.
    #[error("a {what} of {len} bytes is above the limit of {limit}")]
    TooLarge {
        /// `payload` or `state`.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The caller's: a kind of entry that the ledger writes itself.
    #[error("entries of kind {kind:?} are written by the ledger itself")]
    ReservedKind {
        /// The kind.
        kind: crate::EntryKind,
    },
    /// The environment's: appends arrive faster than the disk takes them. Nothing was logged.
    #[error("{entries} appends wait for the disk already")]
    QueueFull {
        /// Appends that wait.
        entries: usize,
    },
    /// The environment's: a file operation failed.
    #[error("cannot {action} {file}")]
    Storage {
        /// What was being done: `read`, `append to`, …
        action: &'static str,
        /// The file, relative to the ledger's directory.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The environment's: an earlier write failed, and it is unknown what reached the disk. Nothing
    /// is accepted until the ledger is opened again, which finds out.
    #[error("the ledger stopped after a failed write ({cause}); open it again")]
    Poisoned {
        /// The failure after which it stopped.
        cause: String,
    },
    /// The data's: the checkpoint is missing. If creating the ledger was interrupted, remove the
    /// directory and create it again; else restore the file.
    #[error(
        "there is no checkpoint: restore it, or, if creating this ledger was interrupted, remove \
         the directory and create it again"
    )]
    NoCheckpoint,
    /// The data's: the checkpoint, or the public key, is malformed or forged.
    #[error("the file {file} is refused; run verify, and restore it from a copy")]
    Refused {
        /// `checkpoint` or `public-key`.
        file: &'static str,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// The data's: there are fewer entries than the signed checkpoint says. The newest were removed,
    /// or an older copy was put back.
    #[error(
        "ROLLBACK SUSPECTED: the checkpoint signs {signed} entries, {file} ends after {found}; \
         restore the missing part, nothing can be appended after it"
    )]
    Rollback {
        /// Entries that the checkpoint signs.
        signed: u64,
        /// Entries found.
        found: u64,
        /// The last segment.
        file: String,
    },
    /// The data's: something within the ledger is damaged. It is never cut away: what follows it, or
    /// it itself, was acknowledged.
    #[error(
        "{file} is damaged at byte {offset}, sequence {sequence}: {detail}; run verify, and \
         restore the file from a copy"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Offset of the first byte of the damaged part.
        offset: u64,
        /// Sequence of the first damaged entry.
        sequence: u64,
        /// What was expected.
        detail: String,
    },
    /// The data's: the entries are well-formed, and not those that were signed.
    #[error("{file} holds other entries than the checkpoint signs at size {size}; run verify")]
    Forked {
        /// The segment in which the signed size is reached.
        file: String,
        /// The signed size.
        size: u64,
    },
    /// The machine's: what was written is not what was hashed. Nothing was signed.
    #[error("the written batch hashes to another root: suspect the memory of this machine")]
    MemoryFault,
}
