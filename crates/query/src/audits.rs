//! Ready-made audits: SQL files with a header that says what they answer and which filters they take.
//!
//! `schemas/audit-file.md` draws the form of such a file; a test runs the example that stands there.
//!
//! A filter is a typed parameter of the SQL (`$since`), never text pasted into it: whatever a user types stays a value.
//! A filter that is not given is bound as NULL, so a file writes `($since IS NULL OR event_time >= $since)`; the planner
//! removes what that leaves constant. `$key` is bound as a *list* of key ARNs (`array_has($key, key)`), because an id
//! or an alias can name several keys.
//!
//! The three files under `audits/` are built in; [`Audit::parse`] takes anyone's own.

use crate::QueryError;

/// One audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Its name on the command line.
    pub name: String,
    /// What it answers, in one line.
    pub title: String,
    /// How bad a row of its answer is.
    pub severity: Severity,
    /// The filters it takes.
    pub filters: Vec<Filter>,
    /// Controls it serves, such as `CIS-3.7`.
    pub tags: Vec<String>,
    /// The file's text: header and query.
    pub sql: String,
}

/// How bad it is when an audit finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// An answer, not a problem.
    Info,
    /// Worth a look.
    Low,
    /// Worth a question to someone.
    Medium,
    /// Probably wrong.
    High,
    /// Act now.
    Critical,
}

/// A filter that an audit may take, and the parameter of its SQL that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// `$key`: list of key ARNs.
    Key,
    /// `$principal`: an ARN, a user or role name, a principal id or an access key id.
    Principal,
    /// `$since`: first instant that counts.
    Since,
    /// `$until`: first instant that no longer counts.
    Until,
}

const BUILT_IN: [(&str, &str); 3] = [
    ("who-used.sql", include_str!("../audits/who-used.sql")),
    ("last-use.sql", include_str!("../audits/last-use.sql")),
    ("denied.sql", include_str!("../audits/denied.sql")),
];

impl Audit {
    /// The audits that come with Keytrail.
    pub fn built_in() -> Result<Vec<Audit>, QueryError> {
        BUILT_IN.into_iter().map(|(file, text)| Audit::parse(file, text)).collect()
    }

    /// The built-in audit of this name.
    pub fn named(name: &str) -> Result<Audit, QueryError> {
        let mut known = Vec::new();
        for audit in Audit::built_in()? {
            if audit.name == name {
                return Ok(audit);
            }
            known.push(audit.name);
        }
        Err(QueryError::UnknownAudit { name: name.to_owned(), known: known.join(", ") })
    }

    /// Reads an audit file; `file` is only its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Audit, QueryError> {
        let header = Header { file, text };
        let audit = Audit {
            name: header.required("audit", is_name, "a-z, 0-9 and -")?.to_owned(),
            title: header
                .required("title", |title| !title.is_empty(), "one line of text")?
                .to_owned(),
            severity: header.severity()?,
            filters: header.filters()?,
            tags: header.list("tags").map(str::to_owned).collect(),
            sql: text.to_owned(),
        };
        header.check_parameters(&audit.filters)?;
        Ok(audit)
    }
}

impl Severity {
    /// All of them, the least bad first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The word in a header and in a listing.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl Filter {
    /// All filters, in the order of the command line's help.
    pub const ALL: [Filter; 4] = [Filter::Key, Filter::Principal, Filter::Since, Filter::Until];

    /// The name in a header, and the parameter's without its `$`.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Key => "key",
            Filter::Principal => "principal",
            Filter::Since => "since",
            Filter::Until => "until",
        }
    }
}

