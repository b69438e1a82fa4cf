//! The kinds of keys: which spec goes with which usage, and which algorithms a key of a kind has
//! ([key spec reference](https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html)).
//!
//! ```text
//! spec                     usage                 algorithms
//! SYMMETRIC_DEFAULT        ENCRYPT_DECRYPT       SYMMETRIC_DEFAULT
//! RSA_2048/3072/4096       ENCRYPT_DECRYPT       RSAES_OAEP_SHA_1, _SHA_256
//!                          SIGN_VERIFY           RSASSA_PKCS1_V1_5 and RSASSA_PSS, each with _SHA_256, _384, _512
//! ECC_NIST_P256/P384/P521  SIGN_VERIFY           ECDSA_SHA_256 / _384 / _512, one for each curve
//!                          KEY_AGREEMENT         ECDH
//! ECC_SECG_P256K1          SIGN_VERIFY           ECDSA_SHA_256
//! ECC_NIST_EDWARDS25519    SIGN_VERIFY           ED25519_SHA_512, ED25519_PH_SHA_512
//! ML_DSA_44/65/87          SIGN_VERIFY           ML_DSA_SHAKE_256
//! HMAC_224/256/384/512     GENERATE_VERIFY_MAC   HMAC_SHA_224 / _256 / _384 / _512, one for each spec
//! ```
//!
//! SM2 exists in AWS's China regions only; its names are read, so that they are refused as what they are.

use serde::{Deserialize, Serialize};

use crate::input::Word;

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KeySpec {
    #[default]
    SymmetricDefault,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    Secp256k1,
    Ed25519,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    Hmac224,
    Hmac256,
    Hmac384,
    Hmac512,
}

impl KeySpec {
    /// All of them.
    pub(crate) const ALL: [Self; 16] = [
        Self::SymmetricDefault,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Secp256k1,
        Self::Ed25519,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
        Self::Hmac224,
        Self::Hmac256,
        Self::Hmac384,
        Self::Hmac512,
    ];

    /// AWS's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::P256 => "ECC_NIST_P256",
            Self::P384 => "ECC_NIST_P384",
            Self::P521 => "ECC_NIST_P521",
            Self::Secp256k1 => "ECC_SECG_P256K1",
            Self::Ed25519 => "ECC_NIST_EDWARDS25519",
            Self::MlDsa44 => "ML_DSA_44",
            Self::MlDsa65 => "ML_DSA_65",
            Self::MlDsa87 => "ML_DSA_87",
            Self::Hmac224 => "HMAC_224",
            Self::Hmac256 => "HMAC_256",
            Self::Hmac384 => "HMAC_384",
            Self::Hmac512 => "HMAC_512",
        }
    }

    /// The spec of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spec| spec.as_str() == name)
    }

    /// What keys of this spec can be used for; the first is what a key is for if it is not said, where that is allowed.
    const fn usages(self) -> &'static [KeyUsage] {
        match self {
            Self::SymmetricDefault => &[KeyUsage::EncryptDecrypt],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &[KeyUsage::EncryptDecrypt, KeyUsage::SignVerify]
            }
            Self::P256 | Self::P384 | Self::P521 => &[KeyUsage::SignVerify, KeyUsage::KeyAgreement],
            Self::Secp256k1 | Self::Ed25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => {
                &[KeyUsage::SignVerify]
            }
            Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => {
                &[KeyUsage::GenerateVerifyMac]
            }
        }
    }

    /// The algorithms that encrypt with keys of this spec.
    pub(crate) const fn encryption_algorithms(self) -> &'static [EncryptionAlgorithm] {
        match self {
            Self::SymmetricDefault => &[EncryptionAlgorithm::SymmetricDefault],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &[EncryptionAlgorithm::OaepSha1, EncryptionAlgorithm::OaepSha256]
            }
            _ => &[],
        }
    }

    /// The algorithms that sign with keys of this spec, in the order in which AWS lists them.
    pub(crate) const fn signing_algorithms(self) -> &'static [SigningAlgorithm] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                SigningAlgorithm::Pkcs1Sha256,
                SigningAlgorithm::Pkcs1Sha384,
                SigningAlgorithm::Pkcs1Sha512,
                SigningAlgorithm::PssSha256,
                SigningAlgorithm::PssSha384,
                SigningAlgorithm::PssSha512,
            ],
            Self::P256 | Self::Secp256k1 => &[SigningAlgorithm::EcdsaSha256],
            Self::P384 => &[SigningAlgorithm::EcdsaSha384],
            Self::P521 => &[SigningAlgorithm::EcdsaSha512],
            Self::Ed25519 => &[SigningAlgorithm::Ed25519, SigningAlgorithm::Ed25519ph],
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => &[SigningAlgorithm::MlDsa],
            _ => &[],
        }
    }

    /// The algorithm that authenticates with keys of this spec.
    pub(crate) const fn mac_algorithms(self) -> &'static [MacAlgorithm] {
        match self {
            Self::Hmac224 => &[MacAlgorithm::HmacSha224],
            Self::Hmac256 => &[MacAlgorithm::HmacSha256],
            Self::Hmac384 => &[MacAlgorithm::HmacSha384],
            Self::Hmac512 => &[MacAlgorithm::HmacSha512],
            _ => &[],
        }
    }

    /// Whether making such a key takes long: two primes have to be found.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// What a key is for. A key has one usage for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KeyUsage {
    #[default]
    EncryptDecrypt,
    SignVerify,
    GenerateVerifyMac,
    KeyAgreement,
}

