//! ML-DSA (FIPS 204) with the parameter sets 44, 65 and 87.
//!
//! Everything is signed through μ, the 64 bytes that stand for public key and message (FIPS 204 §6.2): of a raw message it
//! is computed here, with an empty context; an `EXTERNAL_MU` is taken as it is. Signing is hedged, with the engine's own
//! randomness. The private key is its 32-byte seed.

use std::convert::Infallible;

use keytrail_ledger::Random;
use ml_dsa::signature::digest::Update;
use ml_dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ml_dsa::{
    Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, SigningKey, VerifyingKey,
};

use super::message::Message;
use super::spec::KeySpec;
use super::{NotMade, Spki};

/// Bytes of μ.
pub(super) const MU_LEN: usize = 64;

/// `SubjectPublicKeyInfo` up to the key (RFC 9881 §4): algorithm 2.16.840.1.101.3.4.3.17, .18 or .19, and a bit string of
/// 1312, 1952 or 2592 bytes. The lengths at offsets 2 and 19, and the algorithm's last number at 16, differ.
const SPKI_HEAD: [u8; 22] =
    *b"\x30\x82\x00\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x00\x03\x82\x00\x00\x00";

/// `PrivateKeyInfo` up to the 32 bytes of the seed (RFC 9881 §6, the form with the seed alone). The algorithm's last number,
/// at offset 17, differs.
const PKCS8_HEAD: [u8; 22] =
    *b"\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x00\x04\x22\x80\x20";

/// The seed in a PKCS#8 that has nothing but the seed.
pub(super) fn seed_of_pkcs8(spec: KeySpec, pkcs8: &[u8]) -> Option<&[u8]> {
    let mut head = PKCS8_HEAD;
    head[17] = spki_head(spec)[16];
    pkcs8.strip_prefix(&head).filter(|seed| seed.len() == super::SEED_LEN)
}

/// The head of a spec's public key.
fn spki_head(spec: KeySpec) -> [u8; 22] {
    let (number, key_len): (u8, u16) = match spec {
        KeySpec::MlDsa44 => (17, 1312),
        KeySpec::MlDsa65 => (18, 1952),
        _ => (19, 2592),
    };
    let mut head = SPKI_HEAD;
    head[2..4].copy_from_slice(&(key_len + 18).to_be_bytes());
    head[16] = number;
    head[19..21].copy_from_slice(&(key_len + 1).to_be_bytes());
    head
}

/// The public key of a seed.
pub(super) fn public_key(spec: KeySpec, seed: &[u8]) -> Result<Spki, NotMade> {
    fn encoded<P: MlDsaParams>(seed: &[u8]) -> Result<Vec<u8>, NotMade> {
        Ok(signing_key::<P>(seed)?.verifying_key().encode().to_vec())
    }
    let key = match spec {
        KeySpec::MlDsa44 => encoded::<MlDsa44>(seed),
        KeySpec::MlDsa65 => encoded::<MlDsa65>(seed),
        KeySpec::MlDsa87 => encoded::<MlDsa87>(seed),
        _ => Err(NotMade),
    }?;
    Ok([&spki_head(spec)[..], &key].concat())
}

/// A signature of 2420, 3309 or 4627 bytes.
pub(super) fn sign(
    spec: KeySpec,
    seed: &[u8],
    message: &Message<'_>,
    random: &dyn Random,
) -> Result<Vec<u8>, NotMade> {
    match spec {
        KeySpec::MlDsa44 => sign_with::<MlDsa44>(seed, message, random),
        KeySpec::MlDsa65 => sign_with::<MlDsa65>(seed, message, random),
        KeySpec::MlDsa87 => sign_with::<MlDsa87>(seed, message, random),
        _ => Err(NotMade),
    }
}

/// Whether it is a signature of the message.
pub(super) fn verify(spec: KeySpec, spki: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
    let Some(key) = spki.strip_prefix(&spki_head(spec)) else { return false };
    match spec {
        KeySpec::MlDsa44 => verify_with::<MlDsa44>(key, message, signature),
        KeySpec::MlDsa65 => verify_with::<MlDsa65>(key, message, signature),
        KeySpec::MlDsa87 => verify_with::<MlDsa87>(key, message, signature),
        _ => false,
    }
}

fn signing_key<P: MlDsaParams>(seed: &[u8]) -> Result<SigningKey<P>, NotMade> {
    let seed: &[u8; 32] = seed.try_into().map_err(|_| NotMade)?;
    Ok(SigningKey::from_seed(seed.into()))
}

fn sign_with<P: MlDsaParams>(
    seed: &[u8],
    message: &Message<'_>,
    random: &dyn Random,
) -> Result<Vec<u8>, NotMade> {
    let key = signing_key::<P>(seed)?;
    let mu = mu(&key.verifying_key(), message).ok_or(NotMade)?;
    let signature = key.expanded_key().sign_mu_randomized((&mu).into(), &mut Hedge(random));
    Ok(signature.map_err(|_| NotMade)?.encode().to_vec())
}

fn verify_with<P: MlDsaParams>(key: &[u8], message: &Message<'_>, signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), Signature::<P>::try_from(signature)) else {
        return false;
    };
    let key = VerifyingKey::<P>::decode(key);
    mu(&key, message).is_some_and(|mu| key.verify_mu((&mu).into(), &signature))
}

/// μ of a message under a public key; `None` for a digest, which ML-DSA has no use for.
fn mu<P: MlDsaParams>(key: &VerifyingKey<P>, message: &Message<'_>) -> Option<[u8; MU_LEN]> {
    match message {
        Message::Raw(message) => {
            let absorb = |shake: &mut _| {
                Update::update(shake, message);
                Ok(())
            };
            key.compute_mu(absorb, &[]).ok().map(Into::into)
        }
        Message::ExternalMu(mu) => Some(**mu),
        Message::Digest(_) => None,
    }
}

/// The engine's randomness for the library that asks for it by another trait.
struct Hedge<'a>(&'a dyn Random);

impl TryRng for Hedge<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Hedge<'_> {}
