//! The changes of state: what a ledger frame carries, sealed, beside the record of the call that made it.
//!
//! A change is checked against the state it is for ([`Change::check`]) before it is logged; applying it then cannot fail.
//! In a replay the same check finds a change that does not belong there.

use keytrail_auth::{AccessKeyId, KeyPolicy};
use keytrail_event::{Region, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AccessKeyEntry, Account, Alias, Founded, Grant, GrantId, IdentityChange, Import, Key,
    KeyMaterial, KeyState, Rotation, RotationSchedule, State, unix_nanos,
};
use crate::material::{MaterialId, WrappedMaterial};
use crate::material_keys::MaterialKeyId;
use crate::names::{AliasArn, KeyArn};
use crate::parameters::Description;
use crate::tags::{Tag, TagKey};

/// One change. Written as JSON; variants and fields may be added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The first change of every log.
    Founded {
        founded: Founded,
        root_access_key: AccessKeyId,
        entry: AccessKeyEntry,
    },
    /// From then on the engine's time is so far ahead of the given clock; never less far than before.
    ClockMoved {
        offset_seconds: u64,
    },
    KeyCreated(Box<Key>),
    /// This replica comes to its primary key.
    KeyReplicated(Box<Key>),
    /// The primary key becomes a replica, and the replica in that Region the primary key.
    PrimaryRegionUpdated {
        key: KeyArn,
        region: Region,
    },
    /// Of a primary key: its waiting time begins when it has no replicas any more.
    ReplicaDeletionAwaited {
        key: KeyArn,
        days: u32,
    },
    KeyEnabled(KeyArn),
    KeyDisabled(KeyArn),
    KeyPolicyPut {
        key: KeyArn,
        policy: KeyPolicy,
    },
    DeletionScheduled {
        key: KeyArn,
        #[serde(with = "unix_nanos")]
        date: Timestamp,
    },
    /// The key is disabled then, as with AWS.
    DeletionCancelled(KeyArn),
    /// Takes the key's materials and aliases with it.
    KeyDeleted(KeyArn),
    /// The same, at this date.
    ReplicaDeleted {
        key: KeyArn,
        #[serde(with = "unix_nanos")]
        date: Timestamp,
    },
    RotationEnabled {
        key: KeyArn,
        schedule: RotationSchedule,
    },
    RotationDisabled(KeyArn),
    /// Makes a rotation due.
    RotationRequested {
        key: KeyArn,
        #[serde(with = "unix_nanos")]
        date: Timestamp,
    },
    KeyRotated {
        key: KeyArn,
        material: KeyMaterial,
    },
    /// The imported material that waited encrypts from then on.
    ImportedKeyRotated {
        key: KeyArn,
        rotation: Rotation,
    },
    MaterialImported {
        key: KeyArn,
        material: Box<WrappedMaterial>,
        import: Import,
    },
    /// Nothing is deleted if there was nothing to delete.
    MaterialDeleted {
        key: KeyArn,
        material: Option<MaterialId>,
    },
    /// The key of a service, and its alias.
    AwsManagedKeyMade {
        key: Box<Key>,
        arn: AliasArn,
        alias: Alias,
    },
    AliasCreated {
        arn: AliasArn,
        alias: Alias,
    },
    AliasUpdated {
        arn: AliasArn,
        target: KeyArn,
        #[serde(with = "unix_nanos")]
        date: Timestamp,
    },
    AliasDeleted(AliasArn),
    DescriptionPut {
        key: KeyArn,
        description: Description,
    },
    /// All tags that the key has from then on.
    TagsPut {
        key: KeyArn,
        tags: Vec<Tag>,
    },
    TagsRemoved {
        key: KeyArn,
        names: Vec<TagKey>,
    },
    /// Also of a grant that is there already, and then the same: `CreateGrant` may be repeated under a name.
    GrantCreated {
        key: KeyArn,
        grant: Box<Grant>,
    },
    /// Retired or revoked.
    GrantEnded {
        key: KeyArn,
        grant: GrantId,
    },
    /// Of those who may call.
    Identity(IdentityChange),
}

/// The change does not fit the state: what it speaks about is not there, or is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch;

