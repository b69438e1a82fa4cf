//! An append-only, chained, signed log of opaque bytes, and its verifier.
//!
//! A ledger is a directory. One writer appends to it, many callers at a time, and each learns of its
//! append when that is durable and signed. Whoever has the files and the public key can show that
//! nothing was changed, removed, inserted or reordered since, without the writer, a network or a
//! secret. The format is drawn in `schemas/ledger.md`.
//!
//! Begin with [`Ledger`] to write, [`Reader`] to read, and [`verify`] to check:
//!
//! ```
//! use std::sync::Arc;
//! use keytrail_ledger::{
//!     Append, DirStorage, EntryKind, Ledger, Options, Origin, Random, Reader, SigningKey, verify,
//! };
//!
//! struct Sevens; // a real one asks the system
//! impl Random for Sevens {
//!     fn fill(&self, buf: &mut [u8]) {
//!         buf.fill(7);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let ledger = Ledger::create(
//!     Arc::new(DirStorage::new(dir.path())),
//!     Origin::new("audit.example.org/kms/eu1")?,
//!     SigningKey::from_seed(&[7; 32]), // a real seed is random and kept
//!     Arc::new(Sevens),
//!     1_747_806_465_000_000_000,
//!     Options::default(),
//! )?;
//! let receipt = ledger.append(Append {
//!     kind: EntryKind::Record,
//!     time_ns: 1_747_806_465_000_000_001,
//!     payload: b"somebody used a key".to_vec(),
//!     state: Vec::new(),
//! })?;
//! assert_eq!(receipt.sequence, 1, "entry 0 says that the ledger was started");
//!
//! let frame = Reader::open(dir.path())?.frames(receipt.sequence).next().ok_or("no entry 1")??;
//! assert_eq!(frame.payload, b"somebody used a key");
//! assert_eq!(frame.entry.leaf_hash(), receipt.leaf_hash);
//!
//! let report = verify(dir.path(), ledger.verifying_key());
//! assert!(report.is_ok(), "{report}");
//! # Ok(())
//! # }
//! ```
//!
//! # How it holds together
//!
//! ```text
//!  checkpoint ── signature ──► root of the RFC 6962 tree over all entries
//!                                │ each leaf
//!                                ▼
//!        entry: kind · sequence · time · leaf hash of the entry before · commitment
//!                                                                          │ salted hash
//!                                                                          ▼
//!                                                    payload and sealed state change
//! ```
//!
//! Entries have no content, so they can be shown to anybody, and content can be withheld. The
//! writing side is [`Ledger`] (order, who commits), the writer (the commit protocol) and recovery
//! (what a crash leaves); the checking side shares formats and arithmetic with it and nothing else.
//!
//! # What it is not
//!
//! It does not look into payloads, has no idea of keys to audit, requests or AWS, and keeps no
//! index. It has no clock and no randomness of its own, starts no thread, and opens no network
//! connection. It shows that a log is what was signed, not that what was logged is true; and
//! against an older copy of a whole ledger only a checkpoint kept elsewhere helps.

pub mod merkle;

mod batch;
mod checkpoint;
mod entry;
mod error;
mod frame;
mod group;
mod hash;
mod ledger;
mod note;
mod notice;
mod origin;
mod reader;
mod recover;
mod report;
#[cfg(test)]
mod schema;
mod seal;
mod segment;
mod storage;
mod tip;
mod verifier;
mod writer;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::{ENTRY_LEN, Entry, EntryKind, SALT_LEN, commitment};
pub use error::LedgerError;
pub use frame::{PAYLOAD_LEN_MAX, STATE_LEN_MAX};
pub use group::Pending;
pub use hash::Hash;
pub use ledger::{Append, Ledger, Options, Random, Receipt, Recovery};
pub use note::{NoteError, SignedNote, SigningKey, VerifyingKey};
pub use origin::{Origin, OriginError};
pub use reader::{Frame, Frames, Reader};
pub use report::{Checked, Finding, FindingKind, Report, Verdict};
pub use storage::{DirStorage, Storage, StorageFile};
pub use verifier::{verify, verify_frames};
