//! The vocabulary: one CloudTrail record, and its lossless split into columns and back.

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
mod scan;
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
pub use log_file::{Broken, LogKind, LogRecord, LogRecords, read_log};
pub use record::{EVENT_VERSION, EventCategory, EventType, Record, Resource, TlsDetails};
pub use row::{Cell, Row};
pub use split::split;
pub use time::Timestamp;
