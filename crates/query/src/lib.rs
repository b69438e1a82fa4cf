//! SQL, named audits, verification of the lake, output formats.
//!
//! Begin with [`Session`]: it opens one snapshot of a lake and answers SQL and [`Audit`]s; a [`Printer`] writes the
//! [`Answer`] in one of five [`Format`]s.
//!
//! ```no_run
//! # async fn example() -> Result<(), keytrail_query::QueryError> {
//! use keytrail_query::{Audit, AuditFilters, Format, Printer, Session, SessionOptions, Style};
//!
//! let options = SessionOptions { threads: 2, memory_bytes_max: None };
//! let session = Session::open("keytrail-data/lake".as_ref(), options).await?;
//! let filters = AuditFilters { key: Some("alias/payroll".into()), ..AuditFilters::default() };
//! let answer = session.audit(&Audit::named("who-used")?, &filters).await?;
//! let printer = Printer::new(std::io::stdout(), &answer.schema(), Style::plain(Format::Csv));
//! answer.print(printer).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//!
//! It never writes: no table, no file, no log. What a lake consists of is `keytrail-lake`'s, and so is making one.

mod audits;
mod error;
mod keys;
mod output;
mod provider;
mod session;
mod tables;
mod verify;

pub use audits::{Audit, Filter, Severity};
pub use error::QueryError;
pub use output::{Emphasis, Format, Printer, Style, WIDTH_SAMPLE};
pub use session::{Answer, AuditFilters, Session, SessionOptions};
pub use verify::{LakeCheck, LedgerCheck, verify_lake};
