//! See `keytrail_fuzz::Endpoint::request`.
#![no_main]

use std::sync::{LazyLock, Mutex};

use keytrail_fuzz::Endpoint;

/// Made once: libFuzzer calls a function and keeps nothing for it.
static ENDPOINT: LazyLock<Mutex<Endpoint>> = LazyLock::new(Mutex::default);

libfuzzer_sys::fuzz_target!(|data: &[u8]| ENDPOINT
    .lock()
    .expect("a panic ends the process")
    .request(data));
