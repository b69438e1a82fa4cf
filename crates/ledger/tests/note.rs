//! Notes, keys and checkpoints: the published example, round trips, and everything they refuse.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keytrail_ledger::{
    Checkpoint, CheckpointError, Hash, NoteError, Origin, SignedNote, SigningKey, VerifyingKey,
};
use keytrail_testkit::{origin, signing_key};

/// The example of Go's `golang.org/x/mod/sumdb/note`, where the format comes from.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf\
    qdngotpRZb6KE6RyyBwJnAM=\n";

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: origin(), size: 12, root: Hash::of(b"root") }
}

fn signed() -> String {
    checkpoint().sign(&signing_key()).unwrap().to_string()
}

fn key() -> VerifyingKey {
    signing_key().verifying_key(&origin())
}

/// What a reader makes of the bytes of a checkpoint file.
fn check(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::verify(&SignedNote::parse(bytes)?, &key())
}

#[test]
fn the_published_example_verifies_and_keeps_its_bytes() {
    let key = VerifyingKey::parse(GO_KEY).unwrap();
    assert_eq!(key.to_string(), GO_KEY);
    let note = SignedNote::parse(GO_NOTE.as_bytes()).unwrap();
    assert_eq!(note.to_string(), GO_NOTE);
    assert_eq!(note.verify(&key), Ok(()));
    let other = GO_NOTE.replace("answer", "Answer");
    assert_eq!(SignedNote::parse(other.as_bytes()).unwrap().verify(&key), Err(NoteError::Forged));
}

#[test]
fn a_checkpoint_round_trips() {
    let text = signed();
    let root = "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=";
    assert!(
        text.starts_with(&format!("test.example/ledger\n12\n{root}\n\n\u{2014} test.example/"))
    );
    assert_eq!(check(text.as_bytes()), Ok(checkpoint()));
    assert_eq!(VerifyingKey::parse(&key().to_string()), Ok(key()));
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_checkpoint_is_refused() {
    let text = signed();
    let bytes = text.as_bytes();
    for cut in 0..bytes.len() {
        assert!(check(&bytes[..cut]).is_err(), "{cut} bytes");
    }
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&flipped).is_err(), "bit {bit}: {:?}", String::from_utf8_lossy(&flipped));
        if let Ok(note) = SignedNote::parse(&flipped) {
            assert_eq!(note.to_string().as_bytes(), flipped, "a note has one spelling");
        }
    }
    for byte in 0..=u8::MAX {
        let longer = [bytes, &[byte]].concat();
        assert!(check(&longer).is_err(), "with byte {byte} at the end");
    }
}

#[test]
fn every_flipped_bit_of_a_public_key_is_refused() {
    let text = key().to_string();
    for bit in 0..8 * text.len() {
        let mut flipped = text.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let parsed = String::from_utf8(flipped).ok().map(|text| VerifyingKey::parse(&text));
        assert!(parsed.is_none_or(|parsed| parsed.is_err()), "bit {bit}");
    }
    for cut in 0..text.len() {
        assert_eq!(VerifyingKey::parse(&text[..cut]), Err(NoteError::Key));
    }
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let root = "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=";
    let with = |origin: &str, size: &str, root: &str| format!("{origin}\n{size}\n{root}\n");
    assert_eq!(Checkpoint::parse(&with("test.example/ledger", "12", root)), Ok(checkpoint()));
    for bad in [
        with("test.example/ledger", "012", root),
        with("test.example/ledger", "+12", root),
        with("test.example/ledger", " 12", root),
        with("test.example/ledger", "-1", root),
        with("test.example/ledger", "18446744073709551616", root),
        with("test.example ledger", "12", root),
        with("", "12", root),
        with("test.example/ledger", "12", &root.replace("I=", "J=")),
        with("test.example/ledger", "12", root.trim_end_matches('=')),
        with("test.example/ledger", "12", "c2hvcnQ="),
        with("test.example/ledger", "12", &format!("{root}\nextension")),
        format!("test.example/ledger\n12\n{root}"),
        String::new(),
    ] {
        assert_eq!(Checkpoint::parse(&bad), Err(CheckpointError::Text), "{bad:?}");
    }
}

