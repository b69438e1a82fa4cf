//! The verifier: files and a public key in, a report out.
//!
//! Independent of the writing side: it shares the formats and the arithmetic with it, derives
//! everything again, and believes neither headers, trailers nor the public key in the directory. It
//! goes on behind damage, so that a report shows all of it and how far the rest is sound. It
//! never panics and never writes.
//!
//! What each check rests on: the signature covers the root; the root covers every entry; each entry
//! covers its content by the commitment and the entry before by the chain. Headers and trailers
//! follow from the entries and are compared. Beside a running writer, what is behind the signed
//! size is still being written, and is listed as not checked instead of as a finding.

mod damage;
mod walk;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::note::{NOTE_LEN_MAX, VerifyingKey};
use crate::notice::parse_torn_name;
use crate::reader::Frame;
use crate::recover::read_signed;
use crate::report::{FindingKind, Report};
use crate::segment::{SEGMENT_LEN_MAX, parse_segment_name};
use crate::storage::{CHECKPOINT_FILE, DirStorage, LOCK_FILE, PUBLIC_KEY_FILE, Storage, TEMPORARY};
use walk::Walk;

/// Verifies the ledger in `dir` against its public key.
pub fn verify(dir: &Path, key: &VerifyingKey) -> Report {
    verify_frames(dir, key, &mut |_| ())
}

/// As [`verify`], and hands over each frame that is sound by itself: checksum, commitment,
/// sequence and chain. Whether these are the frames that were signed is known when the report
/// is.
pub fn verify_frames(dir: &Path, key: &VerifyingKey, each: &mut dyn FnMut(&Frame)) -> Report {
    let mut report = Report::new();
    report.check("public key", key.to_string());
    let storage = DirStorage::new(dir);
    check_public_key(&storage, key, &mut report);
    // The checkpoint before the segments: a running writer has written what it signs by then.
    let signed = check_checkpoint(&storage, key, &mut report);
    let names = match storage.list() {
        Ok(names) => names,
        Err(error) => {
            report.find(FindingKind::Unreadable, dir.display().to_string(), error.to_string());
            return report;
        }
    };
    let found = OnceCell::new();
    let live = Live { dir, storage: &storage, key, signed: signed.clone(), found };
    check_files(&names, &live, &mut report);

    let mut segments: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    segments.sort_unstable();
    let mut walk = Walk::new(key, signed, &live, &mut report, each);
    for (index, &first) in segments.iter().enumerate() {
        walk.segment(&storage, first, index + 1 == segments.len());
    }
    let torn = walk.finish();
    check_quarantine(&storage, &names, &torn, &live, &mut report);
    report.not_checked.push(
        "whether a longer log was signed elsewhere: an older copy of the whole directory looks \
         the same, compare with a checkpoint kept outside"
            .to_owned(),
    );
    report.not_checked.push(
        "the authentication codes in headers and trailers, which need the signing key; they \
         protect only what is not yet signed"
            .to_owned(),
    );
    report
}

/// Whether a writer is at work. Found out when it matters: asking takes the writer's lock for a
/// moment, which could keep one out that is just starting.
struct Live<'a> {
    dir: &'a Path,
    storage: &'a DirStorage,
    key: &'a VerifyingKey,
    /// The checkpoint when verification began.
    signed: Option<Checkpoint>,
    found: OnceCell<bool>,
}

impl Live<'_> {
    fn is_so(&self) -> bool {
        // A writer may have come and gone since; then the checkpoint is another one.
        *self.found.get_or_init(|| {
            let now = read_signed(self.storage, self.key).ok().and_then(Result::ok);
            is_locked(self.dir) || now.is_some_and(|(_, now)| Some(now) != self.signed)
        })
    }
}

