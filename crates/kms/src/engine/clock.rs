//! The engine's time: the given clock's, plus an offset that only grows.
//!
//! KMS waits long: 30 days until a key is deleted, a year until it is rotated. Who moves the clock forward sees the end of a
//! waiting time at once, in a test or a drill. All that the engine does and records happens in its own time: waiting times,
//! rotations, expiries, sessions, `aws:CurrentTime`, `eventTime`.
//!
//! - **It never goes back**, or the log's times would, and keys that are gone would be due again.
//! - **It is kept**, as a change of state in the ledger. An offset that ended with the process would let time go back at
//!   the next opening.
//! - **It is on record**, twice in one batch of the ledger: as an entry of kind `clock`, so that also who was given entries
//!   without contents sees why their times jump, and as the service event `MoveClock`, which `query` finds like any other.
//!   The event stands at the time before the move. It names no principal, because none can do it: whoever moves the clock
//!   holds the root key and the process, and no access key reaches that far.
//!
//! ```text
//! payload of the clock entry = "clock\noffset-seconds " ‖ decimal ‖ "\n"
//! ```
//!
//! Signatures of requests are judged by the real clock, which their clients have (`server`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use keytrail_event::{Guid, Json, Record, Timestamp};
use keytrail_ledger::{Append, EntryKind};

use super::Engine;
use super::call::service_event;
use crate::EngineError;
use crate::environment::random_bytes;
use crate::state::Change;

/// The farthest that the clock can be ahead: a hundred years. Times end in 2554, and no waiting time is longer than seven.
const OFFSET_SECONDS_MAX: u64 = 100 * 36_525 * 864;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl Engine {
    /// The engine's time: the given clock's, moved forward by [`Engine::clock_offset`].
    pub fn now(&self) -> Timestamp {
        let ahead = self.clock_offset_seconds.load(Ordering::Acquire) * NANOS_PER_SECOND;
        Timestamp::from_unix_nanos(self.environment.clock.now().unix_nanos().saturating_add(ahead))
    }

    /// How far the engine's time is ahead of the given clock.
    pub fn clock_offset(&self) -> Duration {
        Duration::from_secs(self.clock_offset_seconds.load(Ordering::Acquire))
    }

    /// Moves the engine's time forward, until it is ahead of the given clock by `offset`, in whole seconds (a fraction is
    /// left out). On return the move is durably logged, and so is all that became due by it: deletions, rotations, expiries.
    ///
    /// The offset stays for good, over reopening too. The one that it has already is fine and leaves no trace; a smaller one
    /// is [`EngineError::ClockBackwards`], more than a hundred years [`EngineError::ClockTooFar`].
    pub fn set_clock_offset(&self, offset: Duration) -> Result<(), EngineError> {
        let seconds = offset.as_secs();
        if seconds > OFFSET_SECONDS_MAX {
            return Err(EngineError::ClockTooFar { asked: seconds, most: OFFSET_SECONDS_MAX });
        }
        let mut state = self.state.write().map_err(|_| EngineError::Stopped)?;
        let before = state.clock_offset_seconds;
        if seconds == before {
            return Ok(());
        }
        let change = Change::ClockMoved { offset_seconds: seconds };
        if change.check(&state).is_err() {
            return Err(EngineError::ClockBackwards { asked: seconds, now: before });
        }
        let now = self.now();
        let record = self.move_event(before, seconds, now).to_json();
        let sealed = self.seal_change(&state, &change, &record);
        let notice = Append {
            kind: EntryKind::Clock,
            time_ns: now.unix_nanos(),
            payload: notice(seconds),
            state: Vec::new(),
        };
        let moved = Append {
            kind: EntryKind::Record,
            time_ns: now.unix_nanos(),
            payload: record.into_bytes(),
            state: sealed,
        };
        let moved = self.enqueue_behind(vec![notice], moved);
        let moved = moved.map_err(|_| EngineError::Stopped)?;
        state.apply(change);
        self.clock_offset_seconds.store(seconds, Ordering::Release);
        drop(state);
        moved.wait().map_err(|_| EngineError::Stopped)?;
        self.do_what_is_due(self.now()).map_err(|_| EngineError::Stopped)
    }

    fn move_event(&self, before: u64, after: u64, now: Timestamp) -> Record {
        let event_id = Guid::from_random(random_bytes(&*self.environment.random));
        let details = Json::object()
            .with("previousClockOffsetSeconds", seconds(before))
            .with("clockOffsetSeconds", seconds(after));
        Record {
            event_name: "MoveClock".to_owned(),
            service_event_details: Some(details),
            ..service_event(&self.config.home(), event_id, now)
        }
    }
}

fn notice(seconds: u64) -> Vec<u8> {
    format!("clock\noffset-seconds {seconds}\n").into_bytes()
}

/// As JSON; the limit is far below.
fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_is_the_one_that_the_ledgers_schema_tells_of() {
        let drawn = r#""clock\noffset-seconds " ‖ decimal ‖ "\n""#;
        for text in [include_str!("clock.rs"), include_str!("../../../../schemas/ledger.md")] {
            assert!(text.contains(drawn));
        }
        assert_eq!(notice(2_592_000), b"clock\noffset-seconds 2592000\n");
    }

    #[test]
    fn a_hundred_years_are_36525_days() {
        assert_eq!(OFFSET_SECONDS_MAX, 36_525 * 86_400);
    }
}
