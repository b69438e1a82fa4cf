//! The state of a data directory, read back from its ledger.
//!
//! From the snapshot on, if there is one that opens and that the ledger agrees with; else from the beginning. Both give the
//! same state, because both apply the same changes in the same order: the numbers in them leave no choice. The ledger's
//! reader checks commitments, chain and tree as it goes.

use std::path::Path;

use keytrail_ledger::{EntryKind, Frame, LedgerError, Reader};

use super::changes;
use super::snapshot::{self, Content};
use crate::state::State;
use crate::store_key::StoreKey;
use crate::uses::Uses;
use crate::{Config, EngineError};

/// A state, the uses of its keys, and how many frames were read to know them.
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) uses: Uses,
    pub(super) frames: u64,
}

/// Reads the state of `data`.
pub(super) fn state_of(
    data: &Path,
    config: &Config,
    store_key: &StoreKey,
) -> Result<Replayed, EngineError> {
    let path = data.join("ledger");
    let reader = Reader::open(&path).map_err(|source| EngineError::ledger(&path, source))?;
    let failed = |source: LedgerError| EngineError::ledger(&path, source);
    if let Some(saved) = snapshot::load(data, config, store_key) {
        // The frame that the snapshot ends with must be in this ledger, in that place.
        let mut frames = reader.frames(saved.sequence);
        let last = frames.next().transpose().map_err(failed)?;
        if last.is_some_and(|frame| frame.entry.leaf_hash() == saved.leaf_hash) {
            return apply_all(frames, saved.content, config, store_key, failed);
        }
    }
    apply_all(reader.frames(0), Content::default(), config, store_key, failed)
}

fn apply_all(
    frames: impl Iterator<Item = Result<Frame, LedgerError>>,
    Content { mut state, mut uses }: Content,
    config: &Config,
    store_key: &StoreKey,
    failed: impl Fn(LedgerError) -> EngineError,
) -> Result<Replayed, EngineError> {
    let mut read = 0;
    for frame in frames {
        let frame = frame.map_err(&failed)?;
        read += 1;
        if frame.entry.kind != EntryKind::Record {
            continue;
        }
        uses.note_record(frame.entry.sequence, &frame.payload);
        if !frame.state.is_empty() {
            apply(&mut state, &frame, config, store_key).map_err(|detail| {
                EngineError::StateChange { sequence: frame.entry.sequence, detail }
            })?;
        }
    }
    Ok(Replayed { state, uses, frames: read })
}

fn apply(
    state: &mut State,
    frame: &Frame,
    config: &Config,
    store_key: &StoreKey,
) -> Result<(), String> {
    let number = state.changes;
    let change = changes::open(store_key, &config.origin, &frame.payload, number, &frame.state)?;
    change.check(state).map_err(|_| format!("change {number} does not fit the state before it"))?;
    state.apply(change);
    Ok(())
}
