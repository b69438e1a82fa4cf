//! `KeySpec`, `CustomerMasterKeySpec` and `KeyUsage` as `CreateKey` gets them.

use crate::algorithms::{KeyKind, KeySpec, KeyUsage};
use crate::error::{ErrorCode, Refusal};
use crate::input::Input;

/// All specs that the API knows, in its order. SM2 is among them, and nowhere else here.
const SPECS: &[&str] = &[
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
];

/// What a request says about the kind of its key. Whether that makes a kind is asked only when all parameters are read.
pub(super) struct SentKind {
    spec: &'static str,
    usage: Option<KeyUsage>,
}

impl SentKind {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, Refusal> {
        if input.has("KeySpec") && input.has("CustomerMasterKeySpec") {
            return Err(Refusal::validation(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is \
                 deprecated.",
            ));
        }
        let specs = [input.choice("KeySpec", SPECS), input.choice("CustomerMasterKeySpec", SPECS)];
        let spec = specs.into_iter().flatten().next();
        let spec = spec.unwrap_or(KeySpec::SymmetricDefault.as_str());
        Ok(Self { spec, usage: input.optional_word("KeyUsage") })
    }

    /// The kind. Only a symmetric key has a usage by default.
    pub(super) fn check(&self) -> Result<KeyKind, Refusal> {
        let Some(spec) = KeySpec::parse(self.spec) else { return Err(not_here(self.spec)) };
        let usage = match (self.usage, spec) {
            (Some(usage), _) => usage,
            (None, KeySpec::SymmetricDefault) => KeyUsage::EncryptDecrypt,
            (None, _) => {
                return Err(Refusal::validation(
                    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
                ));
            }
        };
        KeyKind::new(spec, usage).ok_or_else(|| {
            let (usage, spec) = (usage.as_str(), spec.as_str());
            Refusal::validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}"))
        })
    }
}

/// The refusal of a spec that exists in AWS's China regions only.
pub(super) fn not_here(spec: &str) -> Refusal {
    let text = format!("{spec} is not supported: it exists in the China Regions only.");
    Refusal::new(ErrorCode::UnsupportedOperationException, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_can_be_asked_for() {
        assert!(KeySpec::ALL.into_iter().all(|spec| SPECS.contains(&spec.as_str())));
        assert_eq!(SPECS.len(), KeySpec::ALL.len() + 1);
    }
}
