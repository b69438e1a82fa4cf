//! The `duplicate` column, computed again over the whole lake.
//!
//! `events` leaves rows out whose flag is set, so a flag set by an attacker hides an event although its row is intact.
//! The rule: of all rows with one `event_id`, the first in source order (order of the receipts, then place in the
//! source) is the event, every other one a duplicate. Rows without an `event_id` are never duplicates.
//!
//! Costs 48 bytes of memory a row.

use keytrail_ledger::{FindingKind, Hash, Report};

use super::catalog::Commits;

/// The event of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// First half of the SHA-256 of the `event_id`: short, and no forger finds two ids with the same.
    id: [u8; 16],
    /// Index of the row's receipt.
    receipt: usize,
    /// Place in the source.
    index: u64,
    /// What the column says.
    duplicate: bool,
}

impl Event {
    pub(super) fn new(event_id: &str, receipt: usize, index: u64, duplicate: bool) -> Event {
        let hash = Hash::of(event_id.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        Event { id, receipt, index, duplicate }
    }
}

/// Checks the flags of all rows of the lake.
pub(super) fn check(mut events: Vec<Event>, commits: &Commits, report: &mut Report) {
    events.sort_unstable();
    for same in events.chunk_by(|left, right| left.id == right.id) {
        for (position, event) in same.iter().enumerate() {
            let duplicate = position > 0;
            if event.duplicate != duplicate {
                let receipt = &commits.receipts[event.receipt];
                let place = format!("{} record {}", super::source_name(receipt), event.index);
                let detail =
                    format!("column duplicate: expected {duplicate}, found {}", event.duplicate);
                report.find(FindingKind::ColumnMismatch, place, detail);
            }
        }
    }
}
