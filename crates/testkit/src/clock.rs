//! A clock for engines: it begins where it is told and moves by a fixed step each time it is read.

use std::sync::atomic::{AtomicU64, Ordering};

use keytrail_event::Timestamp;
use keytrail_kms::Clock;

/// A clock whose every reading is `step_seconds` after the one before; a step of 0 makes it stand still.
pub struct SteppingClock {
    next_ns: AtomicU64,
    step_ns: u64,
}

impl SteppingClock {
    /// A clock that first shows `start`, written as in a record: `2026-01-02T03:04:05Z`.
    ///
    /// # Panics
    /// If `start` is no such time: it is a constant of the test.
    pub fn new(start: &str, step_seconds: u64) -> Self {
        let start =
            Timestamp::parse_event_time(start).expect("a time such as 2026-01-02T03:04:05Z");
        Self { next_ns: AtomicU64::new(start.unix_nanos()), step_ns: step_seconds * 1_000_000_000 }
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.next_ns.fetch_add(self.step_ns, Ordering::Relaxed))
    }
}
