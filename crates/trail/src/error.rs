//! What can go wrong when log files are written.

use std::path::PathBuf;

use thiserror::Error;

/// A log file or a corpus could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrailError {
    /// The caller asked for a corpus that cannot be made; nothing was written.
    #[error("{option} {rule}")]
    Option {
        /// The option, in words.
        option: &'static str,
        /// What it must be.
        rule: String,
    },
    /// The disk did not take a file or a folder; what was written before stays.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
