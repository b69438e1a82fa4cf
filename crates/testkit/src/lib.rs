//! Fixed clock and randomness, faulty storage, record generators, whole-ledger check.
//!
//! For tests only: nothing here is fit for real use, least of all [`SeededRandom`]. What tests need
//! is a plain value: a time is a number of nanoseconds ([`Ticks`]), a key is [`signing_key`], a
//! ledger after each step is [`check_ledger`].

mod ledger;
mod random;
mod storage;
mod time;

pub use ledger::{CheckedLedger, check_ledger, origin, record, signing_key};
pub use random::SeededRandom;
pub use storage::{Call, Fault, FaultyStorage};
pub use time::{START_NS, Ticks};
