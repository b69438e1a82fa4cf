//! Opening a ledger that was not closed: what is put aside, what is signed again, what is refused.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod forge;

use std::path::Path;
use std::sync::Arc;

use keytrail_ledger::{
    DirStorage, EntryKind, FindingKind, Hash, Ledger, LedgerError, Options, Recovery, VerifyingKey,
    verify,
};
use keytrail_testkit::{
    Image, START_NS, SeededRandom, check_ledger, origin, record, scratch, signing_key,
};

const SEGMENT: &str = "segments/00000000000000000000.seg";
const TORN: &str = "quarantine/00000000000000000003-0.torn";

fn key() -> VerifyingKey {
    signing_key().verifying_key(&origin())
}

fn open(dir: &Path) -> Result<(Ledger, Recovery), LedgerError> {
    let storage = Arc::new(DirStorage::new(dir));
    let random = Arc::new(SeededRandom::new(2));
    Ledger::open(storage, signing_key(), random, START_NS, Options::default())
}

/// The directory after creating a ledger, and after each further record.
fn lives(options: Options, payloads: &[&str]) -> Vec<Image> {
    let dir = scratch();
    let storage = Arc::new(DirStorage::new(dir.path()));
    let random = Arc::new(SeededRandom::new(1));
    let ledger =
        Ledger::create(storage, origin(), signing_key(), random, START_NS, options).unwrap();
    let mut images = vec![Image::read(dir.path())];
    for payload in payloads {
        ledger.append(record(START_NS, *payload)).unwrap();
        images.push(Image::read(dir.path()));
    }
    images
}

/// `start`, `one`, `two` signed, and with `three` behind them.
fn signed_and_next() -> (Image, Image) {
    let mut lives = lives(Options::default(), &["one", "two", "three"]);
    let next = lives.pop().unwrap();
    (lives.pop().unwrap(), next)
}

#[test]
fn a_batch_torn_at_any_byte_is_put_aside_and_told_of() {
    let (signed, next) = signed_and_next();
    let whole = &next.files[SEGMENT];
    let end = signed.files[SEGMENT].len();
    let dir = scratch();
    for cut in end..=whole.len() {
        let mut image = signed.clone();
        *image.file(SEGMENT) = whole[..cut].to_vec();
        image.write(dir.path());
        let torn = (cut > end && cut < whole.len()).then(|| whole[end..cut].to_vec());
        if torn.is_some() {
            let report = verify(dir.path(), &key());
            assert_eq!(report.findings[0].kind, FindingKind::Unsigned, "{cut}: {report}");
        }

        let (ledger, recovery) = open(dir.path()).unwrap();
        let expected = Recovery {
            signed_again: u64::from(cut == whole.len()),
            quarantined: torn.iter().map(|_| TORN.to_owned()).collect(),
        };
        assert_eq!(recovery, expected, "{cut}");
        let checked = check_ledger(dir.path(), &key());
        let records =
            if cut == whole.len() { &["one", "two", "three"][..] } else { &["one", "two"] };
        assert_eq!(checked.records(), records.iter().map(|r| r.as_bytes()).collect::<Vec<_>>());
        drop(ledger);
        let after = Image::read(dir.path());
        assert_eq!(after.files.get(TORN), torn.as_ref(), "{cut}");
        let told: Vec<_> = torn
            .iter()
            .map(|torn| format!("recovery\ntorn {TORN} {} {}\n", torn.len(), Hash::of(torn)))
            .collect();
        assert_eq!(checked.texts(EntryKind::Recovery), told);
    }
}

#[test]
fn a_batch_whose_sectors_arrived_in_any_order_is_put_aside() {
    // The trailer reached the disk, and any one byte before it did not.
    let (signed, next) = signed_and_next();
    let end = signed.files[SEGMENT].len();
    let dir = scratch();
    for at in end..next.files[SEGMENT].len() {
        let mut image = signed.clone();
        let segment = image.file(SEGMENT);
        segment.clone_from(&next.files[SEGMENT]);
        segment[at] ^= 0xff;
        image.write(dir.path());
        let (_ledger, recovery) = open(dir.path()).unwrap();
        assert_eq!(recovery.quarantined, [TORN], "byte {at}");
        check_ledger(dir.path(), &key());
    }
}

#[test]
fn of_what_belongs_together_a_crash_leaves_all_or_nothing() {
    let dir = scratch();
    let storage = Arc::new(DirStorage::new(dir.path()));
    let random = Arc::new(SeededRandom::new(1));
    let options = Options { batch_entries: 1, ..Options::default() };
    let ledger =
        Ledger::create(storage, origin(), signing_key(), random, START_NS, options).unwrap();
    let signed = Image::read(dir.path());
    let pair = ["a", "b"].map(|text| record(START_NS, text));
    for pending in ledger.enqueue_together(pair.to_vec()).unwrap() {
        pending.wait().unwrap();
    }
    let whole = Image::read(dir.path()).files[SEGMENT].clone();
    drop(ledger);
    let dir = scratch();
    for cut in signed.files[SEGMENT].len()..=whole.len() {
        let mut image = signed.clone();
        *image.file(SEGMENT) = whole[..cut].to_vec();
        image.write(dir.path());
        let (_ledger, _) = open(dir.path()).unwrap();
        let records = check_ledger(dir.path(), &key());
        let expected = if cut == whole.len() { &[b"a", b"b"][..] } else { &[] };
        assert_eq!(records.records(), expected, "{cut}");
    }
}

