//! The algorithms of all keys but symmetric ones, whose own is the ciphertext `blob`.
//!
//! [`SecretKey`] is what is sealed as a key's material, and signs, decrypts, agrees and authenticates; [`PublicKey`] lies
//! beside it in the clear, so that verifying and encrypting open no secret. What a key may be used for is decided before
//! (`spec` has the table, `state` the checks): a call that does not fit its key ends in [`NotMade`], never in a result.
//!
//! Left to the libraries: constant time, encodings, randomness of AWS-LC where it takes no other (each module says so).

mod ec;
mod ed25519;
mod import;
mod mac;
mod message;
mod ml_dsa;
mod rsa;
mod spec;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod wycheproof;

use std::sync::OnceLock;

use aws_lc_rs::signature::EcdsaKeyPair;
use keytrail_ledger::Random;
use zeroize::Zeroizing;

pub(crate) use ec::NotAPeer;
pub(crate) use message::{Message, MessageType};
pub(crate) use spec::{
    EncryptionAlgorithm, KeyAgreementAlgorithm, KeyKind, KeySpec, KeyUsage, MacAlgorithm,
    SigningAlgorithm,
};

/// Bytes of the seed that an Ed25519 or ML-DSA key is.
const SEED_LEN: usize = 32;

/// `SubjectPublicKeyInfo` in DER (RFC 5280): how AWS shows public keys.
pub(crate) type Spki = Vec<u8>;

/// The library refused, or the key does not have the algorithm: our bug, because both were checked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotMade;

/// The secret of an asymmetric or HMAC key. It has neither `Debug` nor `Clone`, and is wiped when dropped.
///
/// ```text
/// RSA, NIST curves, secp256k1   PKCS#8 (RFC 5208)
/// Ed25519, ML-DSA               the seed, 32 bytes
/// HMAC                          the key
/// ```
pub(crate) struct SecretKey {
    spec: KeySpec,
    bytes: Zeroizing<Vec<u8>>,
    /// The library's own form of an elliptic curve's key, from its first signature on: it is checked when it is read, which
    /// takes 8 µs for P-256 where a signature takes 11. The library wipes it when it is dropped.
    pair: OnceLock<EcdsaKeyPair>,
}

impl SecretKey {
    /// A new key. Takes long if [`KeySpec::is_slow`] says so.
    pub(crate) fn generate(spec: KeySpec, random: &dyn Random) -> Result<Self, NotMade> {
        let bytes = match spec {
            KeySpec::SymmetricDefault => return Err(NotMade),
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => rsa::generate(spec)?,
            KeySpec::P256 | KeySpec::P384 | KeySpec::P521 | KeySpec::Secp256k1 => {
                ec::generate(spec, random)?
            }
            KeySpec::Ed25519 | KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                random_bytes(SEED_LEN, random)
            }
            KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
                random_bytes(mac::key_len(spec), random)
            }
        };
        Ok(Self::from_bytes(spec, bytes))
    }

    /// A key from the bytes that [`Self::bytes`] gave.
    pub(crate) fn from_bytes(spec: KeySpec, bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { spec, bytes, pair: OnceLock::new() }
    }

    /// For `material`, which seals them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The public key; `None` of an HMAC key. Fails if the bytes are not those of a key of this spec.
    pub(crate) fn public_key(&self) -> Result<Option<Spki>, NotMade> {
        let (spec, bytes) = (self.spec, &self.bytes);
        match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => rsa::public_key(spec, bytes),
            KeySpec::P256 | KeySpec::P384 | KeySpec::P521 | KeySpec::Secp256k1 => {
                ec::public_key(spec, bytes)
            }
            KeySpec::Ed25519 => ed25519::public_key(bytes),
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                ml_dsa::public_key(spec, bytes)
            }
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// The private key in PKCS#8 as a data key pair shows it.
    pub(crate) fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        match self.spec {
            KeySpec::Ed25519 => ed25519::to_pkcs8(&self.bytes),
            _ => self.bytes.clone(),
        }
    }

    /// Signs a message that was made for this algorithm.
    pub(crate) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &Message<'_>,
        random: &dyn Random,
    ) -> Result<Vec<u8>, NotMade> {
        match algorithm {
            SigningAlgorithm::EcdsaSha256
            | SigningAlgorithm::EcdsaSha384
            | SigningAlgorithm::EcdsaSha512 => ec::sign(self.spec, self.pair()?, message),
            SigningAlgorithm::Ed25519 | SigningAlgorithm::Ed25519ph => {
                ed25519::sign(&self.bytes, algorithm, message)
            }
            SigningAlgorithm::MlDsa => ml_dsa::sign(self.spec, &self.bytes, message, random),
            SigningAlgorithm::Sm2 => Err(NotMade),
            _ => rsa::sign(&self.bytes, algorithm, message),
        }
    }

    /// An elliptic curve's key as its library signs with it.
    fn pair(&self) -> Result<&EcdsaKeyPair, NotMade> {
        if let Some(pair) = self.pair.get() {
            return Ok(pair);
        }
        let pair = ec::read(self.spec, &self.bytes)?;
        Ok(self.pair.get_or_init(|| pair))
    }

    /// The MAC of a message.
    pub(crate) fn generate_mac(&self, algorithm: MacAlgorithm, message: &[u8]) -> Vec<u8> {
        mac::generate(algorithm, &self.bytes, message)
    }

    /// Whether it is the MAC of the message.
    pub(crate) fn verify_mac(&self, algorithm: MacAlgorithm, message: &[u8], tag: &[u8]) -> bool {
        mac::verify(algorithm, &self.bytes, message, tag)
    }

    /// The plaintext; `None` if the ciphertext is not one of this key and algorithm.
    pub(crate) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        rsa::decrypt(&self.bytes, algorithm, ciphertext)
    }

    /// The secret that is shared with the owner of `peer`.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAPeer> {
        ec::agree(self.spec, &self.bytes, peer)
    }
}

