//! Where a log stands: what the next entry has to continue.

use crate::entry::{Entry, EntryKind};
use crate::hash::Hash;
use crate::merkle::Frontier;
use crate::origin::Origin;

/// The end of a log, or of a part of it: the tree so far, and the entry before the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The tree over all entries so far.
    pub(crate) frontier: Frontier,
    /// Leaf hash of the last entry; of the origin line if there is none.
    pub(crate) prev: Hash,
    /// Time of the last entry; 0 if there is none.
    pub(crate) time_ns: u64,
}

/// How an entry fails to continue a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Break {
    #[error("expected sequence {expected}, found {found}")]
    Sequence { expected: u64, found: u64 },
    #[error("the entry does not chain to the one before")]
    Prev,
    #[error("the entry is older than the one before")]
    Time,
}

impl Tip {
    /// The log without entries.
    pub(crate) fn start(origin: &Origin) -> Self {
        Self { frontier: Frontier::new(), prev: origin.hash(), time_ns: 0 }
    }

    /// Entries so far, which is the sequence of the next one.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The next entry. Its time is never before the last one's, whatever the clock says.
    pub(crate) fn next(&self, kind: EntryKind, time_ns: u64, commit: Hash) -> Entry {
        let time_ns = time_ns.max(self.time_ns);
        Entry { kind, sequence: self.size(), time_ns, prev: self.prev, commit }
    }

    /// Whether `entry` is a next entry.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), Break> {
        if entry.sequence != self.size() {
            Err(Break::Sequence { expected: self.size(), found: entry.sequence })
        } else if entry.prev != self.prev {
            Err(Break::Prev)
        } else if entry.time_ns < self.time_ns {
            Err(Break::Time)
        } else {
            Ok(())
        }
    }

    /// Moves behind `entry`, whose leaf hash is `leaf`.
    pub(crate) fn push(&mut self, entry: &Entry, leaf: Hash) {
        self.frontier.push(leaf);
        self.prev = leaf;
        self.time_ns = entry.time_ns;
    }
}
