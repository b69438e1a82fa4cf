//! The lake from outside: sources in, rows and receipts out, by its public interface alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

mod formats;
mod ledger;
mod sources;
mod support;
mod threads;
mod watch;
