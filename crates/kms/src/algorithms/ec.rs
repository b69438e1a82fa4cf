//! ECDSA (FIPS 186-5) over P-256, P-384, P-521 and secp256k1, and ECDH (SP 800-56A) over the three NIST curves, by
//! AWS-LC.
//!
//! Signatures are DER; a shared secret is the raw x-coordinate. The private key is a scalar of the engine's own randomness
//! (FIPS 186-5 A.2.2: drawn until it lies in range), kept as PKCS#8. The nonces of signatures are AWS-LC's, from its own
//! generator, which the operating system seeds.

use aws_lc_rs::agreement::{self, ParsedPublicKeyFormat};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, UnparsedPublicKey};
use keytrail_ledger::Random;
use zeroize::Zeroizing;

use super::message::Message;
use super::spec::KeySpec;
use super::{NotMade, Spki};

/// How often a scalar is drawn. P-256 is the curve that refuses most, one in 2³²: two draws that fail are a broken
/// generator.
const DRAWS_MAX: usize = 8;

/// What the library needs to know about a curve.
struct Curve {
    signing: &'static signature::EcdsaSigningAlgorithm,
    verification: &'static signature::EcdsaVerificationAlgorithm,
    digest: &'static digest::Algorithm,
    /// `None`: AWS has no key agreement on it.
    agreement: Option<&'static agreement::Algorithm>,
    scalar_len: usize,
    /// Bits of the scalar's first byte that can be set.
    first_byte_mask: u8,
}

impl Curve {
    /// The curve of a spec that has one.
    fn of(spec: KeySpec) -> Option<Self> {
        Some(match spec {
            KeySpec::P256 => Self {
                signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                verification: &signature::ECDSA_P256_SHA256_ASN1,
                digest: &digest::SHA256,
                agreement: Some(&agreement::ECDH_P256),
                scalar_len: 32,
                first_byte_mask: 0xff,
            },
            KeySpec::P384 => Self {
                signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                verification: &signature::ECDSA_P384_SHA384_ASN1,
                digest: &digest::SHA384,
                agreement: Some(&agreement::ECDH_P384),
                scalar_len: 48,
                first_byte_mask: 0xff,
            },
            KeySpec::P521 => Self {
                signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
                verification: &signature::ECDSA_P521_SHA512_ASN1,
                digest: &digest::SHA512,
                agreement: Some(&agreement::ECDH_P521),
                scalar_len: 66,
                first_byte_mask: 0x01,
            },
            KeySpec::Secp256k1 => Self {
                signing: &signature::ECDSA_P256K1_SHA256_ASN1_SIGNING,
                verification: &signature::ECDSA_P256K1_SHA256_ASN1,
                digest: &digest::SHA256,
                agreement: None,
                scalar_len: 32,
                first_byte_mask: 0xff,
            },
            _ => return None,
        })
    }
}

/// A new private key in PKCS#8.
pub(super) fn generate(spec: KeySpec, random: &dyn Random) -> Result<Zeroizing<Vec<u8>>, NotMade> {
    let curve = Curve::of(spec).ok_or(NotMade)?;
    for _ in 0..DRAWS_MAX {
        let mut scalar = Zeroizing::new(vec![0; curve.scalar_len]);
        random.fill(&mut scalar);
        if let Some(first) = scalar.first_mut() {
            *first &= curve.first_byte_mask;
        }
        let der = scalar_to_der(&scalar)?;
        let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve.signing, &der) else { continue };
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| NotMade)?;
        return Ok(Zeroizing::new(pkcs8.as_ref().to_vec()));
    }
    Err(NotMade)
}