impl Change {
    /// Whether the change fits the state.
    pub(crate) fn check(&self, state: &State) -> Result<(), Mismatch> {
        let fits = match self {
            Self::Founded { .. } => state.changes == 0,
            Self::ClockMoved { offset_seconds } => *offset_seconds > state.clock_offset_seconds,
            Self::KeyCreated(key) => !state.keys.contains_key(&key.arn),
            Self::KeyReplicated(key) => {
                let family = state.family(&key.arn);
                let primary =
                    key.multi_region.as_ref().map(|family| key.in_region(&family.primary));
                let primary = primary.and_then(|primary| state.keys.get(&primary));
                family == [key.arn.clone()]
                    && !state.keys.contains_key(&key.arn)
                    && primary.is_some_and(|primary| !primary.is_replica())
            }
            Self::PrimaryRegionUpdated { key, region } => {
                let family = state.keys.get(key).filter(|key| !key.is_replica());
                let family = family.and_then(|key| key.multi_region.as_ref());
                family.is_some_and(|family| family.replicas.contains(region))
            }
            Self::ReplicaDeletionAwaited { key, .. } => {
                state.keys.get(key).is_some_and(|key| !key.replicas().is_empty())
            }
            Self::ReplicaDeleted { key, .. } => state.keys.get(key).is_some_and(Key::is_replica),
            Self::AwsManagedKeyMade { key, arn, .. } => {
                !state.keys.contains_key(&key.arn) && !state.aliases.contains_key(arn)
            }
            Self::KeyEnabled(key)
            | Self::KeyDisabled(key)
            | Self::KeyPolicyPut { key, .. }
            | Self::DeletionScheduled { key, .. }
            | Self::DeletionCancelled(key)
            | Self::KeyDeleted(key)
            | Self::RotationEnabled { key, .. }
            | Self::RotationDisabled(key)
            | Self::RotationRequested { key, .. }
            | Self::MaterialImported { key, .. }
            | Self::MaterialDeleted { key, .. }
            | Self::DescriptionPut { key, .. }
            | Self::TagsPut { key, .. }
            | Self::TagsRemoved { key, .. } => state.keys.contains_key(key),
            Self::KeyRotated { key, material } => {
                let key = state.keys.get(key);
                material.rotation.is_some()
                    && key.is_some_and(|key| key.materials.find(material.id()).is_none())
            }
            Self::ImportedKeyRotated { key, .. } => {
                state.keys.get(key).is_some_and(|key| key.materials.waiting().is_some())
            }
            Self::AliasCreated { arn, alias } => {
                !state.aliases.contains_key(arn) && state.keys.contains_key(&alias.target)
            }
            Self::AliasUpdated { arn, target, .. } => {
                state.aliases.contains_key(arn) && state.keys.contains_key(target)
            }
            Self::AliasDeleted(arn) => state.aliases.contains_key(arn),
            Self::GrantCreated { key, grant } => {
                let same = |there: &Grant| *there == **grant;
                state.keys.contains_key(key) && state.grants.find(key, &grant.id).is_none_or(same)
            }
            Self::GrantEnded { key, grant } => state.grants.find(key, grant).is_some(),
            Self::Identity(change) => change.fits(state),
        };
        let founded = state.founded.is_some() || matches!(self, Self::Founded { .. });
        if fits && founded { Ok(()) } else { Err(Mismatch) }
    }

    /// The material keys that open nothing any more after this change: with them goes the material. The state is the one
    /// before it.
    pub(crate) fn ends(&self, state: &State) -> Vec<MaterialKeyId> {
        let (key, which) = match self {
            Self::KeyDeleted(key) | Self::ReplicaDeleted { key, .. } => (key, None),
            Self::MaterialDeleted { key, material: Some(id) } => (key, Some(*id)),
            // Into a place that was not empty.
            Self::MaterialImported { key, material, .. } => (key, Some(material.id)),
            _ => return Vec::new(),
        };
        let materials = state.keys.get(key).map(|key| key.materials.iter());
        let wrapped = materials.into_iter().flatten().filter_map(KeyMaterial::wrapped);
        let ended = wrapped.filter(|wrapped| which.is_none_or(|id| wrapped.id == id));
        let mut ended = state.not_shared(key, ended.map(|wrapped| wrapped.under).collect());
        if let Self::MaterialDeleted { key, material: Some(id) } = self {
            ended.extend(state.waiting_of_replicas(key, *id));
        }
        ended
    }