struct Header<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Header<'a> {
    /// Line number and value of `-- name: value` among the comment lines at the top.
    fn value(&self, name: &str) -> Option<(usize, &'a str)> {
        let comments = self.text.lines().map_while(|line| line.strip_prefix("--"));
        comments.enumerate().find_map(|(index, comment)| {
            let value = comment.trim_start().strip_prefix(name)?.strip_prefix(':')?;
            Some((index + 1, value.trim()))
        })
    }

    fn required(
        &self,
        name: &str,
        valid: impl Fn(&str) -> bool,
        expected: &str,
    ) -> Result<&'a str, QueryError> {
        match self.value(name) {
            Some((_, value)) if valid(value) => Ok(value),
            Some((line, _)) => Err(self.wrong(line, format!("`{name}` must be {expected}"))),
            None => Err(self.wrong(1, format!("the header lacks a line `-- {name}: …`"))),
        }
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let (_, value) = self.value(name).unwrap_or_default();
        value.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    fn severity(&self) -> Result<Severity, QueryError> {
        let find = |word: &str| Severity::ALL.into_iter().find(|severity| severity.name() == word);
        let expected = "info, low, medium, high or critical";
        let word = self.required("severity", |word| find(word).is_some(), expected)?;
        Ok(find(word).unwrap_or(Severity::Info))
    }

    fn filters(&self) -> Result<Vec<Filter>, QueryError> {
        let expected = "a list of key, principal, since, until";
        self.required("filters", |list| !list.is_empty(), expected)?;
        self.list("filters")
            .map(|word| {
                Filter::ALL.into_iter().find(|filter| filter.name() == word).ok_or_else(|| {
                    let line = self.value("filters").map_or(1, |(line, _)| line);
                    self.wrong(line, format!("{word:?} is no filter; `filters` must be {expected}"))
                })
            })
            .collect()
    }

    /// Header and query must agree: a declared filter without effect would answer another question than was asked.
    fn check_parameters(&self, declared: &[Filter]) -> Result<(), QueryError> {
        let used = parameters(self.text);
        for filter in declared {
            if !used.iter().any(|(_, name)| *name == filter.name()) {
                let reason =
                    format!("filter {0} is declared, but the SQL has no ${0}", filter.name());
                return Err(self.wrong(1, reason));
            }
        }
        for (line, name) in used {
            if !declared.iter().any(|filter| filter.name() == name) {
                return Err(self.wrong(line, format!("${name} is not among the declared filters")));
            }
        }
        Ok(())
    }

    fn wrong(&self, line: usize, reason: String) -> QueryError {
        QueryError::AuditSyntax { file: self.file.to_owned(), line, reason }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Line and name of each `$name` outside comments.
fn parameters(sql: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in sql.lines().enumerate() {
        let code = line.split_once("--").map_or(line, |(code, _)| code);
        for rest in code.split('$').skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            found.push((index + 1, &rest[..end.unwrap_or(rest.len())]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Audit, Filter, Severity};

    const FILE: &str = "-- audit: try\n-- title: Try it\n-- severity: low\n-- filters: key, since\n\
                        -- tags: CIS-3.7\n--\n-- prose: with a colon and $money\n\
                        SELECT 1 WHERE array_has($key, 'a') AND $since IS NULL\n";

    /// The error that `text` is refused with.
    fn refusal(text: &str) -> String {
        Audit::parse("try.sql", text).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_header_is_read() {
        let audit = Audit::parse("try.sql", FILE).expect("valid");
        assert_eq!((audit.name.as_str(), audit.title.as_str()), ("try", "Try it"));
        assert_eq!(audit.severity, Severity::Low);
        assert_eq!(audit.filters, [Filter::Key, Filter::Since]);
        assert_eq!(audit.tags, ["CIS-3.7"]);
        assert_eq!(audit.sql, FILE);
    }

    #[test]
    fn every_built_in_audit_takes_all_filters_and_is_found_by_name() {
        for audit in Audit::built_in().expect("all valid") {
            assert_eq!(audit.filters, Filter::ALL, "{}", audit.name);
            assert_eq!(Audit::named(&audit.name).expect("known"), audit);
        }
        let unknown = Audit::named("nope").expect_err("unknown").to_string();
        assert_eq!(unknown, "no audit is called \"nope\"; there are: who-used, last-use, denied");
    }

    #[test]
    fn a_wrong_header_is_refused_with_its_line() {
        let cases = [
            ("", "try.sql: line 1: the header lacks a line `-- audit: …`"),
            (
                &FILE.replace("audit: try", "audit: Try"),
                "try.sql: line 1: `audit` must be a-z, 0-9 and -",
            ),
            (
                &FILE.replace("low", "awful"),
                "try.sql: line 3: `severity` must be info, low, medium, high or critical",
            ),
            (
                &FILE.replace("key, since", "key, colour"),
                "try.sql: line 4: \"colour\" is no filter; `filters` must be a list of key, principal, since, until",
            ),
            (
                &FILE.replace("key, since", "key, since, until"),
                "try.sql: line 1: filter until is declared, but the SQL has no $until",
            ),
            (
                &FILE.replace("key, since", "key"),
                "try.sql: line 8: $since is not among the declared filters",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refusal(text), expected);
        }
    }

    #[test]
    fn a_header_cut_short_anywhere_is_never_a_panic() {
        for end in 0..FILE.len() {
            let _ = Audit::parse("try.sql", &FILE[..end]);
        }
    }
}
