//! Structured log lines: one JSON object each, made of what was understood of a request, never of its bytes: no bodies, no
//! headers, no signatures.
//!
//! ```text
//! {"time":"2026-01-02T03:04:05Z","level":"info","event":"request","service":"kms","operation":"Encrypt","outcome":"OK",
//!  "status":200,"micros":812,"source":"127.0.0.1","principal":"arn:aws:iam::111122223333:user/alice","requestId":"…"}
//! ```
//!
//! Where they go is the caller's business: see [`Log`]. They are for operating the endpoint; the audit log is the ledger.

use keytrail_event::{Json, Timestamp};

/// How urgent a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What goes on: one line for each request.
    Info,
    /// Somebody should look: a request that was not authenticated, an answer that is our fault, a connection limit reached.
    Warning,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// Takes log lines. Called from many threads; a slow one slows the endpoint down.
pub trait Log: Send + Sync {
    /// Whether lines of this level are wanted at all: they are not even made otherwise.
    fn wants(&self, level: Level) -> bool;

    /// Takes a line, without a line break.
    fn line(&self, line: &str);
}

/// Logs an event with what is known about it.
pub(crate) fn event(log: &dyn Log, level: Level, now: Timestamp, event: &str, fields: Json) {
    if !log.wants(level) {
        return;
    }
    let mut line = Json::object()
        .with("time", now.event_time())
        .with("level", level.as_str())
        .with("event", event);
    if let Json::Object(fields) = fields {
        for (name, value) in fields {
            line = line.with(name, value);
        }
    }
    log.line(&line.to_string());
}
