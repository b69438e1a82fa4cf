//! The one error of this crate.

use std::{io, path::PathBuf};

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    // The caller's.
    /// The SQL does not parse, or names a table, column or function that does not exist.
    #[error("the SQL cannot be run: {}", first_line(.0))]
    Sql(Box<DataFusionError>),
    /// A statement that is not a query.
    #[error(
        "{statement} is refused: the lake answers queries and is never changed by SQL; use `keytrail ingest` to add data"
    )]
    NotAQuery {
        /// The kind of statement, in SQL's word.
        statement: String,
    },
    /// No audit has this name.
    #[error("no audit is called {name:?}; there are: {known}")]
    UnknownAudit {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An audit file whose header is not as `audits.rs` draws it.
    #[error("{file}: line {line}: {reason}")]
    AuditSyntax {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// A filter that the chosen audit does not take.
    #[error("audit {audit} takes no {filter} filter; it takes: {taken}")]
    UnusedFilter {
        /// The audit.
        audit: String,
        /// The filter that was given.
        filter: &'static str,
        /// The ones it takes.
        taken: String,
    },
    /// The lake has never seen a key of this id or alias.
    #[error(
        "no event in the lake names a key {key:?}; give a key id, a key ARN, an alias name or an alias ARN"
    )]
    UnknownKey {
        /// As given.
        key: String,
    },
    /// No output format has this name.
    #[error("no output format is called {name:?}; there are: table, json, ndjson, csv, markdown")]
    UnknownFormat {
        /// As given.
        name: String,
    },

    // The data's.
    /// The lake or its catalog cannot be read.
    #[error("cannot open the lake {path}")]
    Lake {
        /// The lake's directory.
        path: PathBuf,
        /// Why.
        source: keytrail_lake::LakeError,
    },
    /// The query failed while it ran.
    #[error("the query failed: {}", first_line(.0))]
    Execution(Box<DataFusionError>),

    // The environment's.
    /// The current directory, to which a relative path is relative, is gone.
    #[error("cannot find out what {path} is relative to")]
    Path {
        /// The relative path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output(#[source] io::Error),

    // Ours.
    /// An answer that the printer cannot show.
    #[error("cannot show the answer")]
    Unprintable(#[from] ArrowError),
}

/// DataFusion wraps an error in the names of its own rules, and appends backtraces on further lines. The first line of the
/// innermost error is what a user needs.
fn first_line(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    text.lines().next().unwrap_or_default().to_owned()
}
