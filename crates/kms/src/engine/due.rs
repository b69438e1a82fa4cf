//! What the passing of time does to keys: the end of a waiting time deletes one, the end of a period rotates
//! one, and imported material expires.
//!
//! It is done when the engine is opened and before each call, by the engine's clock: there is no thread of its own, and no call
//! can meet a key that should be gone, or encrypt under a material that should be old. Each of these leaves CloudTrail's
//! service event, change and record in one frame.
//!
//! A rotation that somebody asks for goes the same way: the call changes the key so that its rotation is due, and what is
//! due is done at once. A crash in between leaves a key whose rotation is still due, so none is lost and none done twice.
//!
//! Deleting takes key, materials and aliases out of the state. The sealed changes that once brought the materials stay in
//! the ledger, as every entry does: whoever has the root key *and* old segments could still open them. Destroying them for
//! good takes an erasure of those frames' states, which the commitment allows for (it covers the state by its hash), and a
//! new root key.

use std::sync::atomic::Ordering;

use keytrail_event::{Guid, Json, Record, Resource, Timestamp};

use super::Engine;
use super::call::{key_element, service_event};
use crate::environment::random_bytes;
use crate::material::{Material, WrappedMaterial};
use crate::state::{Change, Due, Key, KeyMaterial, Rotation, RotationKind, State};

/// The ledger did not take the record, or the state is lost to a panic.
pub(super) struct NotDone;

impl Engine {
    /// Does all that is due at `now`; returns when that is durable.
    pub(super) fn do_what_is_due(&self, now: Timestamp) -> Result<(), NotDone> {
        if now.unix_nanos() < self.next_due.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.write().map_err(|_| NotDone)?;
        let mut last = None;
        loop {
            let due =
                |key: &Key| Some((key.arn.clone(), key.due().filter(|due| due.date <= now)?.what));
            let round = state.keys.values().filter_map(due).collect::<Vec<_>>();
            if round.is_empty() {
                break;
            }
            for (arn, what) in round {
                let Some(key) = state.keys.get(&arn) else { continue };
                let (record, change) = self.carry_out(key, what, now);
                let record = record.to_json();
                let sealed = self.seal_change(&state, &change, &record);
                last = Some(self.enqueue(record, sealed, now).map_err(|_| NotDone)?);
                state.apply(change);
            }
        }
        self.note_next_due(&state);
        drop(state);
        // The last is durable only after the ones before it.
        last.map_or(Ok(()), |pending| pending.wait().map(drop).map_err(|_| NotDone))
    }

    /// Remembers the earliest thing that is due. Looks through all keys, so it is called only after a change that moves one.
    pub(super) fn note_next_due(&self, state: &State) {
        let next = state.next_due().map_or(u64::MAX, Timestamp::unix_nanos);
        self.next_due.store(next, Ordering::Release);
    }

    /// The record and the change of what is due. After the change it is not due any more.
    fn carry_out(&self, key: &Key, what: Due, now: Timestamp) -> (Record, Change) {
        match what {
            Due::Deletion => {
                let response_elements = Some(key_element(key.arn.as_str()));
                let record = self.key_event("DeleteKey", key, now);
                (Record { response_elements, ..record }, Change::KeyDeleted(key.arn.clone()))
            }
            Due::Rotation(kind) => self.rotate(key, kind, now),
            Due::Expiry(id) => {
                let details = Json::object()
                    .with("keyId", key.id().to_string())
                    .with("keyMaterialId", id.to_string());
                let record = self.key_event("DeleteExpiredKeyMaterial", key, now);
                let change = Change::MaterialDeleted { key: key.arn.clone(), material: Some(id) };
                (Record { service_event_details: Some(details), ..record }, change)
            }
        }
    }

    fn rotate(&self, key: &Key, kind: RotationKind, now: Timestamp) -> (Record, Change) {
        let rotation = Rotation { date: now, kind };
        let (current, change) = if let Some(waiting) = key.materials.waiting() {
            (waiting.id(), Change::ImportedKeyRotated { key: key.arn.clone(), rotation })
        } else {
            let random = &*self.environment.random;
            let material = Material::generate(key.id(), random);
            let wrapped = WrappedMaterial::wrap(&material, key.id(), &self.root_key, random);
            let new = KeyMaterial::new(wrapped, rotation);
            (material.id(), Change::KeyRotated { key: key.arn.clone(), material: new })
        };
        let details = Json::object()
            .with("rotationType", kind.as_str())
            .with("keyOrigin", key.origin.as_str())
            .with_some("previousKeyMaterialId", key.material_id().map(|id| id.to_string()))
            .with("currentKeyMaterialId", current.to_string())
            .with("keyId", key.id().to_string());
        let record = self.key_event("RotateKey", key, now);
        (Record { service_event_details: Some(details), ..record }, change)
    }

    fn key_event(&self, name: &str, key: &Key, now: Timestamp) -> Record {
        let event_id = Guid::from_random(random_bytes(&*self.environment.random));
        Record {
            event_name: name.to_owned(),
            resources: vec![Resource::kms_key(key.arn.account().clone(), key.arn.as_str())],
            ..service_event(key.arn.place(), event_id, now)
        }
    }
}
