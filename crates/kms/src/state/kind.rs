//! What kind of key a key is: the checks that a call fits it, and the ways to its secret and its public key.
//!
//! An operation checks usage before algorithm, as AWS does, and both after the key's state.

use std::sync::Arc;

use keytrail_auth::Authorized;
use serde::{Deserialize, Serialize};

use super::{Key, KeyMaterial};
use crate::algorithms::{
    EncryptionAlgorithm, KeySpec, KeyUsage, MacAlgorithm, PublicKey, SecretKey, SigningAlgorithm,
};
use crate::error::{ErrorCode, Refusal};
use crate::material::WrappedMaterial;
use crate::material_keys::MaterialKeys;

/// Who makes, manages and deletes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum KeyManager {
    /// The account.
    #[default]
    Customer,
    /// A service; what it and the account may do is in the key's policy (`aws_managed`).
    Aws,
}

impl KeyManager {
    /// AWS's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Aws => "AWS",
        }
    }
}

impl Key {
    /// Whether its ciphertexts are blobs that name their key and have an encryption context.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.kind.spec() == KeySpec::SymmetricDefault
    }

    /// Refuses unless the key is for this; `operation` is what it is refused to.
    pub(crate) fn check_usage(&self, usage: KeyUsage, operation: &str) -> Result<(), Refusal> {
        if self.kind.usage() == usage {
            return Ok(());
        }
        let (arn, actual) = (&self.arn, self.kind.usage().as_str());
        let text = format!("{arn} key usage is {actual} which is not valid for {operation}.");
        Err(Refusal::new(ErrorCode::InvalidKeyUsageException, text))
    }

    /// Refuses an algorithm that keys of this spec do not encrypt with.
    pub(crate) fn check_encrypts(&self, algorithm: EncryptionAlgorithm) -> Result<(), Refusal> {
        let known = self.kind.spec().encryption_algorithms().contains(&algorithm);
        self.check_algorithm(known, algorithm.as_str())
    }

    /// Refuses an algorithm that keys of this spec do not sign with.
    pub(crate) fn check_signs(&self, algorithm: SigningAlgorithm) -> Result<(), Refusal> {
        let known = self.kind.spec().signing_algorithms().contains(&algorithm);
        self.check_algorithm(known, algorithm.as_str())
    }

    /// Refuses an algorithm that keys of this spec do not authenticate with.
    pub(crate) fn check_authenticates(&self, algorithm: MacAlgorithm) -> Result<(), Refusal> {
        let known = self.kind.spec().mac_algorithms().contains(&algorithm);
        self.check_algorithm(known, algorithm.as_str())
    }

    fn check_algorithm(&self, known: bool, name: &str) -> Result<(), Refusal> {
        if known {
            return Ok(());
        }
        let spec = self.kind.spec().as_str();
        let text = format!("Algorithm {name} is incompatible with key spec {spec}.");
        Err(Refusal::new(ErrorCode::InvalidKeyUsageException, text))
    }

    /// Refuses unless the key can be rotated: only symmetric keys can, because only their ciphertexts name a material.
    pub(crate) fn check_rotates(&self) -> Result<(), Refusal> {
        if self.is_symmetric() {
            Ok(())
        } else {
            Err(Refusal::bare(ErrorCode::UnsupportedOperationException))
        }
    }

    /// Opens the secret of a key that is not symmetric, for a caller who may use *this* key: the token says which one it
    /// was decided for.
    pub(crate) fn secret_key(
        &self,
        authorized: &Authorized,
        keys: &MaterialKeys,
    ) -> Result<Arc<SecretKey>, Refusal> {
        if self.is_symmetric() || authorized.resource() != self.arn.as_str() {
            return Err(Refusal::internal());
        }
        let material = self.materials.current().and_then(KeyMaterial::wrapped);
        material
            .and_then(|material| material.unwrap_secret_key(self.kind.spec(), self.id(), keys).ok())
            .ok_or_else(Refusal::internal)
    }

    /// The public key of an asymmetric key.
    pub(crate) fn public_key(&self) -> Option<PublicKey<'_>> {
        let material = self.materials.current().and_then(KeyMaterial::wrapped);
        let spki = material.and_then(WrappedMaterial::public_key);
        spki.map(|spki| PublicKey { spec: self.kind.spec(), spki })
    }
}
