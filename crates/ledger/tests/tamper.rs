//! Attacks on the files of a ledger, and the finding that names each.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod forge;

use std::path::Path;
use std::sync::Arc;

use keytrail_ledger::{
    Append, Checkpoint, DirStorage, EntryKind, FindingKind, Hash, Ledger, Options, Origin, Reader,
    Report, SigningKey, VerifyingKey, verify, verify_frames,
};
use keytrail_testkit::{
    Fault, FaultyStorage, Image, START_NS, SeededRandom, check_ledger, origin, record, scratch,
    signing_key,
};

/// The segments of [`ledger`], by their first entries.
const FIRST: &str = "segments/00000000000000000000.seg";
const SECOND: &str = "segments/00000000000000000003.seg";
const THIRD: &str = "segments/00000000000000000006.seg";
const TORN: &str = "quarantine/00000000000000000003-0.torn";

fn key() -> VerifyingKey {
    signing_key().verifying_key(&origin())
}

/// A small ledger that has everything: two lives, a torn tail, batches of several entries, sealed
/// state, three segments.
///
/// ```text
/// 0 start · 1 one · 2 two │ 3 recovery · 4 start · 5 three with state │ 6 four · 7 five · 8 six
/// ```
fn ledger(name: &str) -> Image {
    let origin = Origin::new(name).unwrap();
    let dir = scratch();
    let storage = FaultyStorage::new(DirStorage::new(dir.path()));
    let options = Options::default();
    let random = || Arc::new(SeededRandom::new(1));
    let storage_of = |storage: &FaultyStorage| Arc::new(storage.clone());
    let first = Ledger::create(
        storage_of(&storage),
        origin.clone(),
        signing_key(),
        random(),
        START_NS,
        options,
    )
    .unwrap();
    first.append(record(START_NS, "one")).unwrap();
    first.append(record(START_NS + 1, "two")).unwrap();
    storage.fail_next(Fault::KilledAt(100));
    first.append(record(START_NS + 2, "torn")).unwrap_err();
    drop(first);

    let storage = FaultyStorage::new(DirStorage::new(dir.path()));
    let options = Options { segment_bytes: 800, ..options };
    let (second, _) =
        Ledger::open(storage_of(&storage), signing_key(), random(), START_NS, options).unwrap();
    let state = b"sealed".to_vec();
    let kind = EntryKind::Record;
    let time_ns = START_NS + 3;
    second.append(Append { kind, time_ns, payload: b"three".to_vec(), state }).unwrap();
    let pending = ["four", "five", "six"].map(|text| second.enqueue(record(time_ns, text)));
    for pending in pending {
        pending.unwrap().wait().unwrap();
    }
    second.close().unwrap();
    check_ledger(dir.path(), &signing_key().verifying_key(&origin));
    Image::read(dir.path())
}

fn good() -> Image {
    let image = ledger("test.example/ledger");
    assert_eq!(image.names_in("segments/"), [FIRST, SECOND, THIRD]);
    assert_eq!(image.names_in("quarantine/"), [TORN]);
    image
}

fn report(image: &Image, dir: &Path) -> Report {
    image.write(dir);
    verify(dir, &key())
}

/// The first finding is of this kind, and its place and text contain all of `words`.
#[track_caller]
fn assert_found(image: &Image, kind: FindingKind, words: &[&str]) -> Report {
    let report = report(image, scratch().path());
    let first = report.findings.first().unwrap_or_else(|| panic!("not found: {words:?}"));
    let text = first.to_string();
    assert!(first.kind == kind && words.iter().all(|word| text.contains(word)), "{report}");
    report
}

