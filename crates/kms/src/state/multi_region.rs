//! Multi-Region keys: related keys in several Regions of an account, with one id and the same materials
//! ([multi-Region keys](https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html)).
//!
//! ```text
//! shared      id, spec, usage, origin, materials, rotation        changed at the primary key, and in all at once
//! each its    policy, grants, aliases, tags, description, state   changed where the key is
//! ```
//!
//! One of them is the primary key. Every one knows all the others, so that a key can be told about without looking for its
//! relatives; a change of the family changes all its keys in one frame, so they never disagree.
//!
//! Materials that were made here are the same sealed bytes in all of them, and the material key goes with the last. Imported
//! material is each key's own: a replica begins with the places of its primary's materials, which only the same bytes fill.

use std::collections::BTreeSet;

use keytrail_event::{Region, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Key, KeyMaterial, KeyOrigin, KeyState, Materials, State, days_after};
use crate::error::{ErrorCode, Refusal};
use crate::material::MaterialId;
use crate::material_keys::MaterialKeyId;
use crate::names::KeyArn;
use crate::parameters::Description;
use crate::tags::Tag;
use keytrail_auth::KeyPolicy;

/// Where the keys of a family are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MultiRegion {
    pub(crate) primary: Region,
    pub(crate) replicas: BTreeSet<Region>,
}

impl MultiRegion {
    /// A family of one.
    pub(crate) const fn of_primary(region: Region) -> Self {
        Self { primary: region, replicas: BTreeSet::new() }
    }

    /// All Regions, the primary key's first.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Region> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }

    /// The family after another of its keys became the primary key.
    fn with_primary(mut self, region: Region) -> Self {
        self.replicas.remove(&region);
        let before = std::mem::replace(&mut self.primary, region);
        self.replicas.insert(before);
        self
    }
}

impl Key {
    /// Whether it has the shared properties of others, and not its own.
    pub(crate) fn is_replica(&self) -> bool {
        self.multi_region
            .as_ref()
            .is_some_and(|family| family.primary != *self.arn.place().region())
    }

    /// The ARNs of the replica keys, if it is a primary key.
    pub(crate) fn replicas(&self) -> Vec<KeyArn> {
        let family = self.multi_region.as_ref().filter(|_| !self.is_replica());
        let regions = family.into_iter().flat_map(|family| &family.replicas);
        regions.map(|region| self.in_region(region)).collect()
    }

    /// The ARN that a key of the family has in this Region.
    pub(crate) fn in_region(&self, region: &Region) -> KeyArn {
        self.arn.place().in_region(region.clone()).key_arn(self.id())
    }

    /// The family, if this is its primary key; else refuses.
    pub(crate) fn check_primary(&self) -> Result<&MultiRegion, Refusal> {
        let family = self.multi_region.as_ref().filter(|_| !self.is_replica());
        family.ok_or_else(|| {
            let text = format!("{} is not a multi-region primary key.", self.arn);
            Refusal::new(ErrorCode::UnsupportedOperationException, text)
        })
    }

    /// Refuses what is done to a whole family, unless this is its primary key; a single-Region key has no family.
    pub(crate) fn check_not_replica(&self) -> Result<(), Refusal> {
        if self.is_replica() { self.check_primary().map(drop) } else { Ok(()) }
    }

    /// A replica of this primary key.
    pub(crate) fn replica(
        &self,
        region: &Region,
        created: Timestamp,
        (description, policy, tags): (Description, KeyPolicy, Vec<Tag>),
    ) -> Self {
        let mut multi_region = self.multi_region.clone();
        if let Some(family) = &mut multi_region {
            family.replicas.insert(region.clone());
        }
        Self {
            arn: self.in_region(region),
            created,
            description,
            policy,
            tags,
            state: KeyState::Enabled,
            materials: match self.origin {
                KeyOrigin::AwsKms => self.materials.clone(),
                KeyOrigin::External => self.materials.places(),
            },
            multi_region,
            rotation_requested: None,
            ..self.clone()
        }
    }