impl KeyUsage {
    /// AWS's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::EncryptDecrypt => "ENCRYPT_DECRYPT",
            Self::SignVerify => "SIGN_VERIFY",
            Self::GenerateVerifyMac => "GENERATE_VERIFY_MAC",
            Self::KeyAgreement => "KEY_AGREEMENT",
        }
    }

    /// The usage of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|usage| usage.as_str() == name)
    }
}

impl Word for KeyUsage {
    const ALL: &'static [Self] =
        &[Self::SignVerify, Self::EncryptDecrypt, Self::GenerateVerifyMac, Self::KeyAgreement];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// A spec with a usage that goes with it. The default is a symmetric key, which is also what a key is that was written
/// into a ledger before there were others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "KindText", into = "KindText")]
pub(crate) struct KeyKind {
    spec: KeySpec,
    usage: KeyUsage,
}

impl KeyKind {
    /// The two together, if they go together.
    pub(crate) fn new(spec: KeySpec, usage: KeyUsage) -> Option<Self> {
        spec.usages().contains(&usage).then_some(Self { spec, usage })
    }

    pub(crate) const fn spec(self) -> KeySpec {
        self.spec
    }

    pub(crate) const fn usage(self) -> KeyUsage {
        self.usage
    }

    /// The list that `KeyMetadata` and `GetPublicKey` show, by its member's name.
    pub(crate) fn algorithms(self) -> (&'static str, Vec<&'static str>) {
        match self.usage {
            KeyUsage::EncryptDecrypt => (
                "EncryptionAlgorithms",
                self.spec.encryption_algorithms().iter().map(|name| name.as_str()).collect(),
            ),
            KeyUsage::SignVerify => (
                "SigningAlgorithms",
                self.spec.signing_algorithms().iter().map(|name| name.as_str()).collect(),
            ),
            KeyUsage::GenerateVerifyMac => (
                "MacAlgorithms",
                self.spec.mac_algorithms().iter().map(|name| name.as_str()).collect(),
            ),
            KeyUsage::KeyAgreement => {
                ("KeyAgreementAlgorithms", vec![KeyAgreementAlgorithm::Ecdh.as_str()])
            }
        }
    }
}

/// A kind as it is stored: AWS's names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindText {
    spec: String,
    usage: String,
}

impl From<KeyKind> for KindText {
    fn from(kind: KeyKind) -> Self {
        Self { spec: kind.spec.as_str().to_owned(), usage: kind.usage.as_str().to_owned() }
    }
}

impl TryFrom<KindText> for KeyKind {
    type Error = &'static str;

    fn try_from(text: KindText) -> Result<Self, Self::Error> {
        let spec = KeySpec::parse(&text.spec).ok_or("an unknown key spec")?;
        let usage = KeyUsage::parse(&text.usage).ok_or("an unknown key usage")?;
        Self::new(spec, usage).ok_or("a key usage that the key spec does not have")
    }
}

/// How Encrypt and Decrypt encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EncryptionAlgorithm {
    #[default]
    SymmetricDefault,
    OaepSha1,
    OaepSha256,
    Sm2,
}

impl EncryptionAlgorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::OaepSha1 => "RSAES_OAEP_SHA_1",
            Self::OaepSha256 => "RSAES_OAEP_SHA_256",
            Self::Sm2 => "SM2PKE",
        }
    }
}

impl Word for EncryptionAlgorithm {
    const ALL: &'static [Self] =
        &[Self::OaepSha1, Self::OaepSha256, Self::Sm2, Self::SymmetricDefault];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// How Sign signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SigningAlgorithm {
    PssSha256,
    PssSha384,
    PssSha512,
    Pkcs1Sha256,
    Pkcs1Sha384,
    Pkcs1Sha512,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    Ed25519,
    Ed25519ph,
    Sm2,
    MlDsa,
}