#[test]
fn zeros_that_a_file_system_appended_are_put_aside() {
    let (mut image, _) = signed_and_next();
    image.file(SEGMENT).extend([0; 5000]);
    let dir = scratch();
    image.write(dir.path());
    assert_eq!(open(dir.path()).unwrap().1.quarantined, [TORN]);
    check_ledger(dir.path(), &key());
}

/// Opening is refused, and no file is touched by that.
fn assert_refused(image: &Image, story: &str, is_right: impl Fn(&LedgerError) -> bool) {
    let dir = scratch();
    image.write(dir.path());
    let error = open(dir.path()).err().unwrap_or_else(|| panic!("{story}: opened"));
    assert!(is_right(&error), "{story}: {error}");
    assert_eq!(Image::read(dir.path()), *image, "{story}: files were changed");
}

#[test]
fn damage_to_what_was_signed_is_refused_at_every_byte() {
    let (signed, _) = signed_and_next();
    for at in 0..signed.files[SEGMENT].len() {
        let mut image = signed.clone();
        image.file(SEGMENT)[at] ^= 1;
        assert_refused(&image, &format!("byte {at}"), |error| {
            matches!(error, LedgerError::Damaged { file, offset, .. }
                if file == SEGMENT && usize::try_from(*offset).unwrap() <= at)
                || matches!(error, LedgerError::Rollback { .. }) // a length beyond the end
        });
    }
}

#[test]
fn damage_before_whole_batches_is_refused_though_nothing_there_was_signed() {
    // Power failed and took the last two checkpoints: two batches are durable and unsigned. Bad
    // bytes in the first of them are not from the crash: the second was written after a sync.
    let lives = lives(Options::default(), &["one", "two", "three"]);
    let first = lives[1].files[SEGMENT].len()..lives[2].files[SEGMENT].len();
    for at in first {
        let mut image = lives[1].clone();
        let segment = image.file(SEGMENT);
        segment.clone_from(&lives[3].files[SEGMENT]);
        segment[at] ^= 1;
        assert_refused(
            &image,
            &format!("byte {at}"),
            |error| matches!(error, LedgerError::Damaged { file, sequence: 2 | 3, .. } if file == SEGMENT),
        );
    }
}

#[test]
fn several_unsigned_batches_are_signed_again() {
    let lives = lives(Options { segment_bytes: 1, ..Options::default() }, &["one", "two", "three"]);
    let mut image = lives[3].clone();
    image.file("checkpoint").clone_from(&lives[1].files["checkpoint"]);
    let dir = scratch();
    image.write(dir.path());
    let report = verify(dir.path(), &key());
    assert_eq!(report.findings[0].kind, FindingKind::Unsigned, "{report}");
    let (_ledger, recovery) = open(dir.path()).unwrap();
    assert_eq!(recovery.signed_again, 2);
    assert_eq!(check_ledger(dir.path(), &key()).records(), [&b"one"[..], b"two", b"three"]);
}

#[test]
fn a_rolled_back_ledger_is_refused() {
    for segment_bytes in [1, 16 << 20] {
        let lives =
            lives(Options { segment_bytes, ..Options::default() }, &["one", "two", "three"]);
        for (found, old) in lives.iter().take(3).enumerate() {
            let mut image = old.clone();
            image.file("checkpoint").clone_from(&lives[3].files["checkpoint"]);
            let found = u64::try_from(found).unwrap() + 1;
            assert_refused(
                &image,
                &format!("{found} of 4"),
                |error| matches!(error, LedgerError::Rollback { signed: 4, found: f, .. } if *f == found),
            );
        }
    }
}

#[test]
fn a_ledger_cut_at_any_byte_before_the_signed_size_is_refused() {
    let (signed, _) = signed_and_next();
    for cut in 0..signed.files[SEGMENT].len() {
        let mut image = signed.clone();
        image.file(SEGMENT).truncate(cut);
        assert_refused(&image, &format!("{cut} bytes"), |error| {
            matches!(error, LedgerError::Rollback { .. } | LedgerError::Damaged { offset: 0, .. })
        });
    }
}