    /// Whether every key of the family has the imported material that waits; `state` has the others.
    pub(crate) fn is_ready_to_rotate(&self, state: &State) -> bool {
        let has = |key: &Key| key.materials.waiting().is_some_and(|it| it.wrapped().is_some());
        let mut replicas = self.replicas().into_iter().filter_map(|arn| state.keys.get(&arn));
        has(self) && replicas.all(has)
    }
}

impl State {
    /// A key and its relatives.
    pub(super) fn family(&self, key: &KeyArn) -> Vec<KeyArn> {
        let Some(Key { multi_region: Some(family), .. }) = self.keys.get(key) else {
            return vec![key.clone()];
        };
        let in_region = |region: &Region| key.place().in_region(region.clone()).key_arn(key.id());
        family.regions().map(in_region).collect()
    }

    /// The material keys among these that no relative of the key needs.
    pub(super) fn not_shared(&self, key: &KeyArn, under: Vec<MaterialKeyId>) -> Vec<MaterialKeyId> {
        let others = self.family(key).into_iter().filter(|other| other != key);
        let materials = others.filter_map(|other| self.keys.get(&other)).map(|key| &key.materials);
        let shared = materials.flat_map(Materials::material_keys).collect::<BTreeSet<_>>();
        under.into_iter().filter(|id| !shared.contains(id)).collect()
    }

    /// The material keys of what waits in the replicas, if this is what waits in the primary key: it goes with it.
    pub(super) fn waiting_of_replicas(&self, key: &KeyArn, id: MaterialId) -> Vec<MaterialKeyId> {
        let waits = |key: &&Key| key.materials.waiting().is_some_and(|waiting| waiting.id() == id);
        let replicas = self.keys.get(key).filter(waits).map(Key::replicas).unwrap_or_default();
        let replicas = replicas.iter().filter_map(|arn| self.keys.get(arn)).filter(waits);
        let waiting = replicas.filter_map(|key| key.materials.waiting()?.wrapped());
        waiting.map(|wrapped| wrapped.under).collect()
    }

    pub(super) fn alter_family(&mut self, key: &KeyArn, how: impl Fn(&mut Key)) {
        for key in self.family(key) {
            self.alter(&key, &how);
        }
    }

    pub(super) fn add_replica(&mut self, replica: Key) {
        let (arn, family) = (replica.arn.clone(), replica.multi_region.clone());
        self.keys.insert(arn.clone(), replica);
        self.alter_family(&arn, |key| key.multi_region.clone_from(&family));
    }

    pub(super) fn move_primary(&mut self, key: &KeyArn, region: &Region) {
        self.alter_family(key, |key| {
            let family = key.multi_region.take();
            key.multi_region = family.map(|family| family.with_primary(region.clone()));
        });
    }

    /// Takes a replica out of its family. A primary key that waited for that begins its own waiting time.
    pub(super) fn remove_from_family(&mut self, replica: &KeyArn, date: Timestamp) {
        let gone = replica.place().region();
        self.alter_family(replica, |key| {
            let Some(family) = &mut key.multi_region else { return };
            family.replicas.remove(gone);
            if let (KeyState::PendingReplicaDeletion { days }, true) =
                (key.state, family.replicas.is_empty())
            {
                key.state = KeyState::PendingDeletion { date: days_after(date, days) };
            }
        });
    }

    /// Material that waits in the primary key has its place in all the others, and none when it waits no more.
    pub(super) fn mirror_waiting(&mut self, primary: &KeyArn) {
        let Some(key) = self.keys.get(primary).filter(|key| !key.is_replica()) else { return };
        let waiting = key.materials.waiting().map(KeyMaterial::id);
        for replica in key.replicas() {
            self.alter(&replica, |key| key.materials.mirror_waiting(waiting));
        }
    }
}
