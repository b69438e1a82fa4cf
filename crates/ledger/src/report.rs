//! What a verification found: findings, what was checked, what was not.
//!
//! Shared by every verifier (ledger, lake, CloudTrail files), so that they read alike. A report is
//! `OK` only without findings; what could not be checked is listed, never passed over.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Findings that a report keeps; one damaged disk must not fill the memory of its verifier. The
/// first are the ones that matter: later ones are often their consequences.
pub(crate) const FINDINGS_MAX: usize = 1000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Bytes differ from what was signed or hashed.
    Modified,
    /// Something that was logged is not there.
    Missing,
    /// Something is there that was not logged at this place.
    Inserted,
    /// The right things in the wrong order or under the wrong name.
    Reordered,
    /// The newest part is gone.
    Truncated,
    /// A file that does not belong here.
    StrayFile,
    /// Derived data (headers, statistics, keys beside the data) disagrees with the data.
    Metadata,
    /// A column says something else than its record.
    ColumnMismatch,
    /// Well-formed data that no signature covers.
    Unsigned,
    /// A signature is missing, malformed, forged, or of another log.
    Signature,
    /// Time runs backwards.
    Time,
    /// Could not be read.
    Unreadable,
}

impl FindingKind {
    /// The name it is printed under: `MODIFIED`, `STRAY-FILE`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Modified => "MODIFIED",
            Self::Missing => "MISSING",
            Self::Inserted => "INSERTED",
            Self::Reordered => "REORDERED",
            Self::Truncated => "TRUNCATED",
            Self::StrayFile => "STRAY-FILE",
            Self::Metadata => "METADATA",
            Self::ColumnMismatch => "COLUMN-MISMATCH",
            Self::Unsigned => "UNSIGNED",
            Self::Signature => "SIGNATURE",
            Self::Time => "TIME",
            Self::Unreadable => "UNREADABLE",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// Where: file, byte range, sequence, as far as they are known.
    pub place: String,
    /// What was expected and what was found.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.place, self.detail)
    }
}

/// Something that was checked: how many, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checked {
    /// A number of things.
    Count(u64),
    /// A name or value.
    Text(String),
}

impl From<u64> for Checked {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<String> for Checked {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Checked {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The outcome of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong with what was checked.
    Ok,
    /// There are findings.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Failed => "FAILED",
        })
    }
}

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in the order in which it was met; at most 1000.
    pub findings: Vec<Finding>,
    /// What was checked, by name.
    pub checked: BTreeMap<String, Checked>,
    /// What was not checked, in sentences.
    pub not_checked: Vec<String>,
}

impl Report {
    /// A report of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding. The 1001st and later ones are dropped.
    pub fn find(&mut self, kind: FindingKind, place: impl Into<String>, detail: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { kind, place: place.into(), detail: detail.into() });
        }
    }

    /// Notes what was checked, in place of an earlier note of this name.
    pub fn check(&mut self, name: &str, what: impl Into<Checked>) {
        self.checked.insert(name.to_owned(), what.into());
    }

    /// OK if there are no findings.
    pub fn verdict(&self) -> Verdict {
        if self.findings.is_empty() { Verdict::Ok } else { Verdict::Failed }
    }

    /// Whether the verdict is [`Verdict::Ok`].
    pub fn is_ok(&self) -> bool {
        self.verdict() == Verdict::Ok
    }

    /// Takes over what another report says, its places and names put under `part` (`ledger`,
    /// `lake/catalog`, …).
    pub fn merge(&mut self, part: &str, other: Self) {
        for finding in other.findings {
            self.find(finding.kind, format!("{part}/{}", finding.place), finding.detail);
        }
        for (name, what) in other.checked {
            self.checked.insert(format!("{part} {name}"), what);
        }
        self.not_checked.extend(other.not_checked.iter().map(|what| format!("{part}: {what}")));
    }

    /// One JSON object:
    /// `{"verdict","findings":[{"kind","where","detail"}],"checked":{},"not_checked":[]}`.
    pub fn to_json(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            format!(
                r#"{{"kind":{},"where":{},"detail":{}}}"#,
                json_string(finding.kind.name()),
                json_string(&finding.place),
                json_string(&finding.detail),
            )
        });
        let checked = self.checked.iter().map(|(name, what)| match what {
            Checked::Count(count) => format!("{}:{count}", json_string(name)),
            Checked::Text(text) => format!("{}:{}", json_string(name), json_string(text)),
        });
        format!(
            r#"{{"verdict":"{}","findings":[{}],"checked":{{{}}},"not_checked":[{}]}}"#,
            self.verdict(),
            join(findings),
            join(checked),
            join(self.not_checked.iter().map(|what| json_string(what))),
        )
    }
}

/// For people: the verdict, the findings, what was checked and what was not, one per line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict())?;
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        if self.findings.len() == FINDINGS_MAX {
            writeln!(f, "  … further findings are not listed")?;
        }
        for (name, what) in &self.checked {
            writeln!(f, "  checked {name}: {what}")?;
        }
        for what in &self.not_checked {
            writeln!(f, "  not checked: {what}")?;
        }
        Ok(())
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// A JSON string (RFC 8259 §7) with the escapes that are demanded and no others.
fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c)); // a String takes everything
            }
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::{FINDINGS_MAX, FindingKind, Report, Verdict};

    fn report() -> Report {
        let mut report = Report::new();
        report.find(FindingKind::StrayFile, "a\"b\\c\n", "should not be here");
        report.check("entries", 3);
        report.check("origin", "example.org/log");
        report.not_checked.push("authentication codes".to_owned());
        report
    }

    #[test]
    fn json_has_the_documented_shape() {
        assert_eq!(
            report().to_json(),
            concat!(
                r#"{"verdict":"FAILED","findings":[{"kind":"STRAY-FILE","where":"a\"b\\c\u000a","#,
                r#""detail":"should not be here"}],"checked":{"entries":3,"#,
                r#""origin":"example.org/log"},"not_checked":["authentication codes"]}"#,
            )
        );
        assert_eq!(
            Report::new().to_json(),
            r#"{"verdict":"OK","findings":[],"checked":{},"not_checked":[]}"#
        );
    }

    #[test]
    fn a_merged_report_names_the_part_and_keeps_the_verdict() {
        let mut whole = Report::new();
        assert_eq!(whole.verdict(), Verdict::Ok);
        whole.merge("ledger", report());
        assert_eq!(whole.verdict(), Verdict::Failed);
        assert_eq!(whole.findings[0].place, "ledger/a\"b\\c\n");
        assert!(whole.checked.contains_key("ledger entries"));
        assert_eq!(whole.not_checked, ["ledger: authentication codes"]);
    }

    #[test]
    fn findings_are_limited() {
        let mut report = Report::new();
        for _ in 0..=FINDINGS_MAX {
            report.find(FindingKind::Modified, "here", "this");
        }
        assert_eq!(report.findings.len(), FINDINGS_MAX);
    }
}
