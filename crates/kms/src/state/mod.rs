//! What the engine knows: keys, aliases, users, access keys. A view over the ledger, never the truth itself.
//!
//! The truth is the sequence of [`Change`]s in the ledger's frames. [`State::apply`] is the only way to change a state, and
//! the same code runs in a call and in a replay, so what was answered and what is rebuilt cannot differ. Nothing in here
//! is in the clear: material is sealed under material keys, secrets under the store key.

mod change;
mod grants;
mod identities;
mod import;
mod kind;
mod materials;
mod multi_region;
mod roles;

use std::collections::BTreeMap;
use std::sync::Arc;

use keytrail_auth::{
    AccessKeyId, Authorized, IdentityPolicy, KeyPolicy, Principal, RoleName, ServiceName, UserId,
    UserName,
};
use keytrail_event::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::algorithms::KeyKind;
use crate::error::{ErrorCode, Refusal};
use crate::material::{Material, MaterialId, WrappedMaterial};
use crate::material_keys::{MaterialKeyId, MaterialKeys};
use crate::metadata::KeyFacts;
use crate::names::{AliasArn, AliasName, KeyArn, KeyId};
use crate::parameters::{Description, PolicyName};
use crate::tags::Tag;

pub(crate) use change::Change;
pub(crate) use grants::{Grant, GrantId, GrantName, Grants};
pub(crate) use identities::IdentityChange;
pub(crate) use import::{Expiration, KeyOrigin, Status};
pub(crate) use kind::KeyManager;
pub(crate) use materials::{
    Import, KeyMaterial, Materials, Rotation, RotationKind, RotationSchedule,
};
pub(crate) use multi_region::MultiRegion;
pub(crate) use roles::{Role, RoleChange};

/// The whole state of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// How many changes led here; the next change must carry this number, so that none can be missing or doubled.
    pub(crate) changes: u64,
    /// From the first change; `None` before it.
    pub(crate) founded: Option<Founded>,
    /// How far the engine's time is ahead of the given clock.
    #[serde(default)]
    pub(crate) clock_offset_seconds: u64,
    pub(crate) keys: BTreeMap<KeyArn, Key>,
    pub(crate) aliases: BTreeMap<AliasArn, Alias>,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) access_keys: BTreeMap<AccessKeyId, AccessKeyEntry>,
    pub(crate) grants: Grants,
}

/// What the data directory was made for. Its Regions may become more, so they are not in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Founded {
    /// The first account.
    pub(crate) account: AccountId,
}

/// An account, with those who act in it besides its root user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) users: BTreeMap<UserName, User>,
    pub(crate) roles: BTreeMap<RoleName, Role>,
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) arn: KeyArn,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
    /// Spec and usage.
    #[serde(default)]
    pub(crate) kind: KeyKind,
    pub(crate) description: Description,
    pub(crate) policy: KeyPolicy,
    pub(crate) tags: Vec<Tag>,
    #[serde(default)]
    pub(crate) origin: KeyOrigin,
    /// Who manages it.
    #[serde(default)]
    pub(crate) manager: KeyManager,
    /// What people made of it. What it may be used for depends on its materials too: [`Key::status`].
    pub(crate) state: KeyState,
    pub(crate) materials: Materials,
    /// Automatic rotation, if it is enabled. It rests while the key is not enabled.
    #[serde(default)]
    pub(crate) rotation: Option<RotationSchedule>,
    /// When somebody asked for a rotation that is not done yet.
    #[serde(default, with = "maybe_unix_nanos")]
    pub(crate) rotation_requested: Option<Timestamp>,
    /// Its relatives, if it is a multi-Region key.
    #[serde(default)]
    pub(crate) multi_region: Option<MultiRegion>,
}

/// What people made of a key
/// ([key states](https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion {
        /// When the key is deleted.
        #[serde(with = "unix_nanos")]
        date: Timestamp,
    },
    /// A primary key that is to be deleted, and has replicas: its waiting time begins when the last of them is gone.
    PendingReplicaDeletion {
        /// How long it is.
        days: u32,
    },
}

/// Something that happens to a key at a date, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueAt {
    pub(crate) date: Timestamp,
    pub(crate) what: Due,
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Deletion,
    Rotation(RotationKind),
    /// Imported material is deleted.
    Expiry(MaterialId),
}

/// A second name of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    pub(crate) target: KeyArn,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
    /// When it got this target, if it had another one before.
    #[serde(default, with = "maybe_unix_nanos")]
    pub(crate) updated: Option<Timestamp>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) id: UserId,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
    pub(crate) policies: BTreeMap<PolicyName, IdentityPolicy>,
    pub(crate) tags: Vec<Tag>,
}

/// An access key, its secret sealed under the key's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKeyEntry {
    pub(crate) owner: Owner,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
    #[serde(with = "base64_text")]
    pub(crate) sealed_secret: Vec<u8>,
}

