//! The checkpoint: what a log says about itself, and signs (C2SP tlog-checkpoint).
//!
//! ```text
//! <origin>
//! <size, decimal>
//! <root hash, base64>
//! ```
//!
//! Extension lines, which the specification permits and advises against, are refused: we sign and
//! accept nothing that we do not understand.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::note::{NoteError, SignedNote, SigningKey, VerifyingKey};
use crate::origin::Origin;

/// Size and root of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// Entries in the log.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The signed note around it is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines of origin, size without leading zeros, and 32 bytes in base64.
    #[error("the text is not the three lines of a checkpoint")]
    Text,
    /// The checkpoint of a log with another name, signed by the key of this one.
    #[error("the checkpoint belongs to another log")]
    OtherLog,
}

impl Checkpoint {
    /// Reads the three lines.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Text)?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Text);
        };
        let checkpoint = Self {
            origin: Origin::new(origin).map_err(|_| CheckpointError::Text)?,
            size: size.parse().map_err(|_| CheckpointError::Text)?,
            root: STANDARD
                .decode(root)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(Hash::from_bytes)
                .ok_or(CheckpointError::Text)?,
        };
        // One spelling only: refuses "+1", "01" and whatever else a number parser lets pass.
        if checkpoint.to_string() == text { Ok(checkpoint) } else { Err(CheckpointError::Text) }
    }

    /// Signs it, under the name of its log.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedNote, NoteError> {
        key.sign(&self.origin, self.to_string())
    }

    /// The checkpoint in `note`, if `key` signed it and it is of the log that the key names.
    pub fn verify(note: &SignedNote, key: &VerifyingKey) -> Result<Self, CheckpointError> {
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin == *key.name() {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::OtherLog)
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root.as_bytes());
        writeln!(f, "{}\n{}\n{root}", self.origin, self.size)
    }
}
