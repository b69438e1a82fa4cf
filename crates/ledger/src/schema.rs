//! Compares `schemas/ledger.md` with what the code writes.
//!
//! Every table of the document is rendered here from bytes that the codec made: a field of another
//! length, order or value, or a limit that was changed, fails with the table as it ought to be.

use std::fmt::Write;

use crate::checkpoint::Checkpoint;
use crate::entry::{ENTRY_LEN, Entry, EntryKind, SALT_LEN, commitment};
use crate::frame::{self, PAYLOAD_LEN_MAX, STATE_LEN_MAX, Trailer};
use crate::hash::Hash;
use crate::ledger::Options;
use crate::note::{NOTE_LEN_MAX, SIGNATURES_MAX, SigningKey};
use crate::notice::{self, Torn, Wreck, torn_name};
use crate::origin::{ORIGIN_LEN_MAX, Origin};
use crate::seal::Seal;
use crate::segment::{Header, SEGMENT_LEN_MAX, segment_name};
use crate::storage::{CHECKPOINT_FILE, LOCK_FILE, PUBLIC_KEY_FILE};
use crate::tip::Tip;

const DOCUMENT: &str = include_str!("../../../schemas/ledger.md");

/// The document's example: a log with one `start` and one record, under a key that everybody knows.
struct Example {
    origin: Origin,
    key: SigningKey,
    seal: Seal,
    entry: Entry,
    /// Before the record.
    before: Tip,
    /// Behind it.
    after: Tip,
}

/// The version that wrote the example; a later one writes the same bytes but for its number.
const VERSION: &str = "0.1.0";
const SALT: [u8; SALT_LEN] = *b"sixteen of salt.";
const PAYLOAD: &[u8] = b"payload";
const STATE: &[u8] = b"state";

fn example() -> Example {
    let origin = Origin::new("example.org/log").expect("plain ASCII");
    let key = SigningKey::from_seed(&[1; 32]);
    let seal = Seal::new(&key, &origin);
    let start = notice::start(VERSION, &key.verifying_key(&origin));
    let mut before = Tip::start(&origin);
    let entry = before.next(EntryKind::Start, 1_000_000_000, commitment(&SALT, b"", &start));
    before.push(&entry, entry.leaf_hash());
    let commit = commitment(&SALT, STATE, PAYLOAD);
    let entry = before.next(EntryKind::Record, 2_000_000_000, commit);
    let mut after = before.clone();
    after.push(&entry, entry.leaf_hash());
    Example { origin, key, seal, entry, before, after }
}

/// A table of the fields of `bytes`, which has to be all of them.
fn table(bytes: &[u8], fields: &[(&str, usize)]) -> String {
    let mut text = "| offset | bytes | field | in the example |\n|--:|--:|---|---|\n".to_owned();
    let mut rest = bytes;
    for (name, len) in fields {
        let offset = bytes.len() - rest.len();
        let (field, more) = rest.split_at(*len);
        rest = more;
        write!(text, "| {offset} | {len} | {name} | `").expect("a String takes everything");
        for byte in field {
            write!(text, "{byte:02x}").expect("a String takes everything");
        }
        text.push_str("` |\n");
    }
    assert!(rest.is_empty(), "{} bytes have no field", rest.len());
    text
}

#[track_caller]
fn assert_documented(text: &str) {
    assert!(DOCUMENT.contains(text), "schemas/ledger.md should have:\n\n{text}");
}

#[test]
fn the_entry_is_as_documented() {
    let entry = example().entry.encode();
    assert_eq!(entry.len(), ENTRY_LEN);
    assert_documented(&table(
        &entry,
        &[
            ("version", 1),
            ("kind", 1),
            ("sequence", 8),
            ("time_ns", 8),
            ("prev", 32),
            ("commit", 32),
        ],
    ));
    for kind in (0..=u8::MAX).filter_map(EntryKind::from_byte) {
        assert_documented(&format!(
            "| {} | `{}` |",
            kind.byte(),
            format!("{kind:?}").to_lowercase()
        ));
    }
}

#[test]
fn the_frame_is_as_documented() {
    let mut bytes = Vec::new();
    frame::write_frame(&mut bytes, &example().entry, &SALT, PAYLOAD, STATE);
    assert_documented(&table(
        &bytes,
        &[
            ("len", 4),
            ("crc32c", 4),
            ("entry", ENTRY_LEN),
            ("salt", SALT_LEN),
            ("payload_len", 4),
            ("payload", PAYLOAD.len()),
            ("state", STATE.len()),
        ],
    ));
}

#[test]
fn the_trailer_is_as_documented() {
    let Example { before, after, seal, .. } = example();
    let (first, size, root) = (before.size(), after.size(), after.frontier.root());
    let mut bytes = Vec::new();
    let mac = seal.batch(first, size, &root);
    frame::write_trailer(&mut bytes, &Trailer { first, size, root, mac });
    assert_documented(&table(
        &bytes,
        &[
            ("len", 4),
            ("crc32c", 4),
            ("mark", 8),
            ("first", 8),
            ("size", 8),
            ("root", 32),
            ("mac", 32),
        ],
    ));
}

#[test]
fn the_segment_header_is_as_documented() {
    let Example { origin, after, seal, .. } = example();
    assert_documented(&table(
        &Header::write(&origin, &after, &seal),
        &[
            ("magic", 8),
            ("version", 2),
            ("count", 2),
            ("first", 8),
            ("time_ns", 8),
            ("origin", 32),
            ("prev", 32),
            ("frontier", 32),
            ("mac", 32),
            ("crc32c", 4),
        ],
    ));
}

#[test]
fn the_text_files_and_own_entries_are_as_documented() {
    let Example { origin, key, after, .. } = example();
    let verifying = key.verifying_key(&origin);
    assert_documented(&format!("```text\n{verifying}\n```"));
    let checkpoint = Checkpoint { origin, size: after.size(), root: after.frontier.root() };
    let note = checkpoint.sign(&key).expect("a checkpoint is text").to_string();
    assert_documented(&format!("```text\n{note}```"));
    let start = String::from_utf8(notice::start(VERSION, &verifying)).expect("text");
    assert_documented(&format!("```text\n{start}```"));
    let torn = Torn { file: torn_name(2, 0), len: 4, sha256: Hash::of(b"torn") };
    let wreck = String::from_utf8(Wreck { torn: vec![torn] }.write()).expect("text");
    assert_documented(&format!("```text\n{wreck}```"));
}

#[test]
fn the_directory_and_the_limits_are_as_documented() {
    let files = [&segment_name(0), CHECKPOINT_FILE, PUBLIC_KEY_FILE, LOCK_FILE, &torn_name(2, 0)];
    for file in files {
        assert_documented(&format!("| `{file}` |"));
    }
    let Options { segment_bytes, batch_entries, batch_bytes } = Options::default();
    for (what, limit) in [
        ("payload", PAYLOAD_LEN_MAX as u64),
        ("sealed state change", STATE_LEN_MAX as u64),
        ("segment file", SEGMENT_LEN_MAX),
        ("note", NOTE_LEN_MAX as u64),
        ("signature lines of a note", SIGNATURES_MAX as u64),
        ("origin", ORIGIN_LEN_MAX as u64),
        ("segment when the next is begun, by default", segment_bytes),
        ("entries in a batch, by default", batch_entries as u64),
        ("bytes in a batch, by default", batch_bytes as u64),
    ] {
        assert_documented(&format!("| {what} | {limit} |"));
    }
}
