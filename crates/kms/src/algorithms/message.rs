//! What is signed: a message, its digest, or the μ of ML-DSA; of a type and length that fit the algorithm.

use super::ml_dsa::MU_LEN;
use super::spec::{KeySpec, SigningAlgorithm};
use crate::error::Refusal;
use crate::input::Word;

/// `MessageType` of Sign and Verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MessageType {
    #[default]
    Raw,
    Digest,
    ExternalMu,
}

impl MessageType {
    /// AWS's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "RAW",
            Self::Digest => "DIGEST",
            Self::ExternalMu => "EXTERNAL_MU",
        }
    }
}

impl Word for MessageType {
    const ALL: &'static [Self] = &[Self::Raw, Self::Digest, Self::ExternalMu];

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// A message for one algorithm. It may be as secret as a plaintext, so it has no `Debug`.
pub(crate) enum Message<'a> {
    /// To be hashed as the algorithm does.
    Raw(&'a [u8]),
    /// Hashed already, with the algorithm's hash.
    Digest(&'a [u8]),
    /// Hashed already, together with the public key.
    ExternalMu(&'a [u8; MU_LEN]),
}

impl<'a> Message<'a> {
    /// Refuses a type that the algorithm does not take, and a digest of another length than the algorithm's.
    pub(crate) fn new(
        kind: MessageType,
        spec: KeySpec,
        algorithm: SigningAlgorithm,
        bytes: &'a [u8],
    ) -> Result<Self, Refusal> {
        use MessageType::{Digest, ExternalMu, Raw};
        let wrong_length = || {
            let name = algorithm.as_str();
            Refusal::validation(format!("Digest is invalid length for algorithm {name}."))
        };
        let incompatible = |with: &str| {
            let name = kind.as_str();
            Err(Refusal::validation(format!("Message type {name} is incompatible with {with}.")))
        };
        match (kind, algorithm) {
            (Digest, SigningAlgorithm::Ed25519) | (Raw, SigningAlgorithm::Ed25519ph) => {
                incompatible(&format!("algorithm {}", algorithm.as_str()))
            }
            (Raw, _) => Ok(Self::Raw(bytes)),
            (ExternalMu, SigningAlgorithm::MlDsa) => {
                bytes.try_into().map(Self::ExternalMu).map_err(|_| wrong_length())
            }
            (Digest, SigningAlgorithm::MlDsa) | (ExternalMu, _) => {
                incompatible(&format!("key spec {}", spec.as_str()))
            }
            (Digest, _) if bytes.len() == digest_len(algorithm) => Ok(Self::Digest(bytes)),
            (Digest, _) => Err(wrong_length()),
        }
    }
}

/// Bytes of the hash that an algorithm's digests are made with.
const fn digest_len(algorithm: SigningAlgorithm) -> usize {
    match algorithm {
        SigningAlgorithm::PssSha384
        | SigningAlgorithm::Pkcs1Sha384
        | SigningAlgorithm::EcdsaSha384 => 48,
        SigningAlgorithm::PssSha512
        | SigningAlgorithm::Pkcs1Sha512
        | SigningAlgorithm::EcdsaSha512
        | SigningAlgorithm::Ed25519
        | SigningAlgorithm::Ed25519ph
        | SigningAlgorithm::MlDsa => 64,
        SigningAlgorithm::PssSha256
        | SigningAlgorithm::Pkcs1Sha256
        | SigningAlgorithm::EcdsaSha256
        | SigningAlgorithm::Sm2 => 32,
    }
}
