//! An append-only, chained, signed log of opaque bytes, and its verifier.

pub mod merkle;

mod batch;
mod checkpoint;
mod entry;
mod error;
mod frame;
mod hash;
mod ledger;
mod note;
mod notice;
mod origin;
mod reader;
mod recover;
mod report;
mod seal;
mod segment;
mod storage;
mod tip;
mod verify;
mod writer;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::{ENTRY_LEN, Entry, EntryKind, SALT_LEN, commitment};
pub use error::LedgerError;
pub use frame::{PAYLOAD_LEN_MAX, STATE_LEN_MAX};
pub use hash::Hash;
pub use ledger::{Append, Ledger, Options, Pending, Random, Receipt, Recovery};
pub use note::{NoteError, SignedNote, SigningKey, VerifyingKey};
pub use origin::{Origin, OriginError};
pub use reader::{Frame, Frames, Reader};
pub use report::{Checked, Finding, FindingKind, Report, Verdict};
pub use storage::{DirStorage, Storage, StorageFile};
pub use verify::{verify, verify_frames};
