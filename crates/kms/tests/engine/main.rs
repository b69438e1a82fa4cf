//! The engine from outside: what calls answer, what their records say, and that neither says too much.
//!
//! - `accounts`: several accounts, what crosses from one to another, and in whose log it is.
//! - `algorithms`, `signing`: every kind of key with every algorithm; and the ways that calls and keys do not fit.
//! - `answers`: each operation's answers and refusals, in the words of AWS.
//! - `aws_managed`: the keys that services have, whom they are made for, and that nobody manages them.
//! - `clock`: time moved forward, and what that makes due.
//! - `confusion`: what is good for one key or purpose, offered for another.
//! - `erasure`: erased material opens from no copy of the ledger.
//! - `import`: material from outside, its comings and goings.
//! - `last_use`: the last use of a key, and that it is the one on record.
//! - `management`: aliases, tags, descriptions, and what there is only one of.
//! - `model`: every member of every request, spoiled in every way that the API model forbids.
//! - `permissions`: who may do what, and what a refused caller learns.
//! - `places`: Regions of an account are apart, and may become more.
//! - `multi_region`: related keys, what they share and what they do not, and the end of them.
//! - `policy_suite`: the policy suite of `auth`, by real calls, rehearsals and `policy check`.
//! - `grants`: who is let in by one, who may end one, and what a token is worth.
//! - `quotas`: those that can be set, and what is counted for them.
//! - `records`: the record of each operation, byte for byte, and its shape beside AWS's own examples.
//! - `secrets`: no plaintext, data key or secret access key in any file, record, error or debug text.
//! - `restart`: the state after reopening is the state before, and what the log says.
//! - `rotation`: new materials by the period and by hand; old ciphertexts open with their own.
//! - `threads`: many callers at once; the log's order is the order of what was true.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod accounts;
mod algorithms;
mod answers;
mod aws_managed;
mod clock;
mod confusion;
mod erasure;
mod grants;
mod import;
mod last_use;
mod management;
mod model;
mod multi_region;
mod permissions;
mod places;
mod policy_suite;
mod quotas;
mod records;
mod restart;
mod roles;
mod rotation;
mod secrets;
mod signing;
#[path = "../../../auth/tests/suite/mod.rs"]
mod suite;
mod support;
mod threads;
