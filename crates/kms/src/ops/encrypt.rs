//! Encrypt: up to 4096 bytes under a symmetric key, with an encryption context; or what fits into one block of RSA.

use keytrail_auth::Authorized;
use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{EncryptionAlgorithm, KeyUsage};
use crate::blob::{CiphertextBlob, PLAINTEXT_BYTES_MAX};
use crate::context::EncryptionContext;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::material::MaterialId;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;
use crate::state::Key;

struct Request {
    key: String,
    plaintext: Zeroizing<Vec<u8>>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            plaintext: input.sensitive_blob("Plaintext", PLAINTEXT_BYTES_MAX),
            context: input.context("EncryptionContext"),
            algorithm: input.optional_word("EncryptionAlgorithm").unwrap_or_default(),
            dry_run: input.flag("DryRun"),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, plaintext, context, algorithm, dry_run } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.home())?;
    let key = call.find(&reference)?;
    let authorized = call.authorize("kms:Encrypt", key)?;
    facts.parameters = vec![
        Fact::KeyId(reference),
        Fact::Context("EncryptionContext", context.clone()),
        Fact::Word("EncryptionAlgorithm", algorithm.as_str()),
    ];
    facts.resources.push(key.arn.clone().into());
    let under = Under { key, authorized: &authorized, algorithm, context: &context };
    under.check("Encrypt")?;
    under.check_fits(&plaintext)?;
    end_rehearsal(dry_run)?;
    let ciphertext = under.encrypt(call, &plaintext)?;
    facts.additional.extend(under.material_id().map(|id| Fact::Material("KeyMaterialId", id)));
    Ok(Reply::object(ciphertext.len())
        .blob("CiphertextBlob", &ciphertext)
        .json("KeyId", key.arn.as_str())
        .json("EncryptionAlgorithm", algorithm.as_str())
        .finish())
}

/// What to encrypt under, which Encrypt and `ReEncrypt` have in common.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    pub(super) key: &'a Key,
    pub(super) authorized: &'a Authorized,
    pub(super) algorithm: EncryptionAlgorithm,
    pub(super) context: &'a EncryptionContext,
}

impl Under<'_> {
    /// The checks in AWS's order: state, usage, algorithm, context.
    pub(super) fn check(&self, operation: &str) -> Result<(), Refusal> {
        let Self { key, algorithm, context, .. } = self;
        key.check_enabled()?;
        key.check_usage(KeyUsage::EncryptDecrypt, operation)?;
        key.check_encrypts(*algorithm)?;
        check_context(key, context)
    }

    /// Refuses what is too long for one block of RSA.
    pub(super) fn check_fits(&self, plaintext: &[u8]) -> Result<(), Refusal> {
        let Some(public_key) = self.key.public_key() else { return Ok(()) };
        let longest = public_key.plaintext_len_max(self.algorithm);
        if plaintext.len() <= longest {
            return Ok(());
        }
        let (algorithm, spec) = (self.algorithm.as_str(), self.key.kind.spec().as_str());
        Err(Refusal::validation(format!(
            "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes."
        )))
    }

    /// Encrypts after both checks.
    pub(super) fn encrypt(&self, call: &Call<'_>, plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
        let Self { key, authorized, algorithm, context } = self;
        if let Some(public_key) = key.public_key() {
            return public_key.encrypt(*algorithm, plaintext).map_err(|_| Refusal::internal());
        }
        let material = key.material(authorized, call.material_keys)?;
        let blob = CiphertextBlob::encrypt(key.id(), &material, context, plaintext, call.random);
        Ok(blob.into_bytes())
    }

    /// The material that encrypts; only symmetric keys show theirs.
    pub(super) fn material_id(&self) -> Option<MaterialId> {
        self.key.material_id().filter(|_| self.key.is_symmetric())
    }
}

/// RSA has no associated data, so that a context would protect nothing.
pub(super) fn check_context(key: &Key, context: &EncryptionContext) -> Result<(), Refusal> {
    if key.is_symmetric() || context.is_empty() {
        return Ok(());
    }
    Err(Refusal::validation(
        "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.",
    ))
}
