//! The reader.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::note::{SignedNote, VerifyingKey};

/// One entry with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The leaf.
    pub entry: Entry,
    /// The salt of its commitment.
    pub salt: [u8; 16],
    /// The content.
    pub payload: Vec<u8>,
    /// The sealed state change, or nothing.
    pub state: Vec<u8>,
}

/// A ledger open for reading, up to the checkpoint that stood when it was opened.
pub struct Reader {
    key: VerifyingKey,
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl Reader {
    /// Opens a ledger for reading.
    pub fn open(_dir: &Path) -> Result<Self, LedgerError> {
        Err(LedgerError::NoCheckpoint)
    }

    /// The checkpoint that stood when it was opened.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The same, with its signatures.
    pub fn signed_checkpoint(&self) -> &SignedNote {
        &self.note
    }

    /// The public key in the directory.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The frames from a sequence on.
    pub fn frames(&self, _from_sequence: u64) -> Frames {
        Frames {}
    }
}

/// The frames of a ledger, in order.
pub struct Frames {}

impl Iterator for Frames {
    type Item = Result<Frame, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