/// A public key as it lies beside the sealed secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicKey<'a> {
    pub(crate) spec: KeySpec,
    pub(crate) spki: &'a [u8],
}

impl PublicKey<'_> {
    /// Whether it is a signature of the message. A malformed one is none.
    pub(crate) fn verify(
        self,
        algorithm: SigningAlgorithm,
        message: &Message<'_>,
        signature: &[u8],
    ) -> bool {
        match algorithm {
            SigningAlgorithm::EcdsaSha256
            | SigningAlgorithm::EcdsaSha384
            | SigningAlgorithm::EcdsaSha512 => ec::verify(self.spec, self.spki, message, signature),
            SigningAlgorithm::Ed25519 | SigningAlgorithm::Ed25519ph => {
                ed25519::verify(self.spki, algorithm, message, signature)
            }
            SigningAlgorithm::MlDsa => ml_dsa::verify(self.spec, self.spki, message, signature),
            SigningAlgorithm::Sm2 => false,
            _ => rsa::verify(self.spki, algorithm, message, signature),
        }
    }

    /// The longest plaintext that [`Self::encrypt`] takes.
    pub(crate) fn plaintext_len_max(self, algorithm: EncryptionAlgorithm) -> usize {
        rsa::plaintext_len_max(self.spec, algorithm)
    }

    /// Encrypts at most [`Self::plaintext_len_max`] bytes.
    pub(crate) fn encrypt(
        self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, NotMade> {
        rsa::encrypt(self.spki, algorithm, plaintext)
    }
}

fn random_bytes(length: usize, random: &dyn Random) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    random.fill(&mut bytes);
    bytes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
    use keytrail_testkit::SeededRandom;

    #[test]
    fn the_schema_draws_the_same_secrets() {
        let (schema, module) =
            (include_str!("../../../../schemas/sealed-state.md"), include_str!("mod.rs"));
        for line in [
            "RSA, NIST curves, secp256k1   PKCS#8 (RFC 5208)\n",
            "Ed25519, ML-DSA               the seed, 32 bytes\n",
            "HMAC                          the key\n",
        ] {
            assert!(schema.contains(line) && module.contains(&format!("/// {line}")), "{line}");
        }
        for spec in KeySpec::ALL {
            let Ok(key) = SecretKey::generate(spec, &SeededRandom::new(1)) else {
                assert_eq!(spec, KeySpec::SymmetricDefault);
                continue;
            };
            match spec {
                KeySpec::Ed25519 | KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                    assert_eq!(key.bytes().len(), 32);
                }
                KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
                    assert!(key.public_key().unwrap().is_none());
                }
                _ => assert!(key.bytes().starts_with(&[0x30])),
            }
        }
    }

    /// All keys but RSA's come from the engine's randomness, which a test can give.
    #[test]
    fn the_same_randomness_makes_the_same_key() {
        for spec in KeySpec::ALL.into_iter().filter(|spec| !spec.is_slow()) {
            let make = |seed| SecretKey::generate(spec, &SeededRandom::new(seed)).ok();
            let [one, same, other] = [make(1), make(1), make(2)];
            let bytes = |key: &Option<SecretKey>| key.as_ref().map(|key| key.bytes().to_vec());
            assert_eq!(bytes(&one), bytes(&same));
            assert!(one.is_none() || bytes(&one) != bytes(&other));
        }
    }

    /// Another library reads the PKCS#8 and the SPKI that this one draws by hand, and takes its signatures.
    #[test]
    fn ed25519_keys_are_read_elsewhere() {
        let key = SecretKey::generate(KeySpec::Ed25519, &SeededRandom::new(1)).ok().unwrap();
        let spki = key.public_key().ok().flatten().unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.to_pkcs8()).unwrap();
        assert!(spki.ends_with(pair.public_key().as_ref()));
        let algorithm = SigningAlgorithm::Ed25519;
        let signature =
            key.sign(algorithm, &Message::Raw(b"message"), &SeededRandom::new(2)).ok().unwrap();
        assert_eq!(signature, pair.sign(b"message").as_ref());
        let elsewhere = UnparsedPublicKey::new(&signature::ED25519, &spki);
        elsewhere.verify(b"message", &signature).unwrap();
    }

    #[test]
    fn bytes_of_another_spec_are_no_key() {
        let random = SeededRandom::new(1);
        for (made, read) in [
            (KeySpec::P256, KeySpec::P384),
            (KeySpec::P256, KeySpec::Secp256k1),
            (KeySpec::P521, KeySpec::Rsa2048),
            (KeySpec::Rsa2048, KeySpec::Rsa3072),
            (KeySpec::Rsa2048, KeySpec::P256),
            (KeySpec::Hmac512, KeySpec::Ed25519),
            (KeySpec::Hmac512, KeySpec::MlDsa44),
        ] {
            let key = SecretKey::generate(made, &random).ok().unwrap();
            let key = SecretKey::from_bytes(read, Zeroizing::new(key.bytes().to_vec()));
            assert_eq!(key.public_key(), Err(NotMade), "{made:?} as {read:?}");
        }
    }
}
