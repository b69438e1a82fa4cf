//! Batches: frames that were written together, up to and including their trailer.
//!
//! Reading a batch checks all that can be checked without a key: checksums, commitments, sequence,
//! chain, time, tree size and root. The writer reads back what it is about to sign with it, opening
//! and reading a ledger use it, so there is one definition of a good batch on the writing side.
//! The verifier has its own, which goes on behind damage ([`crate::verifier`]).

use crate::frame::{self, FrameError, Item, Trailer};
use crate::tip::{Break, Tip};

/// A good batch.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Bytes, trailer included.
    pub(crate) len: usize,
    /// Where the log stands behind it.
    pub(crate) tip: Tip,
    /// Its trailer.
    pub(crate) trailer: Trailer,
}

/// A batch that is not good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadBatch {
    /// Offset of the bad frame in the bytes given.
    pub(crate) offset: usize,
    /// The sequence that was due there.
    pub(crate) sequence: u64,
    /// What is wrong.
    pub(crate) fault: Fault,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Cut short, damaged: what a crash while writing leaves. Or any other damage.
    #[error(transparent)]
    Frame(FrameError),
    // Checksums hold below: this was written so, no crash leaves it.
    #[error(transparent)]
    Break(Break),
    #[error("the content is not the one that the entry commits to")]
    Commitment,
    #[error("the batch ends with another tree than its entries make")]
    Tree,
    #[error("the batch has no entries")]
    Empty,
}

impl Fault {
    /// Whether a crash in the middle of writing the batch can be the reason.
    pub(crate) fn may_be_torn(self) -> bool {
        matches!(self, Self::Frame(FrameError::Cut | FrameError::Length | FrameError::Checksum))
    }
}

/// Reads the batch at the beginning of `bytes`, which has to continue `tip`.
pub(crate) fn read_batch(bytes: &[u8], tip: &Tip) -> Result<Batch, BadBatch> {
    let mut tip = tip.clone();
    let first = tip.size();
    let mut offset = 0;
    loop {
        let bad = |fault| BadBatch { offset, sequence: tip.size(), fault };
        let rest = bytes.get(offset..).unwrap_or_default();
        let (item, len) = frame::parse(rest).map_err(|error| bad(Fault::Frame(error)))?;
        match item {
            Item::Frame(frame) => {
                tip.check(&frame.entry).map_err(|wrong| bad(Fault::Break(wrong)))?;
                if !frame.is_committed() {
                    return Err(bad(Fault::Commitment));
                }
                tip.push(&frame.entry, frame.entry.leaf_hash());
            }
            Item::Trailer(_) if tip.size() == first => return Err(bad(Fault::Empty)),
            Item::Trailer(trailer) => {
                let tree = (first, tip.size(), tip.frontier.root());
                if (trailer.first, trailer.size, trailer.root) != tree {
                    return Err(bad(Fault::Tree));
                }
                return Ok(Batch { len: offset + len, tip, trailer });
            }
        }
        offset += len;
    }
}
