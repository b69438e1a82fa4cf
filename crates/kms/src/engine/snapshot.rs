//! The snapshot: the state at one point of the ledger, sealed, in `DATA/keys/snapshot`. It saves replaying and nothing
//! else: without it, or with a damaged or foreign one, the same state comes from the ledger.
//!
//! ```text
//! offset  bytes  field
//!      0      4  mark       "KTS" and the format version 1
//!      4      8  sequence   of the last ledger entry that is in the state, big-endian
//!     12     32  leaf hash  of that entry
//!     44      n  sealed     salt, AES-256-GCM of the state as JSON, tag
//! ```
//!
//! Associated data is the origin, a line feed and bytes 0 to 43. An old snapshot put back is harmless: more is replayed.

use std::sync::atomic::Ordering;

use keytrail_ledger::{Hash, Reader};
use zeroize::Zeroizing;

use super::Engine;
use crate::root_key::Purpose;
use crate::state::State;
use crate::{Config, EngineError, RootKey, files};

const MARK: &[u8; 4] = b"KTS\x01";
const SEQUENCE_AT: usize = MARK.len();
const LEAF_HASH_AT: usize = SEQUENCE_AT + 8;
const SEALED_AT: usize = LEAF_HASH_AT + Hash::LEN;

const FILE: &str = "snapshot";

/// Records after which a snapshot is written: replaying as many takes well under a second.
const RECORDS: u64 = 65_536;

/// No snapshot is longer; 100,000 keys with default policies come to 100 MB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A snapshot that opened.
pub(super) struct Saved {
    pub(super) sequence: u64,
    pub(super) leaf_hash: Hash,
    pub(super) state: State,
}

impl Engine {
    /// Whether this call is the one to write a snapshot; at most one of all threads is told so.
    pub(super) fn snapshot_is_due(&self) -> bool {
        let due = |unsaved| (unsaved >= RECORDS).then_some(0);
        self.unsaved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }

    /// Writes a snapshot of the state at the end of the ledger, if anything was recorded since the last one.
    pub(super) fn save_snapshot(&self) -> Result<(), EngineError> {
        if self.unsaved.swap(0, Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let state = self.state.read().map_err(|_| EngineError::Stopped)?;
        if self.ledger.size() < self.expected_size.load(Ordering::Relaxed) {
            return Err(EngineError::Stopped);
        }
        let path = self.data.join("ledger");
        let failed = |source| EngineError::ledger(&path, source);
        let reader = Reader::open(&path).map_err(failed)?;
        let Some(last) = reader.checkpoint().size.checked_sub(1) else { return Ok(()) };
        // Only called with no call under way, so the ledger's end and the state belong together.
        match reader.frames(last).next().transpose().map_err(failed)? {
            Some(frame) => save(self, &state, last, frame.entry.leaf_hash()),
            None => Ok(()),
        }
    }
}

/// Writes a snapshot of `state`, which is that after the entry `sequence`.
pub(super) fn save(
    engine: &Engine,
    state: &State,
    sequence: u64,
    leaf_hash: Hash,
) -> Result<(), EngineError> {
    let mut file = Vec::with_capacity(SEALED_AT);
    file.extend_from_slice(MARK);
    file.extend_from_slice(&sequence.to_be_bytes());
    file.extend_from_slice(leaf_hash.as_bytes());
    let text = Zeroizing::new(serde_json::to_vec(state).expect("a state has string keys only"));
    let random = &*engine.environment.random;
    let aad = associated_data(&engine.config, &file);
    file.extend(engine.root_key.seal(Purpose::Snapshot, &aad, &text, random));
    let path = engine.data.join("keys").join(FILE);
    files::replace_durably(&path, &file).map_err(|source| EngineError::io("write", &path, source))
}

/// The snapshot of a data directory, if there is one that opens. Why one does not open makes no difference.
pub(super) fn load(data: &std::path::Path, config: &Config, root_key: &RootKey) -> Option<Saved> {
    let file = files::read_limited(&data.join("keys").join(FILE), FILE_BYTES_MAX).ok()?;
    let (header, sealed) = file.split_at_checked(SEALED_AT)?;
    let rest = header.strip_prefix(MARK)?;
    let (sequence, leaf_hash) = rest.split_first_chunk::<8>()?;
    let text = root_key.open(Purpose::Snapshot, &associated_data(config, header), sealed).ok()?;
    Some(Saved {
        sequence: u64::from_be_bytes(*sequence),
        leaf_hash: Hash::from_bytes(leaf_hash.try_into().ok()?),
        state: serde_json::from_slice(&text).ok()?,
    })
}

fn associated_data(config: &Config, header: &[u8]) -> Vec<u8> {
    [config.origin.as_str().as_bytes(), b"\n", header].concat()
}
