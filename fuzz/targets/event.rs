//! See `keytrail_fuzz::event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keytrail_fuzz::event(data));
