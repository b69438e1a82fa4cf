//! The signature at the end of a message: ECDSA over everything before it, with a key that lives for one message.
//!
//! The public key is in the encryption context, and so bound to the data key by whoever encrypts it. Signed is the hash, so
//! that a message of any size passes through once.

use aws_lc_rs::digest::{self, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaVerificationAlgorithm, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::EnvelopeError;
use crate::suite::Curve;

/// Signs one message. Only P-384: the suite with P-256 is not written.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    hash: digest::Context,
}

impl Signer {
    /// With a new key pair, drawn by AWS-LC.
    pub(crate) fn new() -> Result<Self, EnvelopeError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
            .map_err(|_| EnvelopeError::Cryptography { action: "make a signing key" })?;
        Ok(Self { pair, hash: digest::Context::new(&SHA384) })
    }

    /// The public key as the encryption context has it: base64 of the compressed point (SEC 1 §2.3.3).
    pub(crate) fn public_key(&self) -> Result<String, EnvelopeError> {
        match self.pair.public_key().as_ref() {
            [4, coordinates @ ..] if !coordinates.is_empty() => {
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let parity = y.last().map_or(0, |byte| byte & 1);
                Ok(STANDARD.encode([&[2 + parity], x].concat()))
            }
            _ => Err(EnvelopeError::Cryptography { action: "show a public key" }),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The signature in DER.
    pub(crate) fn sign(self) -> Result<Vec<u8>, EnvelopeError> {
        let signature = self.pair.sign_digest(&self.hash.finish());
        let signature = signature.map_err(|_| EnvelopeError::Cryptography { action: "sign" })?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Verifies one message.
pub(crate) struct Verifier {
    algorithm: &'static EcdsaVerificationAlgorithm,
    public_key: Vec<u8>,
    hash: digest::Context,
}

impl Verifier {
    /// `public_key` as the encryption context has it; `None` if it is not base64.
    pub(crate) fn new(curve: Curve, public_key: &str) -> Option<Self> {
        let (algorithm, hash) = match curve {
            Curve::P256 => (&ECDSA_P256_SHA256_ASN1, &SHA256),
            Curve::P384 => (&ECDSA_P384_SHA384_ASN1, &SHA384),
        };
        let public_key = STANDARD.decode(public_key).ok()?;
        Some(Self { algorithm, public_key, hash: digest::Context::new(hash) })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Whether the signature is one of everything so far.
    pub(crate) fn verify(self, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, self.public_key)
            .verify_digest(&self.hash.finish(), signature)
            .is_ok()
    }
}
