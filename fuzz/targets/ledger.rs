//! See `keytrail_fuzz::Ledgers::ledger`.
#![no_main]

use std::sync::{LazyLock, Mutex};

use keytrail_fuzz::Ledgers;

/// Made once: libFuzzer calls a function and keeps nothing for it.
static LEDGERS: LazyLock<Mutex<Ledgers>> = LazyLock::new(Mutex::default);

libfuzzer_sys::fuzz_target!(|data: &[u8]| LEDGERS
    .lock()
    .expect("a panic ends the process")
    .ledger(data));
