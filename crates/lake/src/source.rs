//! Which files and ledger entries there are to be read.
//!
//! Finds, and decides nothing about content. A directory is walked in the order of its names, so that the same tree
//! always gives the same list. What a name says is no log (digests, Insights, other formats) is counted; what cannot
//! even be listed or opened is named, because it may hold records that nobody will have seen.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::LakeError;

/// Entries of a ledger that one receipt covers at most, so that its rows fit into one data file.
pub(crate) const RANGE_ENTRIES_MAX: u64 = 65_536;

/// Folders of CloudTrail's layout beside the logs.
const NO_LOGS: &[&str] = &["CloudTrail-Digest", "CloudTrail-Insight"];

/// Endings of log files, each also with `.gz`.
const ENDINGS: &[&str] = &[".json", ".jsonl", ".ndjson"];

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A log file, or a directory with log files below it.
    Path(PathBuf),
    /// The directory of a ledger.
    Ledger(PathBuf),
}

impl Source {
    /// The file or directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Ledger(path) => path,
        }
    }
}

/// Something to be read by one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A log file.
    File(LogFile),
    /// Entries of a ledger, `first` included and `end` not.
    Range {
        /// Which of the ledgers.
        ledger: usize,
        /// First sequence.
        first: u64,
        /// Sequence after the last.
        end: u64,
    },
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it is called in the lake: its path relative to the source, with `/` between the parts.
    pub(crate) name: String,
    /// Bytes, when it was listed.
    pub(crate) size: u64,
}

/// What a list of sources holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The log files, in order.
    pub(crate) files: Vec<LogFile>,
    /// The ledgers.
    pub(crate) ledgers: Vec<PathBuf>,
    /// Files that are no logs by their name.
    pub(crate) skipped: u64,
    /// What could not be listed, and why.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A file or directory that could not be listed or read. It is tried again by the next ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub reason: String,
}

/// Lists the sources. A source that does not exist at all is the caller's mistake.
pub(crate) fn list(sources: &[Source]) -> Result<Listing, LakeError> {
    let mut listing = Listing::default();
    for source in sources {
        match source {
            Source::Ledger(dir) => listing.ledgers.push(dir.clone()),
            Source::Path(path) => {
                let metadata =
                    fs::metadata(path).map_err(|_| LakeError::NoSource { path: path.clone() })?;
                if metadata.is_dir() {
                    listing.walk(path);
                } else {
                    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                    let (path, name) = (path.clone(), name.into_owned());
                    listing.files.push(LogFile { path, name, size: metadata.len() });
                }
            }
        }
    }
    Ok(listing)
}

impl Listing {
    fn walk(&mut self, root: &Path) {
        // A link to a folder is followed: buckets are mounted and joined that way. `walkdir` refuses circles.
        let walk = WalkDir::new(root).follow_links(FOLLOW).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
            let found = entry.and_then(|entry| {
                let size = entry.metadata()?.len();
                Ok((entry, size))
            });
            match found {
                Ok((entry, _)) if !entry.file_type().is_file() => {}
                Ok((entry, size)) => self.file(root, &entry, size),
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    self.unreadable.push(Unreadable { path, reason: error.to_string() });
                }
            }
        }
    }

    fn file(&mut self, root: &Path, entry: &DirEntry, size: u64) {
        let path = entry.path().to_owned();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let no_logs = parts.iter().any(|part| NO_LOGS.contains(&part.as_ref()));
        if no_logs || !is_log(parts.last().map_or("", AsRef::as_ref)) {
            self.skipped += 1;
            return;
        }
        let name = parts.join("/");
        self.files.push(LogFile { path, name, size });
    }
}

const FOLLOW: bool = true;

/// Hidden and temporary names: `.part`, `.DS_Store`, a file that a download is still writing.
fn is_hidden(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.')
        || name.ends_with('~')
        || name.ends_with(".tmp")
        || name.ends_with(".part")
}

fn is_log(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The entries of a ledger from `first` to its `size`, in pieces.
pub(crate) fn ranges(ledger: usize, first: u64, size: u64) -> impl Iterator<Item = Item> {
    let starts = std::iter::successors(Some(first), |first| first.checked_add(RANGE_ENTRIES_MAX));
    starts.take_while(move |first| *first < size).map(move |first| {
        let end = first.saturating_add(RANGE_ENTRIES_MAX).min(size);
        Item::Range { ledger, first, end }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

    use super::*;

    #[test]
    fn a_directory_is_listed_in_the_order_of_names_without_what_is_no_log() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        for name in [
            "AWSLogs/1/CloudTrail/b.json.gz",
            "AWSLogs/1/CloudTrail/a.JSON",
            "AWSLogs/1/CloudTrail-Digest/d.json.gz",
            "AWSLogs/1/CloudTrail-Insight/i.json.gz",
            "lines.ndjson",
            "notes.txt",
            ".hidden/x.json",
            ".x.json",
            "x.json.tmp",
            "y.json.gz.part",
        ] {
            file(name);
        }
        let listing = list(&[Source::Path(dir.path().to_owned())]).unwrap();
        let names: Vec<_> = listing.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["AWSLogs/1/CloudTrail/a.JSON", "AWSLogs/1/CloudTrail/b.json.gz", "lines.ndjson"]
        );
        assert_eq!((listing.skipped, listing.unreadable.len()), (3, 0));

        // A file that was named is taken whatever it is called.
        let listing = list(&[Source::Path(dir.path().join("notes.txt"))]).unwrap();
        assert_eq!(listing.files[0].name, "notes.txt");
    }

    #[test]
    fn a_source_that_is_not_there_is_refused() {
        let error = list(&[Source::Path("/nowhere/at/all".into())]).err().unwrap();
        assert!(matches!(error, LakeError::NoSource { .. }), "{error}");
    }

    #[test]
    fn a_circle_of_links_is_named_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), "{}").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("b")).unwrap();
        let listing = list(&[Source::Path(dir.path().to_owned())]).unwrap();
        assert_eq!((listing.files.len(), listing.unreadable.len()), (1, 1));
    }
}
