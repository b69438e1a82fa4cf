//! The snapshot: the state at one point of the ledger, sealed, in `DATA/keys/snapshot`. It saves replaying and nothing
//! else: without it, or with a damaged or foreign one, the same state comes from the ledger.
//!
//! ```text
//! offset  bytes  field
//!      0      4  mark       "KTS" and the format version 1
//!      4      8  sequence   of the last ledger entry that is in the state, big-endian
//!     12     32  leaf hash  of that entry
//!     44      n  sealed     salt, AES-256-GCM of state and uses of keys as JSON, tag
//! ```
//!
//! Associated data is the origin, a line feed and bytes 0 to 43. An old snapshot put back is harmless: more is replayed.

use std::sync::atomic::Ordering;

use keytrail_ledger::{Hash, Reader};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Engine;
use crate::sealing::Purpose;
use crate::state::State;
use crate::store_key::StoreKey;
use crate::uses::Uses;
use crate::{Config, EngineError, files};

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
    pub(super) content: Content,
}

/// What is sealed in it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) state: State,
    pub(super) uses: Uses,
}

impl Engine {
    /// Whether this call is the one to write a snapshot; at most one of all threads is told so.
    pub(super) fn snapshot_is_due(&self) -> bool {
        let due = |unsaved| (unsaved >= RECORDS).then_some(0);
        self.unsaved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }

    /// The state as it is and the uses of its keys, for a snapshot. The caller holds the state alone.
    pub(super) fn save_as(&self, state: &State) -> Content {
        Content { state: state.clone(), uses: self.uses.all_in(state) }
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
            Some(frame) => save(self, &self.save_as(&state), last, frame.entry.leaf_hash()),
            None => Ok(()),
        }
    }
}

/// Writes a snapshot of what is known after the entry `sequence`.
pub(super) fn save(
    engine: &Engine,
    content: &Content,
    sequence: u64,
    leaf_hash: Hash,
) -> Result<(), EngineError> {
    let mut file = Vec::with_capacity(SEALED_AT);
    file.extend_from_slice(MARK);
    file.extend_from_slice(&sequence.to_be_bytes());
    file.extend_from_slice(leaf_hash.as_bytes());
    let text = Zeroizing::new(serde_json::to_vec(content).expect("a state has string keys only"));
    let random = &*engine.environment.random;
    let aad = associated_data(&engine.config, &file);
    file.extend(engine.store_key.seal(Purpose::Snapshot, &aad, &text, random));
    let path = engine.data.join("keys").join(FILE);
    files::replace_durably(&path, &file).map_err(|source| EngineError::io("write", &path, source))
}

/// The snapshot of a data directory, if there is one that opens. Why one does not open makes no difference.
pub(super) fn load(data: &std::path::Path, config: &Config, store_key: &StoreKey) -> Option<Saved> {
    let file = files::read_limited(&data.join("keys").join(FILE), FILE_BYTES_MAX).ok()?;
    let (header, sealed) = file.split_at_checked(SEALED_AT)?;
    let rest = header.strip_prefix(MARK)?;
    let (sequence, leaf_hash) = rest.split_first_chunk::<8>()?;
    let text = store_key.open(Purpose::Snapshot, &associated_data(config, header), sealed).ok()?;
    Some(Saved {
        sequence: u64::from_be_bytes(*sequence),
        leaf_hash: Hash::from_bytes(leaf_hash.try_into().ok()?),
        content: serde_json::from_slice(&text).ok()?,
    })
}

fn associated_data(config: &Config, header: &[u8]) -> Vec<u8> {
    [config.origin.as_str().as_bytes(), b"\n", header].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;
    use crate::CreateKeyRequest;
    use crate::engine::bench::Bench;
    use crate::engine::replay;

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut drawn = "offset  bytes  field\n".to_owned();
        for (offset, bytes, field) in [
            (0, MARK.len(), "mark       \"KTS\" and the format version 1"),
            (
                SEQUENCE_AT,
                8,
                "sequence   of the last ledger entry that is in the state, big-endian",
            ),
            (LEAF_HASH_AT, Hash::LEN, "leaf hash  of that entry"),
        ] {
            writeln!(drawn, "{offset:>6}  {bytes:>5}  {field}").unwrap();
        }
        writeln!(
            drawn,
            "{SEALED_AT:>6}      n  sealed     salt, AES-256-GCM of state and uses of keys as JSON, tag"
        )
        .unwrap();
        assert!(include_str!("../../../../schemas/sealed-state.md").contains(&drawn), "{drawn}");
        assert!(include_str!("snapshot.rs").replace("//! ", "").contains(&drawn), "{drawn}");
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                std::fs::copy(from, to).unwrap();
            }
        }
    }

    /// A long-running engine must not depend on being closed: after a crash, replaying begins at its last snapshot.
    #[test]
    fn a_running_engine_writes_snapshots_that_a_crash_leaves_usable() {
        let bench = Bench::new();
        let (data, engine, root) = (bench.folder.path(), &bench.engine, &bench.root);
        engine.create_key(root, &CreateKeyRequest::default()).unwrap();
        assert!(!data.join("keys/snapshot").exists());
        engine.unsaved.store(RECORDS, Ordering::Relaxed);
        let key = engine.create_key(root, &CreateKeyRequest::default()).unwrap().key_id;
        assert!(data.join("keys/snapshot").exists());
        engine.disable_key(root, &key).unwrap();

        let crashed = tempfile::tempdir().unwrap();
        copy(data, crashed.path());
        let config = Config::for_tests();
        let replay = |data: &Path| replay::state_of(data, &config, &engine.store_key).unwrap();
        let quick = replay(crashed.path());
        assert_eq!(quick.frames, 1, "only DisableKey came after the snapshot");
        assert_eq!(quick.state, *engine.read_state().unwrap());
        std::fs::remove_file(crashed.path().join("keys/snapshot")).unwrap();
        let whole = replay(crashed.path());
        assert_eq!(whole.state, quick.state);
        assert_eq!(whole.frames, engine.ledger.size());
    }

    #[test]
    fn a_snapshot_of_another_place_or_a_changed_one_is_not_used() {
        let bench = Bench::new();
        let (data, engine) = (bench.folder.path(), &bench.engine);
        engine.save_snapshot().unwrap();
        let path = data.join("keys/snapshot");
        let good = std::fs::read(&path).unwrap();
        let config = Config::for_tests();
        assert!(load(data, &config, &engine.store_key).is_some());
        for bit in (0..good.len() * 8).step_by(5) {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            assert!(load(data, &config, &engine.store_key).is_none(), "bit {bit}");
            std::fs::write(&path, &good[..bit / 8]).unwrap();
            assert!(load(data, &config, &engine.store_key).is_none(), "cut at {}", bit / 8);
        }
        // Sealed by us, but for an entry that this ledger does not have there.
        save(engine, &Content::default(), 1, Hash::from_bytes([0; 32])).unwrap();
        assert_eq!(
            replay::state_of(data, &config, &engine.store_key).unwrap().state,
            *engine.read_state().unwrap()
        );
    }
}
