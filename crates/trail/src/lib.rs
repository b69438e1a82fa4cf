//! CloudTrail log files: AWS's key layout, written and named.
//!
//! A log file holds records verbatim, `{"Records":[…]}` in one gzip member, under a name that says
//! whose they are and when they were delivered. Begin with [`write_log`] for its bytes and
//! [`log_file_key`] for its name. [`corpus`] makes any number of such files of a company that does
//! not exist, for benchmarks, demonstrations and tests.
//!
//! ```
//! use keytrail_event::{AccountId, Region, Timestamp};
//! use keytrail_trail::{Unique, log_file_key, write_log};
//!
//! let file = write_log([br#"{"eventVersion":"1.11"}"#.as_slice()]);
//! let delivery = Timestamp::parse_event_time("2025-06-02T08:05:00Z")?;
//! let unique = Unique::from_random([7; 16]);
//! let key = log_file_key(
//!     &AccountId::parse("111122223333")?,
//!     &Region::parse("us-east-1")?,
//!     delivery,
//!     unique,
//! );
//! assert_eq!(
//!     key,
//!     "AWSLogs/111122223333/CloudTrail/us-east-1/2025/06/02/\
//!      111122223333_CloudTrail_us-east-1_20250602T0805Z_7777777777777777.json.gz"
//! );
//! # Ok::<(), keytrail_event::ParseError>(())
//! ```
//!
//! # What it is not
//!
//! It does not read log files: finding the records in one is `event`'s, taking them into the lake
//! is `lake`'s. It knows no keys, asks no clock and draws no randomness: the delivery time and the
//! random part of a name are given.

pub mod corpus;
mod error;
mod log_file;

pub use error::TrailError;
pub use log_file::{Unique, log_file_key, write_log};
