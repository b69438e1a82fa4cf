//! What can be wrong with a text that should be an identifier, a record or a row.
//!
//! Three small enums, one per family of operations: parsing an identifier, splitting a record,
//! joining a row. They say where and what was expected, and never repeat the text itself: an access
//! key mistyped into the wrong field must not travel into somebody's log file through an error.

use thiserror::Error;

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An AWS account id is twelve decimal digits.
    #[error("an account id is exactly 12 decimal digits")]
    AccountId,
    /// A region is 1 to 64 lower-case letters, digits and hyphens, as in `us-east-1`.
    #[error("a region is 1 to 64 lower-case letters, digits and hyphens, as in us-east-1")]
    Region,
    /// An ARN is `arn:partition:service:region:account:resource`.
    #[error(
        "an ARN has the form arn:partition:service:region:account:resource (at most 2048 bytes)"
    )]
    Arn,
    /// A GUID is 32 lower-case hexadecimal digits in groups of 8-4-4-4-12.
    #[error("a GUID is 32 lower-case hexadecimal digits in groups of 8-4-4-4-12")]
    Guid,
    /// Event times lie between 1970 and 2554, in whole seconds, as in `2026-01-02T03:04:05Z`.
    #[error("an event time has the form 2026-01-02T03:04:05Z and lies between 1970 and 2554")]
    EventTime,
}

/// Bytes that are not one record. The record is the data's fault: quarantine it, the next one may
/// be fine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// JSON is UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// First byte, counted from 0, that is not UTF-8.
        offset: usize,
    },
    /// The JSON grammar (RFC 8259) is broken.
    #[error("not JSON at byte {offset}: expected {expected}")]
    NotJson {
        /// Where the grammar broke, in bytes from 0.
        offset: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// Valid JSON, but an array or a scalar where a record should be.
    #[error("a record is a JSON object")]
    NotAnObject,
}

/// A row that no record splits into: it was edited or is damaged, or its layout is newer than this
/// program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The layout holds a code that the table does not.
    #[error("layout position {position}: unknown code {code:?}")]
    UnknownCode {
        /// Byte position in the layout, from 0.
        position: usize,
        /// The code found there.
        code: char,
    },
    /// A code stands in a container it does not belong to, or a container is not closed.
    #[error("layout position {position}: a member outside its container")]
    Misplaced {
        /// Byte position in the layout, from 0.
        position: usize,
    },
    /// The layout names a member whose cell is null or holds a value of another kind.
    #[error("column {column}: the layout names it, but its cell holds no such value")]
    Cell {
        /// Name of the column.
        column: &'static str,
    },
    /// The `extra` column is not a compact JSON object.
    #[error("column extra: not a compact JSON object at byte {offset}")]
    Extra {
        /// Position in the column's text, in bytes from 0.
        offset: usize,
    },
    /// The `extra` column has more or fewer members than the layout takes from it.
    #[error("column extra: holds {held} members, the layout takes {taken}")]
    ExtraCount {
        /// Members in the column.
        held: usize,
        /// Members named by the layout.
        taken: usize,
    },
}