#[test]
fn signatures_of_others_are_ignored_and_ours_must_be_there_and_hold() {
    let text = signed();
    let stranger = "\u{2014} witness.example x08go/ZJkuBS9UG/SffcvA==\n";
    assert_eq!(check(format!("{text}{stranger}").as_bytes()), Ok(checkpoint()));

    let (body, _) = text.split_once("\n\n").unwrap();
    let alone = format!("{body}\n\n{stranger}");
    assert_eq!(check(alone.as_bytes()), Err(NoteError::Unsigned.into()));
    assert_eq!(check(format!("{body}\n\n").as_bytes()), Err(NoteError::Signatures.into()));

    // The same key under another name, and another key under this name, are strangers too.
    let other_name = Origin::new("other.example/ledger").unwrap();
    let note = signing_key().sign(&other_name, format!("{body}\n")).unwrap();
    assert_eq!(Checkpoint::verify(&note, &key()), Err(NoteError::Unsigned.into()));
    let note = SigningKey::from_seed(&[8; 32]).sign(&origin(), format!("{body}\n")).unwrap();
    assert_eq!(Checkpoint::verify(&note, &key()), Err(NoteError::Unsigned.into()));

    // A second line that claims to be ours and is not spoils the note.
    let forged = signed().replace("\n12\n", "\n13\n");
    let line = forged.lines().last().unwrap();
    let (_, good) = text.split_once("\n\n").unwrap();
    let both = format!("{}\n\n{good}{line}\n", body.replace("\n12\n", "\n13\n"));
    assert_eq!(check(both.as_bytes()), Err(NoteError::Forged.into()));
}

#[test]
fn the_checkpoint_of_another_log_is_refused_though_the_key_signed_it() {
    let other = Checkpoint { origin: Origin::new("other.example").unwrap(), ..checkpoint() };
    let note = signing_key().sign(&origin(), other.to_string()).unwrap();
    assert_eq!(Checkpoint::verify(&note, &key()), Err(CheckpointError::OtherLog));
}

#[test]
fn hostile_notes_are_refused_before_they_cost_anything() {
    let line = "\u{2014} w x08go/ZJkuBS9UG/SffcvA==\n";
    let many = |count| format!("text\n\n{}", line.repeat(count));
    assert!(SignedNote::parse(many(32).as_bytes()).is_ok());
    assert_eq!(SignedNote::parse(many(33).as_bytes()), Err(NoteError::TooLarge));
    let long = format!("{}\n\n{line}", "x".repeat(16 * 1024));
    assert_eq!(SignedNote::parse(long.as_bytes()), Err(NoteError::TooLarge));
    for (bad, error) in [
        (&b"text\n\n\xff\n"[..], NoteError::Text),
        (b"te\rxt\n\n\xe2\x80\x94 w AAAAAAAA\n", NoteError::Text),
        (b"te\0xt\n\n\xe2\x80\x94 w AAAAAAAA\n", NoteError::Text),
        (b"text\n", NoteError::Signatures),
        (b"\n\n", NoteError::Signatures),
        (b"text\n\nw AAAAAAAA\n", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94 w AAAAAAAA", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94 w AAAA\n", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94 w+ AAAAAAAA\n", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94  AAAAAAAA\n", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94 w AAAAAAA\n", NoteError::Signatures),
        (b"text\n\n\xe2\x80\x94 w AAAAAAB=\n", NoteError::Signatures),
    ] {
        assert_eq!(SignedNote::parse(bad), Err(error), "{:?}", String::from_utf8_lossy(bad));
    }
    let text = "control\tcharacter\n".to_owned();
    assert!(matches!(signing_key().sign(&origin(), text), Err(NoteError::Text)));
    assert!(matches!(signing_key().sign(&origin(), "no end".to_owned()), Err(NoteError::Text)));
}

#[test]
fn small_order_keys_are_no_keys_that_verify() {
    // The identity point: with it a signature of zeros "verifies" everything under lax rules.
    let mut bytes = [0_u8; 33];
    bytes[0] = 1;
    bytes[1] = 1;
    let text = vkey("weak.example", &bytes);
    let key = VerifyingKey::parse(&text).unwrap();
    let mut signature = [0_u8; 68];
    signature[..4].copy_from_slice(&key.key_id());
    signature[4] = 1;
    let note = format!("text\n\n\u{2014} weak.example {}\n", base64(&signature));
    assert_eq!(SignedNote::parse(note.as_bytes()).unwrap().verify(&key), Err(NoteError::Forged));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn vkey(name: &str, bytes: &[u8]) -> String {
    let id = Hash::of(&[name.as_bytes(), b"\n", bytes].concat()).to_string();
    format!("{name}+{}+{}", &id[..8], base64(bytes))
}