/// RFC 5915 without parameters and public key: `SEQUENCE { INTEGER 1, OCTET STRING scalar }`. All lengths are below 128, so
/// each is one byte.
fn scalar_to_der(scalar: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotMade> {
    let length = u8::try_from(scalar.len()).map_err(|_| NotMade)?;
    let head = [0x30, length + 5, 0x02, 0x01, 0x01, 0x04, length];
    Ok(Zeroizing::new([&head, scalar].concat()))
}

/// The PKCS#8 of a scalar from a test vector: of any length, as Wycheproof writes them.
#[cfg(test)]
pub(super) fn pkcs8_of_scalar(spec: KeySpec, scalar: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let curve = Curve::of(spec)?;
    let digits = scalar.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<_>>();
    let zeros = curve.scalar_len.checked_sub(digits.len())?;
    let der = scalar_to_der(&[vec![0; zeros], digits].concat()).ok()?;
    let pair = EcdsaKeyPair::from_private_key_der(curve.signing, &der).ok()?;
    Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

/// The private key as the library signs with it.
pub(super) fn read(spec: KeySpec, pkcs8: &[u8]) -> Result<EcdsaKeyPair, NotMade> {
    let curve = Curve::of(spec).ok_or(NotMade)?;
    EcdsaKeyPair::from_pkcs8(curve.signing, pkcs8).map_err(|_| NotMade)
}

/// The public key of a private key.
pub(super) fn public_key(spec: KeySpec, pkcs8: &[u8]) -> Result<Spki, NotMade> {
    let pair = read(spec, pkcs8)?;
    Ok(pair.public_key().as_der().map_err(|_| NotMade)?.as_ref().to_vec())
}

/// A signature in DER.
pub(super) fn sign(
    spec: KeySpec,
    pair: &EcdsaKeyPair,
    message: &Message<'_>,
) -> Result<Vec<u8>, NotMade> {
    let curve = Curve::of(spec).ok_or(NotMade)?;
    let signature = match message {
        // The library ignores the generator that it is given, and takes its own.
        Message::Raw(message) => pair.sign(&SystemRandom::new(), message),
        Message::Digest(bytes) => Digest::import_less_safe(bytes, curve.digest)
            .and_then(|digest| pair.sign_digest(&digest)),
        Message::ExternalMu(_) => return Err(NotMade),
    };
    Ok(signature.map_err(|_| NotMade)?.as_ref().to_vec())
}

/// Whether it is a signature of the message.
pub(super) fn verify(spec: KeySpec, spki: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
    let Some(curve) = Curve::of(spec) else { return false };
    let key = UnparsedPublicKey::new(curve.verification, spki);
    let verified = match message {
        Message::Raw(message) => key.verify(message, signature),
        Message::Digest(bytes) => Digest::import_less_safe(bytes, curve.digest)
            .and_then(|digest| key.verify_digest(&digest, signature)),
        Message::ExternalMu(_) => return false,
    };
    verified.is_ok()
}

/// The peer's public key is not one of this curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAPeer;

/// The x-coordinate of the product of our scalar and the peer's point. `peer` is an SPKI: a bare point is refused, though
/// the library would read it, because AWS does not.
pub(super) fn agree(
    spec: KeySpec,
    pkcs8: &[u8],
    peer: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAPeer> {
    let algorithm = Curve::of(spec).and_then(|curve| curve.agreement).ok_or(NotAPeer)?;
    if !is_one_der_value(peer) {
        return Err(NotAPeer);
    }
    let ours =
        agreement::PrivateKey::from_private_key_der(algorithm, pkcs8).map_err(|_| NotAPeer)?;
    let peer = agreement::UnparsedPublicKey::new(algorithm, peer);
    let peer = agreement::ParsedPublicKey::try_from(&peer).map_err(|_| NotAPeer)?;
    if peer.format() != ParsedPublicKeyFormat::X509 {
        return Err(NotAPeer);
    }
    agreement::agree(&ours, peer, NotAPeer, |secret| Ok(Zeroizing::new(secret.to_vec())))
}

/// Whether the bytes end where their outermost DER value does: the library reads past what follows it. No public key of
/// these curves has a length that needs more than one byte behind the 0x81.
fn is_one_der_value(der: &[u8]) -> bool {
    match der {
        [_, length @ 0..=0x7f, rest @ ..] | [_, 0x81, length, rest @ ..] => {
            rest.len() == usize::from(*length)
        }
        _ => false,
    }
}
