//! Where a key's material comes from, and what follows for its state: a key that misses imported material is of no use, until
//! the material is imported again.

use keytrail_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Import, Key, KeyState, Rotation};
use crate::error::{ErrorCode, Refusal};
use crate::material::{MaterialId, WrappedMaterial};

/// Where the material comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum KeyOrigin {
    /// It was made here.
    #[default]
    AwsKms,
    /// It is imported.
    External,
}

/// What may be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Enabled,
    Disabled,
    PendingDeletion,
    /// It is to be deleted when its replicas are gone.
    PendingReplicaDeletion,
    /// Imported material is missing.
    PendingImport,
}

/// Whether and when imported material is deleted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiration {
    pub(crate) model: &'static str,
    pub(crate) valid_to: Option<Timestamp>,
}

impl Key {
    /// What may be done with it. Whether people enabled it counts only while it has all its materials.
    pub(crate) fn status(&self) -> Status {
        match self.state {
            KeyState::PendingDeletion { .. } => Status::PendingDeletion,
            KeyState::PendingReplicaDeletion { .. } => Status::PendingReplicaDeletion,
            _ if !self.materials.are_complete() => Status::PendingImport,
            KeyState::Enabled => Status::Enabled,
            KeyState::Disabled => Status::Disabled,
        }
    }

    /// Refuses unless the key's material is imported.
    pub(crate) fn check_external(&self) -> Result<(), Refusal> {
        self.check_origin(KeyOrigin::External)
    }

    /// Refuses unless the key's material is made here.
    pub(crate) fn check_made_here(&self) -> Result<(), Refusal> {
        self.check_origin(KeyOrigin::AwsKms)
    }

    fn check_origin(&self, origin: KeyOrigin) -> Result<(), Refusal> {
        if self.origin == origin {
            return Ok(());
        }
        let (arn, origin) = (&self.arn, self.origin.as_str());
        let text = format!("{arn} origin is {origin} which is not valid for this operation.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    }

    /// Refuses while imported material is missing.
    pub(crate) fn check_imported(&self) -> Result<(), Refusal> {
        if self.status() == Status::PendingImport {
            let text = format!("{} is pending import.", self.arn);
            return Err(Refusal::new(ErrorCode::KMSInvalidStateException, text));
        }
        Ok(())
    }

    /// What `DescribeKey` says of the expiry of imported material: the first one counts. Nothing while material is missing.
    pub(crate) fn expiration(&self) -> Option<Expiration> {
        let import = self.materials.current()?.import.as_ref()?;
        if !self.materials.are_complete() {
            return None;
        }
        let valid_to = self.materials.first_expiry().map(|due| due.date);
        let model = match valid_to {
            Some(_) => "KEY_MATERIAL_EXPIRES",
            None => import.expiration_model(),
        };
        Some(Expiration { model, valid_to })
    }

    /// Takes material in. The import that completes a key enables it.
    pub(super) fn import(&mut self, material: WrappedMaterial, import: Import) {
        let missed = self.status() == Status::PendingImport;
        self.materials.import(material, import);
        if missed && self.materials.are_complete() {
            self.state = KeyState::Enabled;
        }
    }

    /// Drops material. With the one that waited goes the rotation to it.
    pub(super) fn delete_material(&mut self, id: Option<MaterialId>) {
        match id {
            // The place of material that waits is the primary key's to give up.
            Some(id) if self.is_replica() => self.materials.empty(id),
            Some(id) => self.materials.delete(id),
            None => {}
        }
        if self.origin == KeyOrigin::External && self.materials.waiting().is_none() {
            self.rotation_requested = None;
        }
    }

    /// Makes the material that waited the current one.
    pub(super) fn rotate_to_waiting(&mut self, rotation: Rotation) {
        self.materials.rotate_to_waiting(rotation);
        self.rotation_requested = None;
    }
}

impl KeyOrigin {
    /// AWS's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS_KMS",
            Self::External => "EXTERNAL",
        }
    }
}

impl Status {
    /// AWS's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
            Self::PendingImport => "PendingImport",
        }
    }
}