/// Whose access key it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Owner {
    /// The root user of this account.
    Root(AccountId),
    User {
        account: AccountId,
        name: UserName,
    },
    /// A service that acts in this account.
    Service {
        account: AccountId,
        name: ServiceName,
    },
}

impl State {
    /// The first date on which something happens to a key.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.keys.values().filter_map(Key::due).map(|due| due.date).min()
    }

    /// The material keys that are in use, each with the ARN of its key.
    pub(crate) fn material_keys(&self) -> impl Iterator<Item = (MaterialKeyId, &str)> {
        self.keys.values().flat_map(|key| {
            let wrapped = key.materials.iter().filter_map(KeyMaterial::wrapped);
            wrapped.map(|wrapped| (wrapped.under, key.arn.as_str()))
        })
    }

    /// The names of a key's aliases.
    pub(crate) fn aliases_of(&self, key: &KeyArn) -> impl Iterator<Item = &AliasName> {
        self.aliases
            .iter()
            .filter(move |(_, alias)| alias.target == *key)
            .map(|(arn, _)| arn.name())
    }

    /// A user of an account.
    pub(crate) fn user(&self, account: &AccountId, name: &UserName) -> Option<&User> {
        self.accounts.get(account)?.users.get(name)
    }

    /// A role of an account.
    pub(crate) fn role(&self, account: &AccountId, name: &RoleName) -> Option<&Role> {
        self.accounts.get(account)?.roles.get(name)
    }

    /// The access keys of a user, a root user or a service.
    pub(crate) fn access_keys_of(&self, owner: &Owner) -> impl Iterator<Item = &AccessKeyId> {
        let owned = move |entry: &AccessKeyEntry| entry.owner == *owner;
        self.access_keys.iter().filter(move |(_, entry)| owned(entry)).map(|(id, _)| id)
    }
}

impl Owner {
    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Root(account) => Principal::Root { account: account.clone() },
            Self::User { account, name } => {
                Principal::User { account: account.clone(), name: name.clone() }
            }
            Self::Service { account, name } => {
                Principal::Service { account: account.clone(), name: name.clone() }
            }
        }
    }

    /// Whether it is this principal.
    pub(crate) fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Root(owner), Principal::Root { account }) => owner == account,
            (Self::User { account: owner, name: own }, Principal::User { account, name }) => {
                owner == account && own == name
            }
            (Self::Service { account: owner, name: own }, Principal::Service { account, name }) => {
                owner == account && own == name
            }
            _ => false,
        }
    }
}

