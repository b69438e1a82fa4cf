//! See `keytrail_fuzz::Messages::message`.
#![no_main]

use std::sync::LazyLock;

use keytrail_fuzz::Messages;

/// Made once: libFuzzer calls a function and keeps nothing for it.
static MESSAGES: LazyLock<Messages> = LazyLock::new(Messages::default);

libfuzzer_sys::fuzz_target!(|data: &[u8]| MESSAGES.message(data));