impl SigningAlgorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PssSha256 => "RSASSA_PSS_SHA_256",
            Self::PssSha384 => "RSASSA_PSS_SHA_384",
            Self::PssSha512 => "RSASSA_PSS_SHA_512",
            Self::Pkcs1Sha256 => "RSASSA_PKCS1_V1_5_SHA_256",
            Self::Pkcs1Sha384 => "RSASSA_PKCS1_V1_5_SHA_384",
            Self::Pkcs1Sha512 => "RSASSA_PKCS1_V1_5_SHA_512",
            Self::EcdsaSha256 => "ECDSA_SHA_256",
            Self::EcdsaSha384 => "ECDSA_SHA_384",
            Self::EcdsaSha512 => "ECDSA_SHA_512",
            Self::Ed25519 => "ED25519_SHA_512",
            Self::Ed25519ph => "ED25519_PH_SHA_512",
            Self::Sm2 => "SM2DSA",
            Self::MlDsa => "ML_DSA_SHAKE_256",
        }
    }
}

impl Word for SigningAlgorithm {
    const ALL: &'static [Self] = &[
        Self::PssSha256,
        Self::PssSha384,
        Self::PssSha512,
        Self::Pkcs1Sha256,
        Self::Pkcs1Sha384,
        Self::Pkcs1Sha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Ed25519,
        Self::Ed25519ph,
        Self::Sm2,
        Self::MlDsa,
    ];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// How `GenerateMac` authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacAlgorithm {
    HmacSha224,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl MacAlgorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha224 => "HMAC_SHA_224",
            Self::HmacSha256 => "HMAC_SHA_256",
            Self::HmacSha384 => "HMAC_SHA_384",
            Self::HmacSha512 => "HMAC_SHA_512",
        }
    }
}

impl Word for MacAlgorithm {
    const ALL: &'static [Self] =
        &[Self::HmacSha224, Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// How `DeriveSharedSecret` agrees; there is one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAgreementAlgorithm {
    Ecdh,
}

impl KeyAgreementAlgorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ecdh => "ECDH",
        }
    }
}

impl Word for KeyAgreementAlgorithm {
    const ALL: &'static [Self] = &[Self::Ecdh];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// All kinds there are.
    fn kinds() -> impl Iterator<Item = KeyKind> {
        KeySpec::ALL.into_iter().flat_map(|spec| {
            KeyUsage::ALL.iter().filter_map(move |usage| KeyKind::new(spec, *usage))
        })
    }

    #[test]
    fn there_are_22_kinds_and_each_has_algorithms() {
        assert_eq!(kinds().count(), 22);
        assert!(kinds().all(|kind| !kind.algorithms().1.is_empty()));
    }

    #[test]
    fn names_are_distinct_and_parse_back() {
        for spec in KeySpec::ALL {
            assert_eq!(KeySpec::parse(spec.as_str()), Some(spec));
        }
        for usage in KeyUsage::ALL {
            assert_eq!(KeyUsage::parse(usage.as_str()), Some(*usage));
        }
        assert_eq!(KeySpec::parse("SM2"), None);
    }

    #[test]
    fn kinds_are_stored_by_name_and_only_real_ones_are_read() {
        for kind in kinds() {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<KeyKind>(&text).unwrap(), kind);
        }
        let stored = r#"{"spec":"SYMMETRIC_DEFAULT","usage":"ENCRYPT_DECRYPT"}"#;
        assert_eq!(serde_json::from_str::<KeyKind>(stored).unwrap(), KeyKind::default());
        for wrong in [
            r#"{"spec":"HMAC_224","usage":"SIGN_VERIFY"}"#,
            r#"{"spec":"SM2","usage":"SIGN_VERIFY"}"#,
        ] {
            assert!(serde_json::from_str::<KeyKind>(wrong).is_err());
        }
    }

    #[test]
    fn the_module_draws_every_spec_and_algorithm() {
        let (drawn, _) = include_str!("spec.rs").split_once("use serde").unwrap();
        for spec in KeySpec::ALL {
            // Specs of a family share a line: the last part of a name is enough.
            assert!(drawn.contains(spec.as_str().rsplit('_').next().unwrap()), "{spec:?}");
        }
        for kind in kinds() {
            let (_, algorithms) = kind.algorithms();
            let drawn_all = algorithms.iter().all(|name| {
                drawn.contains(name) || drawn.contains(name.split("_SHA").next().unwrap())
            });
            assert!(drawn_all && drawn.contains(kind.usage().as_str()), "{kind:?}");
        }
    }
}