fn check_public_key(storage: &DirStorage, key: &VerifyingKey, report: &mut Report) {
    match storage.read(PUBLIC_KEY_FILE, NOTE_LEN_MAX as u64) {
        Ok(bytes) if bytes == format!("{key}\n").as_bytes() => {}
        Ok(_) => {
            let detail = "the file does not hold the public key that was given, and a newline";
            report.find(FindingKind::Metadata, PUBLIC_KEY_FILE, detail);
        }
        Err(error) => report.find(unread(&error), PUBLIC_KEY_FILE, error.to_string()),
    }
}

/// The checkpoint, if it is there and the key signed it.
fn check_checkpoint(
    storage: &DirStorage,
    key: &VerifyingKey,
    report: &mut Report,
) -> Option<Checkpoint> {
    match read_signed(storage, key) {
        Ok(Ok((_, signed))) => {
            report.check("signed size", signed.size);
            report.check("signed root", signed.root.to_string());
            return Some(signed);
        }
        Ok(Err(error)) => {
            report.find(FindingKind::Signature, CHECKPOINT_FILE, error.to_string());
        }
        Err(error) => report.find(unread(&error), CHECKPOINT_FILE, error.to_string()),
    }
    None
}

/// Every file is one that a ledger has, and a plain file.
fn check_files(names: &[String], live: &Live<'_>, report: &mut Report) {
    for name in names {
        let metadata = match fs::symlink_metadata(live.dir.join(name)) {
            Ok(metadata) => metadata,
            // A running writer renames its temporary files away.
            Err(_) if is_temporary(name) && live.is_so() => continue,
            Err(error) => {
                report.find(unread(&error), name, error.to_string());
                continue;
            }
        };
        if !metadata.is_file() {
            report.find(FindingKind::StrayFile, name, "not a plain file");
        } else if name == LOCK_FILE && metadata.len() > 0 {
            let detail = format!("should be empty, has {} bytes", metadata.len());
            report.find(FindingKind::Metadata, name, detail);
        } else if is_temporary(name) {
            if !live.is_so() {
                let detail = "left by an interrupted write; opening the ledger removes it";
                report.find(FindingKind::StrayFile, name, detail);
            }
        } else if !is_known(name) {
            report.find(FindingKind::StrayFile, name, "no part of a ledger");
        }
    }
}

fn is_known(name: &str) -> bool {
    matches!(name, CHECKPOINT_FILE | PUBLIC_KEY_FILE | LOCK_FILE)
        || parse_segment_name(name).is_some()
        || parse_torn_name(name).is_some()
}

fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY).is_some_and(is_known)
}

/// Every torn tail is as its `recovery` entry says, and there are no others.
fn check_quarantine(
    storage: &DirStorage,
    names: &[String],
    torn: &BTreeMap<String, (u64, Hash)>,
    live: &Live<'_>,
    report: &mut Report,
) {
    for (name, (len, sha256)) in torn {
        match storage.read(name, SEGMENT_LEN_MAX) {
            Ok(bytes) if (bytes.len() as u64, Hash::of(&bytes)) == (*len, *sha256) => {}
            Ok(bytes) => {
                let detail = format!(
                    "{len} bytes with SHA-256 {sha256} were put aside, there are {}",
                    bytes.len()
                );
                report.find(FindingKind::Modified, name, detail);
            }
            Err(error) => report.find(unread(&error), name, error.to_string()),
        }
    }
    for name in names.iter().filter(|name| parse_torn_name(name).is_some()) {
        if !torn.contains_key(name) && !live.is_so() {
            let detail = "no recovery entry tells of it; if opening the ledger was interrupted, \
                          open it again";
            report.find(FindingKind::StrayFile, name, detail);
        }
    }
    report.check("torn tails", torn.len() as u64);
}

/// A file that is not there is missing; any other reason only keeps it from being read.
fn unread(error: &io::Error) -> FindingKind {
    match error.kind() {
        io::ErrorKind::NotFound => FindingKind::Missing,
        _ => FindingKind::Unreadable,
    }
}

/// Whether some process holds the writer's lock. Takes it for a moment, shared, to find out.
fn is_locked(dir: &Path) -> bool {
    let file = File::open(dir.join(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
