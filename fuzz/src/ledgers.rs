//! Ledger files: whatever is done to them is found, and what opens afterwards is sound and whole.
//!
//! The input's first byte chooses a file of a small ledger, its second whether the rest is edits of it (`edits`), stands
//! for the whole file, or is appended to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_ledger::{
    Checkpoint, DirStorage, Entry, Frame, Ledger, Options, Origin, Reader, SignedNote,
    VerifyingKey, verify_frames,
};
use keytrail_testkit::{
    Image, START_NS, SeededRandom, check_ledger, origin, record, scratch, signing_key,
};
use tempfile::TempDir;

use super::edits::edited;

/// So small that the ledger has several segments.
const OPTIONS: Options = Options { segment_bytes: 1024, batch_entries: 4, batch_bytes: 1024 };

/// A small ledger, and a place to tamper with it.
pub struct Ledgers {
    genuine: Image,
    frames: Vec<Frame>,
    folder: TempDir,
}

impl Default for Ledgers {
    fn default() -> Self {
        let folder = scratch();
        let dir = folder.path().join("ledger");
        let random = Arc::new(SeededRandom::new(1));
        let storage = Arc::new(DirStorage::new(&dir));
        let ledger = Ledger::create(storage, origin(), signing_key(), random, START_NS, OPTIONS);
        let ledger = ledger.expect("a ledger");
        for number in 0..8_u64 {
            let mut append = record(START_NS + number, format!("record {number}"));
            append.state = vec![7; 16 * (number % 2) as usize];
            ledger.append(append).expect("appended");
        }
        ledger.close().expect("closed");
        let frames = check_ledger(&dir, &key()).frames;
        Self { genuine: Image::read(&dir), frames, folder }
    }
}

impl Ledgers {
    /// Tampers, and reads, verifies and opens.
    pub fn ledger(&self, data: &[u8]) {
        parse(data);
        let (&[file, how], rest) = data.split_first_chunk().unwrap_or((&[0, 0], data));
        let mut image = self.genuine.clone();
        let file = usize::from(file) % image.files.len();
        let content = image.files.values_mut().nth(file).expect("within the number of files");
        match how % 3 {
            0 => *content = edited(content, rest),
            1 => *content = rest.to_vec(),
            _ => content.extend_from_slice(rest),
        }
        let dir = self.dir();
        image.write(&dir);

        let mut seen = Vec::new();
        let report = verify_frames(&dir, &key(), &mut |frame| seen.push(frame.clone()));
        assert!(!report.to_string().is_empty());
        if report.is_ok() {
            assert_eq!(seen, self.frames, "verified, and not what was signed");
        }
        if let Ok(reader) = Reader::open(&dir) {
            let read: Result<Vec<Frame>, _> = reader.frames(0).collect();
            if let (Ok(read), true) = (read, *reader.verifying_key() == key()) {
                assert_eq!(read, self.frames, "read, and not what was signed");
            }
        }
        self.reopen(&dir);
    }

    /// What opens has all that was signed, and is sound from then on.
    fn reopen(&self, dir: &Path) {
        let storage = Arc::new(DirStorage::new(dir));
        let random = Arc::new(SeededRandom::new(2));
        let opened = Ledger::open(storage, signing_key(), random, START_NS, OPTIONS);
        let Ok((ledger, _)) = opened else { return };
        ledger.append(record(START_NS, "after")).expect("appended");
        ledger.close().expect("closed");
        // Older segments are not read again when a ledger opens; verifying finds what was done to them.
        let mut seen = Vec::new();
        if verify_frames(dir, &key(), &mut |frame| seen.push(frame.clone())).is_ok() {
            assert_eq!(
                seen[..self.frames.len()],
                self.frames[..],
                "opened, and not what was signed"
            );
            check_ledger(dir, &key());
        }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }
}

/// The small texts and layouts by themselves.
fn parse(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert!(note.verify(&key()).is_err() || Checkpoint::verify(&note, &key()).is_ok());
    }
    let _ = Entry::decode(data).map(|entry| assert_eq!(entry.encode().as_slice(), data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(key) = VerifyingKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(origin) = Origin::new(text) {
        assert_eq!(origin.as_str(), text);
    }
}

fn key() -> VerifyingKey {
    signing_key().verifying_key(&origin())
}
