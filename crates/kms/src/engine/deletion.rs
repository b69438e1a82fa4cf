//! Keys whose waiting time is over. They are deleted when the engine is opened and before each call, by the given clock:
//! there is no thread of its own, and no call can meet a key that should be gone.
//!
//! Deleting takes key, material and aliases out of the state, and writes CloudTrail's service event `DeleteKey`, change and
//! record in one frame. The sealed change that once created the key stays in the ledger, as every entry does: whoever has
//! the root key *and* old segments could still open the material. Destroying it for good takes an erasure of that frame's
//! state, which the commitment allows for (it covers the state by its hash), and a new root key.

use std::sync::atomic::Ordering;

use keytrail_event::{Guid, Record, Resource, Timestamp};

use super::Engine;
use super::call::{key_element, service_event};
use crate::environment::random_bytes;
use crate::names::KeyId;
use crate::state::{Change, State};

/// The ledger did not take the record, or the state is lost to a panic.
pub(super) struct NotDeleted;

impl Engine {
    /// Deletes all keys whose date is not after `now`; returns when that is durable.
    pub(super) fn delete_due_keys(&self, now: Timestamp) -> Result<(), NotDeleted> {
        if now.unix_nanos() < self.next_deletion.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.write().map_err(|_| NotDeleted)?;
        let is_due = |date: Option<Timestamp>| date.is_some_and(|date| date <= now);
        let due: Vec<KeyId> = state
            .keys
            .values()
            .filter(|key| is_due(key.deletion_date()))
            .map(|key| key.id)
            .collect();
        let mut last = None;
        for key in due {
            let record = self.deletion_record(key, now).to_json();
            let change = Change::KeyDeleted(key);
            let sealed = self.seal_change(&state, &change, &record);
            last = Some(self.enqueue(record, sealed, now).map_err(|_| NotDeleted)?);
            state.apply(change);
        }
        self.note_next_deletion(&state);
        drop(state);
        // The last is durable only after the ones before it.
        last.map_or(Ok(()), |pending| pending.wait().map(drop).map_err(|_| NotDeleted))
    }

    /// Remembers the earliest deletion. Looks through all keys, so it is called only after a change that moves one.
    pub(super) fn note_next_deletion(&self, state: &State) {
        let next = state.next_deletion().map_or(u64::MAX, Timestamp::unix_nanos);
        self.next_deletion.store(next, Ordering::Release);
    }

    fn deletion_record(&self, key: KeyId, now: Timestamp) -> Record {
        let arn = key.arn(&self.config);
        let event_id = Guid::from_random(random_bytes(&*self.environment.random));
        Record {
            event_name: "DeleteKey".to_owned(),
            response_elements: Some(key_element(arn.as_str())),
            resources: vec![Resource::kms_key(self.config.account.clone(), arn.as_str())],
            ..service_event(&self.config, event_id, now)
        }
    }
}
