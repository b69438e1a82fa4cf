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
//! Deleting takes key, materials and aliases out of the state, and erases the material keys once that is durable: the sealed
//! materials in older frames and snapshots then open for nobody (`material_keys`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keytrail_event::{EventType, Guid, Json, Record, Resource, Timestamp};
use keytrail_ledger::{Append, EntryKind, Pending};

use super::Engine;
use super::call::{key_element, service_event};
use crate::environment::random_bytes;
use crate::material::{Material, WrappedMaterial};
use crate::material_keys::{MaterialKey, MaterialKeyId};
use crate::state::{Change, Due, Key, KeyMaterial, Rotation, RotationKind, State};

/// The ledger did not take the record, the disk no material key, or the state is lost to a panic.
pub(super) struct NotDone;

/// What becomes of one look at all that is due.
#[derive(Default)]
struct Work<'a> {
    /// Material keys for what is rotated next.
    spares: Vec<Arc<MaterialKey>>,
    /// Material keys to be erased once all is durable.
    ended: Vec<MaterialKeyId>,
    /// The last record that was ordered.
    last: Option<Pending<'a>>,
}

impl Engine {
    /// Does all that is due at `now`; returns when that is durable.
    pub(super) fn do_what_is_due(&self, now: Timestamp) -> Result<(), NotDone> {
        if now.unix_nanos() < self.next_due.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut work = Work::default();
        let done = self.work_off(now, &mut work);
        // Nothing refers to one that was not used, so it may go whatever became of the rest.
        let spares = work.spares.iter().map(|key| key.id()).collect::<Vec<_>>();
        self.material_keys.erase(&spares).map_err(|_| NotDone)?;
        done?;
        // The last is durable only after the ones before it.
        work.last.map_or(Ok(()), |pending| pending.wait().map(drop)).map_err(|_| NotDone)?;
        self.material_keys.erase(&work.ended).map_err(|_| NotDone)
    }

    /// Carries out what is due, and orders the records. New material needs a key, which is made with no lock held; then all
    /// is looked at again.
    fn work_off<'a>(&'a self, now: Timestamp, work: &mut Work<'a>) -> Result<(), NotDone> {
        let random = &*self.environment.random;
        loop {
            let mut state = self.state.write().map_err(|_| NotDone)?;
            let missing = self.work_off_with_spares(&mut state, now, work)?;
            self.note_next_due(&state);
            drop(state);
            if missing == 0 {
                return Ok(());
            }
            let (size, store_key) = (self.ledger.size(), &self.store_key);
            let made = self.material_keys.make(missing, size, store_key, random);
            work.spares.extend(made.map_err(|_| NotDone)?);
        }
    }

    /// Carries out what is due as far as the material keys go; tells how many are missing.
    fn work_off_with_spares<'a>(
        &'a self,
        state: &mut State,
        now: Timestamp,
        work: &mut Work<'a>,
    ) -> Result<usize, NotDone> {
        loop {
            let due =
                |key: &Key| Some((key.arn.clone(), key.due().filter(|due| due.date <= now)?.what));
            let round = state.keys.values().filter_map(due).collect::<Vec<_>>();
            let mut missing = 0;
            for (arn, what) in &round {
                let Some(key) = state.keys.get(arn) else { continue };
                let Some((record, change)) = self.carry_out(key, *what, now, &mut work.spares)
                else {
                    missing += 1;
                    continue;
                };
                let record = record.to_json();
                let sealed = self.seal_change(state, &change, &record);
                let append = |record: String, state| {
                    let payload = record.into_bytes();
                    Append { kind: EntryKind::Record, time_ns: now.unix_nanos(), payload, state }
                };
                let elsewhere = self.synchronizations(&change, state, now).into_iter();
                let elsewhere = elsewhere.map(|record| append(record, Vec::new())).collect();
                let ordered = self.enqueue_behind(elsewhere, append(record, sealed));
                work.last = Some(ordered.map_err(|_| NotDone)?);
                work.ended.extend(change.ends(state));
                state.apply(change);
            }
            if round.len() == missing {
                return Ok(missing);
            }
        }
    }

    /// Remembers the earliest thing that is due. Looks through all keys, so it is called only after a change that moves one.
    pub(super) fn note_next_due(&self, state: &State) {
        let next = state.next_due().map_or(u64::MAX, Timestamp::unix_nanos);
        self.next_due.store(next, Ordering::Release);
    }

    /// The record and the change of what is due. After the change it is not due any more. `None` if it takes a material key
    /// and there is no spare one.
    fn carry_out(
        &self,
        key: &Key,
        what: Due,
        now: Timestamp,
        spares: &mut Vec<Arc<MaterialKey>>,
    ) -> Option<(Record, Change)> {
        Some(match what {
            Due::Deletion => {
                let response_elements = Some(key_element(key.arn.as_str()));
                let record = self.key_event("DeleteKey", key, now);
                let change = if key.is_replica() {
                    Change::ReplicaDeleted { key: key.arn.clone(), date: now }
                } else {
                    Change::KeyDeleted(key.arn.clone())
                };
                (Record { response_elements, ..record }, change)
            }
            Due::Rotation(kind) => self.rotate(key, kind, now, spares)?,
            Due::Expiry(id) => {
                let details = Json::object()
                    .with("keyId", key.id().to_string())
                    .with("keyMaterialId", id.to_string());
                let record = self.key_event("DeleteExpiredKeyMaterial", key, now);
                let change = Change::MaterialDeleted { key: key.arn.clone(), material: Some(id) };
                (Record { service_event_details: Some(details), ..record }, change)
            }
        })
    }

    fn rotate(
        &self,
        key: &Key,
        kind: RotationKind,
        now: Timestamp,
        spares: &mut Vec<Arc<MaterialKey>>,
    ) -> Option<(Record, Change)> {
        let rotation = Rotation { date: now, kind };
        let (current, change) = if let Some(waiting) = key.materials.waiting() {
            (waiting.id(), Change::ImportedKeyRotated { key: key.arn.clone(), rotation })
        } else {
            let random = &*self.environment.random;
            let under = spares.pop()?;
            let material = Material::generate(key.id(), random);
            let wrapped = WrappedMaterial::wrap(&material, key.id(), &under, random);
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
        Some((Record { service_event_details: Some(details), ..record }, change))
    }

    /// The records of what a change of a primary key does to its replicas, one in the Region of each. The state is the one
    /// before it.
    pub(super) fn synchronizations(
        &self,
        change: &Change,
        state: &State,
        now: Timestamp,
    ) -> Vec<String> {
        let primary = change.synchronizes().and_then(|key| state.keys.get(key));
        let replicas = primary.map(Key::replicas).unwrap_or_default();
        let replicas = replicas.iter().filter_map(|arn| state.keys.get(arn));
        let record = |key: &Key| Record {
            // CloudTrail calls it so, though nobody called.
            event_type: EventType::AwsApiCall,
            request_id: Some(Guid::from_random(random_bytes(&*self.environment.random))),
            response_elements: Some(key_element(key.arn.as_str())),
            ..self.key_event("SynchronizeMultiRegionKey", key, now)
        };
        replicas.map(|key| record(key).to_json()).collect()
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
