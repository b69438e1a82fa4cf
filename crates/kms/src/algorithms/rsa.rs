//! RSA by AWS-LC: RSASSA-PSS, RSASSA-PKCS1-v1_5 and RSAES-OAEP (RFC 8017) with moduli of 2048, 3072 and 4096 bits.
//!
//! PSS salts are as long as the hash; OAEP's mask generation uses the same hash as its label, which is empty. Both is how
//! AWS does it. A modulus takes 0.1 to some seconds to find; keys are therefore made outside the state's lock (`ops`).
//! Primes, salts and paddings come from AWS-LC's own generator, which the operating system seeds: the library takes no
//! other.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    self, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{self, KeyPair, RsaEncoding, RsaParameters, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::message::Message;
use super::spec::{EncryptionAlgorithm, KeySpec, SigningAlgorithm};
use super::{NotMade, Spki};

/// Bytes of the modulus, which are also those of a signature and a ciphertext.
pub(super) const fn modulus_len(spec: KeySpec) -> usize {
    match spec {
        KeySpec::Rsa3072 => 384,
        KeySpec::Rsa4096 => 512,
        _ => 256,
    }
}

/// The longest plaintext: the modulus less two hashes and two bytes (RFC 8017 §7.1.1).
pub(super) const fn plaintext_len_max(spec: KeySpec, algorithm: EncryptionAlgorithm) -> usize {
    let hash = match algorithm {
        EncryptionAlgorithm::OaepSha1 => 20,
        _ => 32,
    };
    modulus_len(spec) - 2 * hash - 2
}

/// A new private key in PKCS#8.
pub(super) fn generate(spec: KeySpec) -> Result<Zeroizing<Vec<u8>>, NotMade> {
    let size = match spec {
        KeySpec::Rsa2048 => KeySize::Rsa2048,
        KeySpec::Rsa3072 => KeySize::Rsa3072,
        KeySpec::Rsa4096 => KeySize::Rsa4096,
        _ => return Err(NotMade),
    };
    let pair = rsa::KeyPair::generate(size).map_err(|_| NotMade)?;
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| NotMade)?;
    Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
}

/// The public key of a private key, which must have the spec's size.
pub(super) fn public_key(spec: KeySpec, pkcs8: &[u8]) -> Result<Spki, NotMade> {
    let pair = rsa::KeyPair::from_pkcs8(pkcs8).map_err(|_| NotMade)?;
    if pair.public_modulus_len() != modulus_len(spec) {
        return Err(NotMade);
    }
    Ok(pair.public_key().as_der().map_err(|_| NotMade)?.as_ref().to_vec())
}

/// What the library needs to know about a signing algorithm.
struct Scheme {
    encoding: &'static dyn RsaEncoding,
    parameters: &'static RsaParameters,
    digest: &'static digest::Algorithm,
}

impl Scheme {
    fn of(algorithm: SigningAlgorithm) -> Option<Self> {
        let (encoding, parameters, digest): (&'static dyn RsaEncoding, _, _) = match algorithm {
            SigningAlgorithm::PssSha256 => {
                (&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256, &digest::SHA256)
            }
            SigningAlgorithm::PssSha384 => {
                (&signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384, &digest::SHA384)
            }
            SigningAlgorithm::PssSha512 => {
                (&signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512, &digest::SHA512)
            }
            SigningAlgorithm::Pkcs1Sha256 => (
                &signature::RSA_PKCS1_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA256,
                &digest::SHA256,
            ),
            SigningAlgorithm::Pkcs1Sha384 => (
                &signature::RSA_PKCS1_SHA384,
                &signature::RSA_PKCS1_2048_8192_SHA384,
                &digest::SHA384,
            ),
            SigningAlgorithm::Pkcs1Sha512 => (
                &signature::RSA_PKCS1_SHA512,
                &signature::RSA_PKCS1_2048_8192_SHA512,
                &digest::SHA512,
            ),
            _ => return None,
        };
        Some(Self { encoding, parameters, digest })
    }
}

/// A signature, as long as the modulus.
pub(super) fn sign(
    pkcs8: &[u8],
    algorithm: SigningAlgorithm,
    message: &Message<'_>,
) -> Result<Vec<u8>, NotMade> {
    let scheme = Scheme::of(algorithm).ok_or(NotMade)?;
    let pair = rsa::KeyPair::from_pkcs8(pkcs8).map_err(|_| NotMade)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    let signed = match message {
        // The library ignores the generator that it is given, and takes its own.
        Message::Raw(message) => {
            pair.sign(scheme.encoding, &SystemRandom::new(), message, &mut signature)
        }
        Message::Digest(bytes) => Digest::import_less_safe(bytes, scheme.digest)
            .and_then(|digest| pair.sign_digest(scheme.encoding, &digest, &mut signature)),
        Message::ExternalMu(_) => return Err(NotMade),
    };
    signed.map(|()| signature).map_err(|_| NotMade)
}

/// Whether it is a signature of the message.
pub(super) fn verify(
    spki: &[u8],
    algorithm: SigningAlgorithm,
    message: &Message<'_>,
    signature: &[u8],
) -> bool {
    let Some(scheme) = Scheme::of(algorithm) else { return false };
    let key = UnparsedPublicKey::new(scheme.parameters, spki);
    let verified = match message {
        Message::Raw(message) => key.verify(message, signature),
        Message::Digest(bytes) => Digest::import_less_safe(bytes, scheme.digest)
            .and_then(|digest| key.verify_digest(&digest, signature)),
        Message::ExternalMu(_) => return false,
    };
    verified.is_ok()
}

/// Encrypts at most [`plaintext_len_max`] bytes.
pub(super) fn encrypt(
    spki: &[u8],
    algorithm: EncryptionAlgorithm,
    plaintext: &[u8],
) -> Result<Vec<u8>, NotMade> {
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| NotMade)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| NotMade)?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    let written = key.encrypt(oaep(algorithm).ok_or(NotMade)?, plaintext, &mut ciphertext, None);
    let written = written.map_err(|_| NotMade)?.len();
    ciphertext.truncate(written);
    Ok(ciphertext)
}

/// Decrypts; `None` if the ciphertext was not made for this key and algorithm. Which of the paddings' checks failed is not
/// told, and takes the same time (the library's promise).
pub(super) fn decrypt(
    pkcs8: &[u8],
    algorithm: EncryptionAlgorithm,
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
    let key = OaepPrivateDecryptingKey::new(key).ok()?;
    let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
    let written = key.decrypt(oaep(algorithm)?, ciphertext, &mut plaintext, None).ok()?.len();
    plaintext.truncate(written);
    Some(plaintext)
}

fn oaep(algorithm: EncryptionAlgorithm) -> Option<&'static OaepAlgorithm> {
    match algorithm {
        EncryptionAlgorithm::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        EncryptionAlgorithm::SymmetricDefault | EncryptionAlgorithm::Sm2 => None,
    }
}
