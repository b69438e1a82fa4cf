//! See `keytrail_fuzz::World::call`.
#![no_main]

use std::sync::{LazyLock, Mutex};

use keytrail_fuzz::World;

/// Made once: libFuzzer calls a function and keeps nothing for it.
static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

libfuzzer_sys::fuzz_target!(|data: &[u8]| WORLD
    .lock()
    .expect("a panic ends the process")
    .call(data));
