//! The AWS-compatible HTTP edge: KMS, CloudTrail, and the S3 reads that clients need.
//!
//! Requests come in here as HTTP, are turned by hand into calls on the embedded engine, and leave only when the record of
//! the call is durable. This crate knows the wire and nothing else does; errors map totally to AWS's codes.
//!
//! It has no routes yet: `keytrail serve` does not exist, and the same API is reached through `keytrail kms` and the crate
//! `keytrail-kms`. The wall stands first, so that nothing HTTP grows anywhere else.
//!
//! # What it is not
//!
//! No cryptography beyond TLS, no policy rules, no key states: those are `keytrail-kms` and `keytrail-auth`. No ambient
//! state either: it is handed an engine, a listener and a clock.
