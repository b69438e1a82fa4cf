//! The vocabulary: one CloudTrail record, its identities, ARNs, ids and times, and the lossless
//! split of a record into columns and back.
//!
//! A record has one text, and that text is what is signed, delivered, stored and given back. This
//! crate writes it ([`Record::to_json`]), finds it in log files ([`read_log`]), takes it apart into
//! the flat, typed columns of the lake ([`split()`]) and puts it together again ([`join()`]), byte
//! for byte, whoever wrote it:
//!
//! ```
//! use keytrail_event::{Record, Timestamp, UserIdentity, col, join, read_log, split};
//!
//! let account = "111122223333".parse()?;
//! let record = Record {
//!     read_only: true,
//!     source_ip_address: "192.0.2.7".to_owned(),
//!     ..Record::new(
//!         Timestamp::from_unix_seconds(1_767_323_045),
//!         "kms.amazonaws.com",
//!         "Decrypt",
//!         UserIdentity::root(&account, "AKIAIOSFODNN7EXAMPLE"),
//!         "us-east-1".parse()?,
//!         account,
//!         "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d".parse()?,
//!     )
//! };
//! let log = format!("{{\"Records\":[{}]}}", record.to_json());
//!
//! for found in read_log(log.as_bytes()).records {
//!     let row = split(found.bytes)?;
//!     assert_eq!(row.cells[col::EVENT_NAME].text(), Some("Decrypt"));
//!     assert_eq!(join(&row)?, found.bytes);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Begin with [`COLUMNS`], the one table from which the split, the join and the lake's schema
//! follow; `schemas/record-columns.md` and `schemas/record.md` show both sides of it.
//!
//! # What it is not
//!
//! No I/O, no clock, no randomness: times and random bytes are given. No HTTP and no Arrow: the
//! lake turns [`Row`]s into batches. No KMS: what an operation puts into its record is the engine's
//! affair. No secrets: an access key *id* may pass through, never the key.

mod account;
mod arn;
mod columns;
mod derived;
mod error;
mod guid;
mod identity;
mod join;
mod json;
mod layout;
mod log_file;
mod record;
mod row;
#[cfg(test)]
mod samples;
mod scan;
#[cfg(test)]
mod schemas;
mod split;
mod time;

pub use account::{AccountId, Region};
pub use arn::Arn;
pub use columns::{COLUMN_COUNT, COLUMNS, Column, Kind, col, column};
pub use error::{JoinError, ParseError, RecordError};
pub use guid::Guid;
pub use identity::{
    InScopeOf, OnBehalfOf, SessionAttributes, SessionContext, SessionIssuer, UserIdentity,
};
pub use join::join;
pub use json::Json;
pub use log_file::{Broken, LogEnd, LogKind, LogRecord, LogRecords, read_log, split_log};
pub use record::{EVENT_VERSION, EventCategory, EventType, Record, Resource, TlsDetails};
pub use row::{Cell, Row};
pub use split::split;
pub use time::Timestamp;
