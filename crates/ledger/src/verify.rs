//! The verifier.

use std::path::Path;

use crate::note::VerifyingKey;
use crate::reader::Frame;
use crate::report::Report;

/// Verifies a ledger.
pub fn verify(dir: &Path, key: &VerifyingKey) -> Report {
    verify_frames(dir, key, &mut |_| ())
}

/// Verifies a ledger and hands over each frame.
pub fn verify_frames(_dir: &Path, _key: &VerifyingKey, _each: &mut dyn FnMut(&Frame)) -> Report {
    Report::new()
}
