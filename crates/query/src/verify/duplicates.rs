//! The `duplicate` column, computed again over the whole lake.
//!
//! `events` leaves rows out whose flag is set, so a flag set by an attacker hides an event although its row is intact,
//! and a flag cleared counts one twice. The rule: of all rows with one `event_id` exactly one is the event, every other
//! one a duplicate; within one source it is the first. Rows without an `event_id` are never duplicates.
//!
//! Which of several *sources* comes first is the ingester's to say: it orders them as they were listed, and a receipt
//! does not record that. Every one of them is a genuine copy.
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
        let mut find = |event: &Event, detail: &str| {
            let receipt = &commits.receipts[event.receipt];
            let place = format!("{} record {}", super::source_name(receipt), event.index);
            report.find(FindingKind::ColumnMismatch, place, format!("column duplicate: {detail}"));
        };
        let mut firsts = same.iter().filter(|event| !event.duplicate);
        let Some(first) = firsts.next() else {
            find(&same[0], "expected false, found true: no other row is this event");
            continue;
        };
        for event in firsts {
            find(event, "expected true, found false: another row is this event");
        }
        let earlier =
            same.iter().find(|event| event.receipt == first.receipt && event.index < first.index);
        if let Some(event) = earlier {
            find(event, "expected false, found true: it is the first of its source");
        }
    }
}

#[cfg(test)]
mod tests {
    use keytrail_lake::{ReceiptSource, SourceReceipt};
    use keytrail_ledger::{Report, merkle};

    use super::{Commits, Event, check};

    const EVENT: bool = false;
    const DUPLICATE: bool = true;

    fn receipt(name: &str) -> SourceReceipt {
        let root = merkle::root_of(&[]);
        SourceReceipt {
            source: ReceiptSource::File { name: name.to_owned(), size: 0, sha256: root },
            records: 0,
            rows: 0,
            duplicates: 0,
            root,
            data_file: None,
            quarantined: Vec::new(),
        }
    }

    /// The findings for rows of (event id, receipt, index, flag).
    fn findings(rows: &[(&str, usize, u64, bool)]) -> Vec<String> {
        let receipts = vec![receipt("a"), receipt("b")];
        let commits = Commits { receipts, ..Commits::default() };
        let events =
            rows.iter().map(|(id, receipt, index, flag)| Event::new(id, *receipt, *index, *flag));
        let mut report = Report::new();
        check(events.collect(), &commits, &mut report);
        report
            .findings
            .iter()
            .map(|finding| format!("{}: {}", finding.place, finding.detail))
            .collect()
    }

    #[test]
    fn one_row_of_each_event_is_the_event() {
        assert_eq!(
            findings(&[("x", 0, 0, EVENT), ("x", 0, 5, DUPLICATE), ("y", 1, 0, EVENT)]),
            [""; 0]
        );
        assert_eq!(findings(&[("x", 1, 0, EVENT), ("x", 0, 5, DUPLICATE)]), [""; 0]);
    }

    #[test]
    fn a_hidden_event_and_one_counted_twice_are_named() {
        assert_eq!(
            findings(&[("x", 0, 3, DUPLICATE)]),
            [
                "a record 3: column duplicate: expected false, found true: no other row is this event"
            ]
        );
        assert_eq!(
            findings(&[("x", 0, 3, EVENT), ("x", 1, 4, EVENT)]),
            ["b record 4: column duplicate: expected true, found false: another row is this event"]
        );
        assert_eq!(
            findings(&[("x", 0, 3, DUPLICATE), ("x", 0, 4, EVENT)]),
            [
                "a record 3: column duplicate: expected false, found true: it is the first of its source"
            ]
        );
    }
}