/// There are no bits that do not matter, in any file.
#[test]
fn every_flipped_bit_of_every_file_is_found() {
    let image = good();
    let dir = scratch();
    image.write(dir.path());
    assert!(verify(dir.path(), &key()).is_ok());
    for (name, bytes) in &image.files {
        let path = dir.path().join(name);
        let mut flipped = bytes.clone();
        for bit in 0..8 * bytes.len() {
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            let report = verify(dir.path(), &key());
            assert!(!report.is_ok(), "{name}: bit {bit} does not matter");
            let word = name.split('/').next().unwrap();
            assert!(report.to_string().contains(word), "{name}: bit {bit}: {report}");
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(verify(dir.path(), &key()).is_ok());
}

#[test]
fn every_cut_and_every_surplus_byte_is_found() {
    let image = good();
    let dir = scratch();
    image.write(dir.path());
    for (name, bytes) in &image.files {
        let path = dir.path().join(name);
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(!verify(dir.path(), &key()).is_ok(), "{name} cut to {cut} bytes");
        }
        for byte in [0, b'\n', b'x', 0xff] {
            std::fs::write(&path, [&bytes[..], &[byte]].concat()).unwrap();
            assert!(!verify(dir.path(), &key()).is_ok(), "{name} with byte {byte} behind it");
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn every_missing_file_is_found_except_the_lock() {
    // The lock is only there to be held; a copy of a ledger may do without.
    let image = good();
    for name in image.files.keys() {
        let mut image = image.clone();
        image.files.remove(name);
        let report = report(&image, scratch().path());
        assert_eq!(report.is_ok(), name == "writer.lock", "{name}: {report}");
    }
}

#[test]
fn a_changed_payload_is_named_by_sequence_file_and_bytes() {
    let mut image = good();
    let segment = image.file(FIRST);
    let frame = forge::items(segment)[2].clone();
    assert_eq!(&segment[frame.end - 3..frame.end], b"one");
    segment[frame.end - 1] = b'x';
    let place = format!("{FIRST} bytes {}..{}, sequence 1", frame.start, frame.end);
    assert_found(&image, FindingKind::Modified, &[&place, "checksum"]);
    // With the checksum made right the commitment says it, and nothing else is wrong.
    forge::fix_item(&mut image.file(FIRST)[frame]);
    let report = assert_found(&image, FindingKind::Modified, &[&place, "commits to"]);
    assert_eq!(report.findings.len(), 1, "{report}");
}

#[test]
fn a_swapped_state_change_is_found_with_the_public_key_alone() {
    let mut image = good();
    let segment = image.file(SECOND);
    let frame = forge::items(segment)[3].clone();
    assert_eq!(&segment[frame.end - 6..frame.end], b"sealed");
    segment[frame.end - 6..frame.end].copy_from_slice(b"SEALED");
    forge::fix_item(&mut segment[frame]);
    assert_found(&image, FindingKind::Modified, &[SECOND, "sequence 5", "commits to"]);
}

#[test]
fn a_rewritten_entry_breaks_the_chain_the_batch_and_the_signed_root() {
    let mut image = good();
    let segment = image.file(FIRST);
    let frame = forge::items(segment)[2].clone();
    let entry = forge::entry(&segment[frame.clone()]);
    segment[frame.clone()].copy_from_slice(&forge::frame(&entry, b"eno"));
    let report = assert_found(&image, FindingKind::Modified, &["bytes", "sequence 1"]);
    let chain = "sequence 2: does not chain to the entry before";
    assert!(report.to_string().contains(chain), "{report}");
}

/// Everything that can be computed without the key is computed again, through all segments.
#[test]
fn a_history_rewritten_to_the_end_has_another_root_than_the_signed_one() {
    let mut image = good();
    let segment = image.file(THIRD);
    let start = forge::header_len(segment);
    let kept = segment[..start].to_vec();
    let (first, second) = (image.files[FIRST].clone(), image.files[SECOND].clone());
    let (mut tree, mut last) = forge::tree_of(&[&first, &second]);
    let mut forged = kept;
    for payload in ["four", "FIVE", "six"] {
        let (sequence, prev) = (last.sequence + 1, last.leaf_hash());
        last.kind = EntryKind::Record;
        let frame =
            forge::frame(&keytrail_ledger::Entry { sequence, prev, ..last }, payload.as_bytes());
        last = forge::entry(&frame);
        tree.push(last.leaf_hash());
        forged.extend(frame);
    }
    forged.extend(forge::trailer(6, &tree));
    *image.file(THIRD) = forged;
    let words = ["sequences 0..9", THIRD, "not the entries that were signed"];
    let report = assert_found(&image, FindingKind::Modified, &words);
    assert_eq!(report.findings.len(), 1, "{report}");
    // The same, with the checkpoint replaced by one that another key signed.
    let checkpoint = Checkpoint { origin: origin(), size: 9, root: tree.root() };
    let note = checkpoint.sign(&SigningKey::from_seed(&[9; 32])).unwrap();
    *image.file("checkpoint") = note.to_string().into_bytes();
    assert_found(&image, FindingKind::Signature, &["checkpoint", "no signature by the key"]);
}

#[test]
fn a_forged_extension_without_a_signature_is_named_with_its_bytes() {
    let mut image = good();
    let segments = [&image.files[FIRST], &image.files[SECOND], &image.files[THIRD]];
    let segments = segments.map(Vec::clone);
    let batch = forge::batch_after(&[&segments[0], &segments[1], &segments[2]], b"forged");
    let start = segments[2].len();
    image.file(THIRD).extend(&batch);
    let frame_end = start + batch.len() - 96;
    let place = format!("{THIRD} bytes {start}..{frame_end}, sequence 9");
    let words = [&place, "sequences 9..10 are not signed"];
    let report = assert_found(&image, FindingKind::Unsigned, &words);
    assert_eq!(report.findings.len(), 1, "{report}");
}

#[test]
fn swapped_segments_are_named() {
    let mut image = good();
    let (second, third) = (image.files[SECOND].clone(), image.files[THIRD].clone());
    *image.file(SECOND) = third;
    *image.file(THIRD) = second;
    assert_found(&image, FindingKind::Reordered, &[SECOND, "another place", "sequence: 6"]);
}

#[test]
fn swapped_frames_are_named() {
    let mut image = good();
    let segment = image.file(THIRD);
    let items = forge::items(segment);
    let (four, five) = (items[0].clone(), items[1].clone());
    assert_eq!(four.len(), five.len());
    let bytes = [&segment[five.clone()], &segment[four.clone()]].concat();
    segment[four.start..five.end].copy_from_slice(&bytes);
    assert_found(&image, FindingKind::Missing, &[THIRD, "sequence 7", "sequence 6 was expected"]);
}

#[test]
fn a_frame_cut_out_of_a_batch_is_named() {
    let mut image = good();
    let segment = image.file(THIRD);
    let five = forge::items(segment)[1].clone();
    segment.drain(five);
    assert_found(&image, FindingKind::Missing, &[THIRD, "sequence 8", "sequence 7 was expected"]);
}

#[test]
fn a_batch_that_is_there_twice_is_named() {
    let mut image = good();
    let segment = image.file(THIRD);
    let batch = segment[forge::batches(segment)[0].clone()].to_vec();
    segment.extend(batch);
    assert_found(&image, FindingKind::Inserted, &[THIRD, "sequence 6", "sequence 9 was expected"]);
    let mut image = good();
    let segment = image.file(THIRD);
    let trailer = segment[forge::items(segment)[3].clone()].to_vec();
    segment.extend(trailer);
    assert_found(&image, FindingKind::Inserted, &[THIRD, "without entries"]);
}

#[test]
fn a_missing_segment_is_named_by_its_sequences() {
    let mut image = good();
    image.files.remove(SECOND);
    let words = ["sequences 3..6", "not there before", THIRD];
    let report = assert_found(&image, FindingKind::Missing, &words);
    // What is behind the gap is still shown to be what was signed: the header gives the tree, and
    // the signature confirms it.
    assert!(!report.to_string().contains("not the entries that were signed"), "{report}");
}

#[test]
fn a_truncated_log_is_named_by_the_missing_sequences() {
    let mut image = good();
    image.files.remove(THIRD);
    let words = ["sequences 6..9", "truncated or rolled back"];
    assert_found(&image, FindingKind::Truncated, &words);
    let mut image = good();
    let segment = image.file(THIRD);
    let six = forge::items(segment)[2].clone();
    segment.truncate(six.start + 20);
    assert_found(&image, FindingKind::Truncated, &[THIRD, "sequence 8"]);
}

#[test]
fn stray_files_are_named() {
    for name in [
        "notes.txt",
        "segments/00000000000000000003.seg.bak",
        "segments/3.seg",
        "quarantine/00000000000000000005-0.torn",
        "checkpoint.tmp",
        "sub/dir/file",
    ] {
        let mut image = good();
        image.files.insert(name.to_owned(), b"x".to_vec());
        assert_found(&image, FindingKind::StrayFile, &[name]);
    }
    let mut image = good();
    image.files.insert("segments/00000000000000000009.seg".to_owned(), b"x".to_vec());
    assert_found(&image, FindingKind::Modified, &["segments/00000000000000000009.seg bytes 0..1"]);
    let mut image = good();
    image.file("writer.lock").push(b'x');
    assert_found(&image, FindingKind::Metadata, &["writer.lock", "should be empty"]);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_file_is_named() {
    let (dir, elsewhere) = (scratch(), scratch());
    good().write(dir.path());
    let target = elsewhere.path().join("segment");
    std::fs::rename(dir.path().join(SECOND), &target).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join(SECOND)).unwrap();
    let report = verify(dir.path(), &key());
    let first = report.findings[0].to_string();
    assert!(first.starts_with("STRAY-FILE") && first.contains(SECOND), "{report}");
}

#[test]
fn parts_of_another_log_are_named() {
    let other = ledger("other.example/log");
    let mut image = good();
    *image.file("checkpoint") = other.files["checkpoint"].clone();
    assert_found(&image, FindingKind::Signature, &["checkpoint", "no signature by the key"]);
    // Signed by our key, under our name, and still about another log.
    let root = Hash::of(b"root");
    let text = Checkpoint { origin: Origin::new("other.example/log").unwrap(), size: 9, root };
    let note = signing_key().sign(&origin(), text.to_string()).unwrap();
    *image.file("checkpoint") = note.to_string().into_bytes();
    assert_found(&image, FindingKind::Signature, &["checkpoint", "another log"]);

    let mut image = good();
    *image.file(THIRD) = other.files[THIRD].clone();
    assert_found(&image, FindingKind::Inserted, &[THIRD, "belongs to another log"]);
    let mut image = good();
    *image.file("public-key") = other.files["public-key"].clone();
    assert_found(&image, FindingKind::Metadata, &["public-key"]);
}

#[test]
fn an_older_checkpoint_leaves_the_newer_entries_unsigned() {
    let mut image = good();
    let (tree, _) = forge::tree_of(&[&image.files[FIRST], &image.files[SECOND]]);
    let note = Checkpoint { origin: origin(), size: 6, root: tree.root() };
    *image.file("checkpoint") = note.sign(&signing_key()).unwrap().to_string().into_bytes();
    assert_found(&image, FindingKind::Unsigned, &[THIRD, "sequence 6", "sequences 6..9"]);
}

#[test]
fn every_field_of_a_header_is_compared_with_the_entries_before() {
    let image = good();
    let len = forge::header_len(&image.files[THIRD]);
    // The code (mac) before the checksum is the one thing that only the writer can check; it
    // protects what is not signed yet, and here everything is.
    for at in 8..len - 36 {
        let mut image = image.clone();
        let header = image.file(THIRD);
        header[at] ^= 1;
        if forge::header_len(header) == len {
            forge::fix_header(header);
        }
        let report = report(&image, scratch().path());
        assert!(report.findings[0].place.starts_with(THIRD), "byte {at}: {report}");
    }
}

#[test]
fn a_torn_tail_in_quarantine_is_what_its_entry_says() {
    let mut image = good();
    image.file(TORN).push(0);
    assert_found(&image, FindingKind::Modified, &[TORN, "were put aside"]);
    image.files.remove(TORN);
    assert_found(&image, FindingKind::Missing, &[TORN]);
}

#[test]
fn another_key_verifies_nothing() {
    let dir = scratch();
    good().write(dir.path());
    let other = SigningKey::from_seed(&[9; 32]).verifying_key(&origin());
    let report = verify(dir.path(), &other);
    let text = report.to_string();
    for expected in ["METADATA public-key", "SIGNATURE checkpoint", "started with another key"] {
        assert!(text.contains(expected), "{report}");
    }
}

#[test]
fn nothing_at_all_is_not_fine() {
    let dir = scratch();
    assert!(!verify(dir.path(), &key()).is_ok());
    assert!(!verify(&dir.path().join("nowhere"), &key()).is_ok());
    let mut image = good();
    image.files.retain(|name, _| !name.starts_with("segments/"));
    assert_found(&image, FindingKind::Truncated, &["sequences 0..9"]);
}

#[test]
fn only_sound_frames_are_handed_over() {
    let dir = scratch();
    let mut image = good();
    let segment = image.file(FIRST);
    let one = forge::items(segment)[2].clone();
    segment[one.end - 1] ^= 1;
    image.write(dir.path());
    let mut seen = Vec::new();
    let report = verify_frames(dir.path(), &key(), &mut |frame| seen.push(frame.entry.sequence));
    assert!(!report.is_ok());
    assert_eq!(seen, [0, 2, 3, 4, 5, 6, 7, 8]);
    let read: Vec<_> = Reader::open(dir.path()).unwrap().frames(0).collect();
    assert!(read.last().unwrap().is_err(), "the reader stops at damage");
}

/// Verified while it is written to: nothing is a finding, and what is in flight is said to be
/// unchecked.
#[test]
fn a_ledger_can_be_verified_beside_its_writer() {
    let dir = scratch();
    good().write(dir.path());
    let storage = Arc::new(DirStorage::new(dir.path()));
    let random = Arc::new(SeededRandom::new(3));
    let options = Options { segment_bytes: 3000, ..Options::default() };
    let (ledger, _) = Ledger::open(storage, signing_key(), random, START_NS, options).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..300_u32 {
                ledger.append(record(START_NS, number.to_be_bytes())).unwrap();
            }
        });
        while !writer.is_finished() {
            let report = verify(dir.path(), &key());
            assert!(report.is_ok(), "{report}");
        }
    });
    drop(ledger);
    check_ledger(dir.path(), &key());
}
