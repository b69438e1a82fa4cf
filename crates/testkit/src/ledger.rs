//! The whole-ledger check, and the values that every test of a ledger needs.

use std::path::Path;

use keytrail_ledger::{
    Append, EntryKind, Frame, Origin, Reader, SigningKey, VerifyingKey, commitment, merkle,
    verify_frames,
};

/// The name of the ledgers in tests.
///
/// # Panics
///
/// Never: the name is a good one.
pub fn origin() -> Origin {
    Origin::new("test.example/ledger").expect("plain ASCII")
}

/// The key of the ledgers in tests. Each call makes it anew, since a key cannot be copied.
pub fn signing_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// A record with this payload, without state.
pub fn record(time_ns: u64, payload: impl Into<Vec<u8>>) -> Append {
    Append { kind: EntryKind::Record, time_ns, payload: payload.into(), state: Vec::new() }
}

/// What a ledger that passed [`check_ledger`] holds.
#[derive(Clone, Debug)]
pub struct CheckedLedger {
    /// All frames, in order.
    pub frames: Vec<Frame>,
}

impl CheckedLedger {
    /// The payloads of the entries of kind `Record`, in order.
    pub fn records(&self) -> Vec<&[u8]> {
        let records = self.frames.iter().filter(|frame| frame.entry.kind == EntryKind::Record);
        records.map(|frame| frame.payload.as_slice()).collect()
    }

    /// The payloads of the entries of this kind, as text.
    ///
    /// # Panics
    ///
    /// When one is not text.
    pub fn texts(&self, kind: EntryKind) -> Vec<&str> {
        let frames = self.frames.iter().filter(|frame| frame.entry.kind == kind);
        frames.map(|frame| std::str::from_utf8(&frame.payload).expect("text")).collect()
    }
}

/// Validates the whole ledger in `dir`, three times over: by its verifier, by its reader, and by
/// deriving chain, commitments and root again from the frames, with nothing but their definitions.
/// To be called after each step of a test.
///
/// # Panics
///
/// When anything at all is wrong with it, saying what.
#[track_caller]
pub fn check_ledger(dir: &Path, key: &VerifyingKey) -> CheckedLedger {
    let mut verified = Vec::new();
    let report = verify_frames(dir, key, &mut |frame| verified.push(frame.clone()));
    assert!(report.is_ok(), "{report}");

    let reader = Reader::open(dir).expect("a ledger that verifies can be read");
    let frames: Vec<Frame> =
        reader.frames(0).collect::<Result<_, _>>().expect("a ledger that verifies can be read");
    assert_eq!(frames, verified, "reader and verifier see different entries");

    let mut prev = key.name().hash();
    let mut leaves = Vec::new();
    for (sequence, frame) in frames.iter().enumerate() {
        let entry = &frame.entry;
        assert_eq!(entry.sequence, sequence as u64);
        assert_eq!(entry.prev, prev, "chain broken at {sequence}");
        assert_eq!(entry.commit, commitment(&frame.salt, &frame.state, &frame.payload));
        prev = merkle::leaf_hash(&entry.encode());
        leaves.push(prev);
    }
    let checkpoint = reader.checkpoint();
    assert_eq!(checkpoint.size, leaves.len() as u64, "entries and signed size differ");
    assert_eq!(checkpoint.root, merkle::root_of(&leaves));
    reader.signed_checkpoint().verify(key).expect("the checkpoint is signed");
    CheckedLedger { frames }
}