#[test]
fn missing_segments_and_checkpoints_are_refused() {
    let lives = lives(Options { segment_bytes: 1, ..Options::default() }, &["one", "two"]);
    let mut without_last = lives[2].clone();
    without_last.files.remove("segments/00000000000000000002.seg");
    assert_refused(&without_last, "last segment", |error| {
        matches!(error, LedgerError::Rollback { signed: 3, found: 2, .. })
    });
    let mut without_any = lives[2].clone();
    without_any.files.retain(|name, _| !name.starts_with("segments/"));
    assert_refused(&without_any, "all segments", |error| {
        matches!(error, LedgerError::Rollback { signed: 3, found: 0, .. })
    });
    let mut without_checkpoint = lives[2].clone();
    without_checkpoint.files.remove("checkpoint");
    assert_refused(&without_checkpoint, "checkpoint", |error| {
        matches!(error, LedgerError::NoCheckpoint)
    });
}

#[test]
fn a_forged_checkpoint_or_public_key_is_refused() {
    let (signed, _) = signed_and_next();
    for file in ["checkpoint", "public-key"] {
        for at in 0..signed.files[file].len() {
            let mut image = signed.clone();
            image.file(file)[at] ^= 1;
            assert_refused(
                &image,
                &format!("{file} byte {at}"),
                |error| matches!(error, LedgerError::Refused { file: refused, .. } if *refused == file),
            );
        }
    }
}

/// Somebody who can write to the disk and has no key appends a batch that is right in everything
/// that can be computed, and waits for the next start to sign it.
#[test]
fn a_batch_that_somebody_else_appended_is_not_signed() {
    let (signed, _) = signed_and_next();
    let mut image = signed.clone();
    let batch = forge::batch_after(&[&signed.files[SEGMENT]], b"forged");
    image.file(SEGMENT).extend(&batch);
    assert_refused(&image, "appended batch", |error| {
        matches!(error, LedgerError::Damaged { sequence: 3, detail, .. }
            if detail.contains("not by the holder of the key"))
    });
}

/// The same person begins a segment, and lets its header claim another history.
#[test]
fn a_segment_that_somebody_else_began_is_not_continued() {
    let lives = lives(Options { segment_bytes: 1, ..Options::default() }, &["one", "two"]);
    let name = "segments/00000000000000000002.seg";
    let len = forge::header_len(&lives[2].files[name]);
    for at in 12..len - 4 {
        let mut image = lives[1].clone();
        let mut header = lives[2].files[name][..len].to_vec();
        header[at] ^= 1;
        forge::fix_header(&mut header);
        image.files.insert(name.to_owned(), header);
        assert_refused(
            &image,
            &format!("byte {at}"),
            |error| matches!(error, LedgerError::Damaged { file, offset: 0, .. } if file == name),
        );
    }
}

/// The same person rewrites an entry and everything that follows from it, up to the signature.
#[test]
fn a_rewritten_history_is_refused_where_it_meets_the_signed_size() {
    let (signed, _) = signed_and_next();
    let segment = &signed.files[SEGMENT];
    let batches = forge::batches(segment);
    let kept = &segment[..batches[1].end];
    let mut image = signed.clone();
    let mut forged = kept.to_vec();
    forged.extend(forge::batch_after(&[kept], b"not two"));
    *image.file(SEGMENT) = forged;
    assert_refused(&image, "rewritten last entry", |error| {
        matches!(error, LedgerError::Forked { size: 3, .. })
    });
}

#[test]
fn several_crashes_at_one_place_keep_every_torn_tail() {
    // A recovery is interrupted: its own batch is torn, and the tail before it still untold.
    let (signed, next) = signed_and_next();
    let end = signed.files[SEGMENT].len();
    let mut image = signed.clone();
    image.files.insert(TORN.to_owned(), b"an earlier tail".to_vec());
    *image.file(SEGMENT) = next.files[SEGMENT][..end + 50].to_vec();
    let dir = scratch();
    image.write(dir.path());
    let (_ledger, recovery) = open(dir.path()).unwrap();
    let second = "quarantine/00000000000000000003-1.torn";
    assert_eq!(recovery.quarantined, [TORN, second]);
    let kept = Image::read(dir.path());
    assert_eq!(kept.files[TORN], b"an earlier tail");
    assert_eq!(kept.files[second], next.files[SEGMENT][end..end + 50]);
    check_ledger(dir.path(), &key());
}

#[test]
fn a_payload_that_repeats_a_trailer_does_not_hinder_recovery() {
    // Its own trailers are known to whoever may read the files; they are behind the log already.
    let lives = lives(Options::default(), &["one"]);
    let segment = &lives[1].files[SEGMENT];
    let trailer = segment[forge::items(segment).pop().unwrap()].to_vec();
    let dir = scratch();
    lives[1].write(dir.path());
    let (ledger, _) = open(dir.path()).unwrap();
    let before = Image::read(dir.path());
    let mut payload = trailer.clone();
    payload.extend([0; 100]);
    ledger.append(record(START_NS, payload)).unwrap();
    drop(ledger);
    let mut image = before.clone();
    let whole = Image::read(dir.path());
    let cut = whole.files[SEGMENT].len() - 60;
    *image.file(SEGMENT) = whole.files[SEGMENT][..cut].to_vec();
    image.write(dir.path());
    assert_eq!(open(dir.path()).unwrap().1.quarantined.len(), 1);
    check_ledger(dir.path(), &key());
}
