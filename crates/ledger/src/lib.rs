//! An append-only, chained, signed log of opaque bytes, and its verifier.

pub mod merkle;

mod checkpoint;
mod entry;
mod error;
mod hash;
mod note;
mod origin;
mod reader;
mod report;
mod storage;
mod verify;
mod writer;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::{ENTRY_LEN, Entry, EntryKind, SALT_LEN, commitment};
pub use error::LedgerError;
pub use hash::Hash;
pub use note::{NoteError, SignedNote, SigningKey, VerifyingKey};
pub use origin::{Origin, OriginError};
pub use reader::{Frame, Frames, Reader};
pub use report::{Checked, Finding, FindingKind, Report, Verdict};
pub use storage::{AppendFile, DirStorage, Storage};
pub use verify::{verify, verify_frames};
pub use writer::{
    Append, Ledger, Options, PAYLOAD_LEN_MAX, Pending, Random, Receipt, Recovery, STATE_LEN_MAX,
};