    /// The key whose replicas get another rotation schedule or another material by this change.
    pub(crate) fn synchronizes(&self) -> Option<&KeyArn> {
        match self {
            Self::RotationEnabled { key, .. }
            | Self::RotationDisabled(key)
            | Self::KeyRotated { key, .. }
            | Self::ImportedKeyRotated { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether the earliest thing that is due may be another one after this change.
    pub(crate) fn reschedules(&self) -> bool {
        matches!(
            self,
            Self::AwsManagedKeyMade { .. }
                | Self::KeyEnabled(_)
                | Self::KeyDisabled(_)
                | Self::DeletionScheduled { .. }
                | Self::DeletionCancelled(_)
                | Self::KeyDeleted(_)
                | Self::ReplicaDeleted { .. }
                | Self::ReplicaDeletionAwaited { .. }
                | Self::PrimaryRegionUpdated { .. }
                | Self::RotationEnabled { .. }
                | Self::RotationDisabled(_)
                | Self::RotationRequested { .. }
                | Self::KeyRotated { .. }
                | Self::ImportedKeyRotated { .. }
                | Self::MaterialImported { .. }
                | Self::MaterialDeleted { .. }
        )
    }
}

impl State {
    /// Applies a change that was checked against this very state.
    pub(crate) fn apply(&mut self, change: Change) {
        self.changes += 1;
        match change {
            Change::Founded { founded, root_access_key, entry } => {
                self.accounts.insert(founded.account.clone(), Account::default());
                self.founded = Some(founded);
                self.access_keys.insert(root_access_key, entry);
            }
            Change::ClockMoved { offset_seconds } => self.clock_offset_seconds = offset_seconds,
            Change::KeyCreated(key) => drop(self.keys.insert(key.arn.clone(), *key)),
            Change::AwsManagedKeyMade { key, arn, alias } => self.insert_named(*key, arn, alias),
            Change::KeyEnabled(key) => self.set_state(&key, KeyState::Enabled),
            Change::KeyDisabled(key) | Change::DeletionCancelled(key) => {
                self.set_state(&key, KeyState::Disabled);
            }
            Change::KeyReplicated(replica) => self.add_replica(*replica),
            Change::PrimaryRegionUpdated { key, region } => self.move_primary(&key, &region),
            Change::ReplicaDeletionAwaited { key, days } => {
                self.set_state(&key, KeyState::PendingReplicaDeletion { days });
            }
            Change::DeletionScheduled { key, date } => {
                self.set_state(&key, KeyState::PendingDeletion { date });
            }
            Change::KeyPolicyPut { key, policy } => self.alter(&key, |key| key.policy = policy),
            Change::KeyDeleted(key) => self.delete_key(&key),
            Change::ReplicaDeleted { key, date } => {
                self.remove_from_family(&key, date);
                self.delete_key(&key);
            }
            Change::GrantCreated { key, grant } => self.grants.insert(key, *grant),
            Change::GrantEnded { key, grant } => self.grants.remove(&key, &grant),
            Change::RotationEnabled { key, schedule } => {
                self.alter_family(&key, |key| key.rotation = Some(schedule));
            }
            Change::RotationDisabled(key) => self.alter_family(&key, |key| key.rotation = None),
            Change::RotationRequested { key, date } => {
                self.alter(&key, |key| key.rotation_requested = Some(date));
            }
            Change::KeyRotated { key, material } => {
                self.alter_family(&key, |key| key.rotate(material.clone()));
            }
            Change::ImportedKeyRotated { key, rotation } => {
                self.alter_family(&key, |key| key.rotate_to_waiting(rotation));
            }
            Change::MaterialImported { key, material, import } => {
                self.alter(&key, |key| key.import(*material, import));
                self.mirror_waiting(&key);
            }
            Change::MaterialDeleted { key, material } => {
                self.alter(&key, |key| key.delete_material(material));
                self.mirror_waiting(&key);
            }
            Change::AliasCreated { arn, alias } => drop(self.aliases.insert(arn, alias)),
            Change::AliasUpdated { arn, target, date } => {
                if let Some(alias) = self.aliases.get_mut(&arn) {
                    (alias.target, alias.updated) = (target, Some(date));
                }
            }
            Change::AliasDeleted(arn) => drop(self.aliases.remove(&arn)),
            Change::DescriptionPut { key, description } => {
                self.alter(&key, |key| key.description = description);
            }
            Change::TagsPut { key, tags } => self.alter(&key, |key| key.tags = tags),
            Change::TagsRemoved { key, names } => {
                let stays = |tag: &Tag| names.iter().all(|name| name.as_str() != tag.tag_key);
                self.alter(&key, |key| key.tags.retain(stays));
            }
            Change::Identity(change) => self.apply_identity(change),
        }
    }

    fn delete_key(&mut self, key: &KeyArn) {
        self.keys.remove(key);
        self.aliases.retain(|_, alias| alias.target != *key);
        self.grants.remove_key(key);
    }

    fn insert_named(&mut self, key: Key, arn: AliasArn, alias: Alias) {
        self.aliases.insert(arn, alias);
        self.keys.insert(key.arn.clone(), key);
    }

    fn set_state(&mut self, key: &KeyArn, state: KeyState) {
        self.alter(key, |key| key.state = state);
    }

    /// Alters a key, which is there: the change was checked.
    pub(super) fn alter(&mut self, key: &KeyArn, how: impl FnOnce(&mut Key)) {
        if let Some(key) = self.keys.get_mut(key) {
            how(key);
        }
    }
}
