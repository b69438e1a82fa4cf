//! Takes a record apart into the columns of a row.

use crate::{RecordError, Row};

/// Takes one record apart.
pub fn split(record: &[u8]) -> Result<Row<'_>, RecordError> {
    let text = std::str::from_utf8(record)
        .map_err(|error| RecordError::NotUtf8 { offset: error.valid_up_to() })?;
    Ok(Row { raw: Some(text.into()), ..Row::empty() })
}
