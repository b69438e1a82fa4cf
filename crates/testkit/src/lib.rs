//! Fixed clock and randomness, faulty storage, record generators, whole-ledger check.
//!
//! What tests need is a plain value: a time is a number of nanoseconds ([`Ticks`]), a key is
//! [`signing_key`], a directory is an [`Image`], a ledger after each step is [`check_ledger`], and a
//! disk that fails is a [`FaultyStorage`].
//!
//! # What it is not
//!
//! Fit for anything but tests: it panics where a test should stop, and [`SeededRandom`] is
//! predictable. Nothing here is a second implementation of what is tested.

mod clock;
mod image;
mod ledger;
mod random;
mod storage;
mod time;

pub use clock::SteppingClock;
pub use image::{Image, scratch};
pub use ledger::{CheckedLedger, check_ledger, origin, record, signing_key};
pub use random::SeededRandom;
pub use storage::{Call, Fault, FaultyStorage};
pub use time::{START_NS, Ticks};