impl Key {
    /// A new key, with its material; without one it waits for its import.
    pub(crate) fn new(
        arn: KeyArn,
        created: Timestamp,
        kind: KeyKind,
        (description, policy, tags): (Description, KeyPolicy, Vec<Tag>),
        material: Option<WrappedMaterial>,
    ) -> Self {
        Self {
            arn,
            created,
            kind,
            description,
            policy,
            tags,
            origin: if material.is_some() { KeyOrigin::AwsKms } else { KeyOrigin::External },
            manager: KeyManager::Customer,
            state: KeyState::Enabled,
            materials: material.map(Materials::first).unwrap_or_default(),
            rotation: None,
            rotation_requested: None,
            multi_region: None,
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.arn.id()
    }

    /// Opens the material of a symmetric key that encrypts now, for a caller who may use *this* key: the token says which
    /// one it was decided for.
    pub(crate) fn material(
        &self,
        authorized: &Authorized,
        keys: &MaterialKeys,
    ) -> Result<Arc<Material>, Refusal> {
        let material = self.materials.current().and_then(KeyMaterial::wrapped);
        self.open(material.ok_or_else(Refusal::internal)?, authorized, keys)
    }

    /// Opens the material with this id, whether it still encrypts or not; `None` if the key does not have it.
    pub(crate) fn material_with(
        &self,
        id: MaterialId,
        authorized: &Authorized,
        keys: &MaterialKeys,
    ) -> Result<Option<Arc<Material>>, Refusal> {
        let material = self.materials.find(id).and_then(KeyMaterial::wrapped);
        material.map(|material| self.open(material, authorized, keys)).transpose()
    }

    fn open(
        &self,
        material: &WrappedMaterial,
        authorized: &Authorized,
        keys: &MaterialKeys,
    ) -> Result<Arc<Material>, Refusal> {
        if authorized.resource() != self.arn.as_str() {
            return Err(Refusal::internal());
        }
        material.unwrap(self.id(), keys).map_err(|_| Refusal::internal())
    }

    /// The id of the material that encrypts now; a key into which nothing was imported yet has none.
    pub(crate) fn material_id(&self) -> Option<MaterialId> {
        self.materials.current().map(KeyMaterial::id)
    }

    /// What happens to it next by itself. A key that may not be used is not rotated: its rotation waits.
    pub(crate) fn due(&self) -> Option<DueAt> {
        let at = |date, what| DueAt { date, what };
        let (mut deletion, mut on_demand, mut automatic) = (None, None, None);
        match self.status() {
            Status::PendingDeletion => {
                deletion = self.deletion_date().map(|date| at(date, Due::Deletion));
            }
            Status::Enabled => {
                let rotation = |date, kind| at(date, Due::Rotation(kind));
                on_demand =
                    self.rotation_requested.map(|date| rotation(date, RotationKind::OnDemand));
                // A replica rotates with its primary key.
                let own = self.rotation.filter(|_| !self.is_replica());
                automatic = own.map(|plan| rotation(plan.next, RotationKind::Automatic));
            }
            Status::Disabled | Status::PendingImport | Status::PendingReplicaDeletion => {}
        }
        let dues = [self.materials.first_expiry(), deletion, on_demand, automatic];
        dues.into_iter().flatten().min_by_key(|due| due.date)
    }

    /// Takes a new material. A rotation by hand leaves the schedule alone.
    fn rotate(&mut self, material: KeyMaterial) {
        match material.rotation {
            Some(Rotation { kind: RotationKind::OnDemand, .. }) => self.rotation_requested = None,
            Some(Rotation { date, kind: RotationKind::Automatic }) => {
                self.rotation = self.rotation.map(|schedule| schedule.after(date));
            }
            None => {}
        }
        self.materials.rotate(material);
    }

    /// Refuses unless the key may be used for cryptography.
    pub(crate) fn check_enabled(&self) -> Result<(), Refusal> {
        match self.status() {
            Status::Enabled => Ok(()),
            Status::Disabled => Err(Refusal::new(
                ErrorCode::DisabledException,
                format!("{} is disabled.", self.arn),
            )),
            Status::PendingDeletion | Status::PendingReplicaDeletion => self.check_not_pending(),
            Status::PendingImport => self.check_imported(),
        }
    }

    /// Refuses if the key is waiting for its deletion.
    pub(crate) fn check_not_pending(&self) -> Result<(), Refusal> {
        let text = match self.state {
            KeyState::PendingDeletion { .. } => format!("{} is pending deletion.", self.arn),
            KeyState::PendingReplicaDeletion { .. } => {
                format!("{} is pending replica deletion.", self.arn)
            }
            KeyState::Enabled | KeyState::Disabled => return Ok(()),
        };
        Err(Refusal::new(ErrorCode::KMSInvalidStateException, text))
    }

    /// Whether it is to be deleted, now or after its replicas.
    pub(crate) fn is_pending_deletion(&self) -> bool {
        self.check_not_pending().is_err()
    }

    /// When it is to be deleted, if it is.
    pub(crate) fn deletion_date(&self) -> Option<Timestamp> {
        match self.state {
            KeyState::PendingDeletion { date } => Some(date),
            KeyState::Enabled | KeyState::Disabled | KeyState::PendingReplicaDeletion { .. } => {
                None
            }
        }
    }

    pub(crate) fn metadata(&self) -> KeyFacts {
        KeyFacts {
            kind: self.kind,
            arn: self.arn.clone(),
            creation_date: self.created,
            enabled: self.status() == Status::Enabled,
            description: self.description.as_str().to_owned(),
            key_state: self.status().as_str(),
            deletion_date: self.deletion_date(),
            pending_window_days: match self.state {
                KeyState::PendingReplicaDeletion { days } => Some(days),
                _ => None,
            },
            origin: self.origin,
            manager: self.manager,
            expiration: self.expiration(),
            multi_region: self.multi_region.clone(),
            current_key_material_id: self
                .material_id()
                .filter(|_| self.is_symmetric())
                .map(|id| id.to_string()),
        }
    }
}

/// The end of a waiting time that begins at `date`.
pub(crate) fn days_after(date: Timestamp, days: u32) -> Timestamp {
    const NANOS_PER_DAY: u64 = 86_400 * 1_000_000_000;
    let wait = u64::from(days) * NANOS_PER_DAY;
    Timestamp::from_unix_nanos(date.unix_nanos().saturating_add(wait))
}

/// Times as nanoseconds since 1970.
pub(crate) mod unix_nanos {
    use keytrail_event::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.unix_nanos().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        u64::deserialize(deserializer).map(Timestamp::from_unix_nanos)
    }
}

/// The same for a time that there may not be.
mod maybe_unix_nanos {
    use keytrail_event::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::unix_nanos).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let nanos = Option::<u64>::deserialize(deserializer)?;
        Ok(nanos.map(Timestamp::from_unix_nanos))
    }
}

/// Sealed bytes as base64.
pub(crate) mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
