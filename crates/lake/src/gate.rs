//! Lets workers run side by side and still decide in the order of the sources.
//!
//! Items are handed out in order. A worker that must know what all earlier items hold waits until they have passed the
//! gate. That cannot lock up: the earliest item that has not passed is in the hands of a worker that waits for nothing,
//! because a worker waits only for items earlier than those it holds. If a worker fails, it closes the gate, and
//! whoever waits is told to stop.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A gate that items pass in any order, and that knows up to which one all have passed.
pub(crate) struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    /// All items before this one have passed.
    passed_below: u32,
    /// Those that passed ahead of an earlier one.
    ahead: BTreeSet<u32>,
    closed: bool,
}

/// Another worker failed; its error is the one to report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Gate {
    /// A gate before which the items from `first` on stand.
    pub(crate) fn new(first: u32) -> Self {
        let state = State { passed_below: first, ahead: BTreeSet::new(), closed: false };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// This item passes.
    pub(crate) fn pass(&self, item: u32) {
        let mut state = self.lock();
        state.ahead.insert(item);
        let before = state.passed_below;
        while state.ahead.first() == Some(&state.passed_below) {
            state.ahead.pop_first();
            state.passed_below += 1;
        }
        if state.passed_below > before {
            self.moved.notify_all();
        }
    }

    /// Waits until all items before this one have passed.
    pub(crate) fn wait_for_those_before(&self, item: u32) -> Result<(), Closed> {
        let mut state = self.lock();
        while state.passed_below < item && !state.closed {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed { Err(Closed) } else { Ok(()) }
    }

    /// Sends everybody home who waits or will wait.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_waits_for_all_before_it_and_for_none_after() {
        let gate = Gate::new(5);
        assert_eq!(gate.wait_for_those_before(5), Ok(()));
        gate.pass(7);
        gate.pass(5);
        assert_eq!(gate.wait_for_those_before(6), Ok(()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait_for_those_before(8));
            gate.pass(6);
            assert_eq!(waiting.join().ok(), Some(Ok(())));
        });
    }

    #[test]
    fn a_closed_gate_holds_nobody() {
        let gate = Gate::new(0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait_for_those_before(9));
            gate.close();
            assert_eq!(waiting.join().ok(), Some(Err(Closed)));
        });
        assert_eq!(gate.wait_for_those_before(0), Err(Closed));
    }
}
