//! Decrypt: the plaintext of a ciphertext. A symmetric one names its key, and a `KeyId` in the request must name the same
//! one; an RSA ciphertext names nothing, so the request must.

use zeroize::Zeroizing;

use super::encrypt::check_context;
use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{EncryptionAlgorithm, KeyUsage};
use crate::blob::{BLOB_BYTES_MAX, CiphertextBlob, NotABlob};
use crate::context::EncryptionContext;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::{Input, Word};
use crate::material::MaterialId;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;
use crate::state::Key;

struct Request {
    key: Option<String>,
    ciphertext: Option<Zeroizing<Vec<u8>>>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        let dry_run = input.flag("DryRun");
        let request = Self {
            key: input.optional_text("KeyId", KEY_ID_CHARS),
            ciphertext: read_ciphertext(&mut input, dry_run),
            context: input.context("EncryptionContext"),
            algorithm: input.optional_word("EncryptionAlgorithm").unwrap_or_default(),
            dry_run,
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, ciphertext, context, algorithm, dry_run } = Request::read(input)?;
    let reference =
        key.map(|key| KeyReference::parse(&key, Naming::KeyOrAlias, call.home())).transpose()?;
    let ciphertext = Ciphertext::new(ciphertext, algorithm);
    let parameters = |reference| {
        let mut facts = vec![
            Fact::Word("EncryptionAlgorithm", algorithm.as_str()),
            Fact::Context("EncryptionContext", context.clone()),
        ];
        facts.extend(reference);
        facts
    };
    let Some(key) = ciphertext.find_key(call, reference.as_ref())? else {
        // No key to decide about, and nothing to learn: the answer is the same for everybody.
        facts.parameters = parameters(None);
        return Err(invalid_ciphertext());
    };
    let authorized = call.authorize("kms:Decrypt", key)?;
    facts.parameters = parameters(reference.map(Fact::KeyId));
    facts.resources.push(key.arn.clone().into());
    ciphertext.check("Decrypt", key, &context)?;
    if ciphertext.is_ignored() {
        end_rehearsal(dry_run)?;
    }
    let opened = ciphertext.open(call, key, &authorized, &context)?;
    end_rehearsal(dry_run)?;
    facts.additional.extend(opened.material_id.map(|id| Fact::Material("KeyMaterialId", id)));
    Ok(Reply::object(opened.plaintext.len())
        .json("KeyId", key.arn.as_str())
        .blob("Plaintext", &opened.plaintext)
        .json("EncryptionAlgorithm", algorithm.as_str())
        .maybe(opened.material_id, |reply, id| reply.json("KeyMaterialId", id.to_string()))
        .finish())
}

/// `DryRunModifiers`: there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DryRunModifier {
    IgnoreCiphertext,
}

impl Word for DryRunModifier {
    const ALL: &'static [Self] = &[Self::IgnoreCiphertext];

    fn as_str(self) -> &'static str {
        match self {
            Self::IgnoreCiphertext => "IGNORE_CIPHERTEXT",
        }
    }
}

/// `CiphertextBlob`, which must be there, except in a rehearsal that is told to do without: then it is not even looked at.
pub(super) fn read_ciphertext(input: &mut Input<'_>, dry_run: bool) -> Option<Zeroizing<Vec<u8>>> {
    let modifiers = input.words::<DryRunModifier>("DryRunModifiers");
    if dry_run && modifiers.contains(&DryRunModifier::IgnoreCiphertext) {
        input.optional_blob("CiphertextBlob", BLOB_BYTES_MAX);
        None
    } else {
        Some(input.blob("CiphertextBlob", BLOB_BYTES_MAX))
    }
}

/// A ciphertext, told apart by the algorithm that the caller says. What Decrypt and `ReEncrypt` have in common.
pub(super) enum Ciphertext {
    Symmetric(Result<CiphertextBlob, NotABlob>),
    Rsa {
        algorithm: EncryptionAlgorithm,
        bytes: Zeroizing<Vec<u8>>,
    },
    /// A rehearsal goes without one.
    Ignored {
        algorithm: EncryptionAlgorithm,
    },
}

/// What was in it.
pub(super) struct Opened {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// Of symmetric keys only.
    pub(super) material_id: Option<MaterialId>,
}

impl Ciphertext {
    pub(super) fn new(bytes: Option<Zeroizing<Vec<u8>>>, algorithm: EncryptionAlgorithm) -> Self {
        match (bytes, algorithm) {
            (None, algorithm) => Self::Ignored { algorithm },
            (Some(bytes), EncryptionAlgorithm::SymmetricDefault) => {
                Self::Symmetric(CiphertextBlob::parse(bytes.to_vec()))
            }
            (Some(bytes), algorithm) => Self::Rsa { algorithm, bytes },
        }
    }

    pub(super) fn is_ignored(&self) -> bool {
        matches!(self, Self::Ignored { .. })
    }

    fn algorithm(&self) -> EncryptionAlgorithm {
        match self {
            Self::Symmetric(_) => EncryptionAlgorithm::SymmetricDefault,
            Self::Rsa { algorithm, .. } | Self::Ignored { algorithm } => *algorithm,
        }
    }

    /// The key that the caller named, else the one that the ciphertext names. `None` if it is no ciphertext at all.
    pub(super) fn find_key<'a>(
        &self,
        call: &'a Call<'_>,
        reference: Option<&KeyReference>,
    ) -> Result<Option<&'a Key>, Refusal> {
        match (reference, self) {
            (Some(reference), _) => call.find(reference).map(Some),
            (None, Self::Symmetric(Ok(blob))) => {
                let key = call.find_by_id(blob.key_id());
                key.map(Some).ok_or_else(no_such_key_or_not_yours)
            }
            (None, Self::Symmetric(Err(NotABlob))) => Ok(None),
            (None, Self::Rsa { .. } | Self::Ignored { .. }) => {
                Err(Refusal::validation("KeyId must not be null"))
            }
        }
    }

    /// The checks in AWS's order: state, usage, whether it belongs to the key, algorithm, context. A symmetric ciphertext
    /// under another key's name is told before the algorithm.
    pub(super) fn check(
        &self,
        operation: &str,
        key: &Key,
        context: &EncryptionContext,
    ) -> Result<(), Refusal> {
        key.check_enabled()?;
        key.check_usage(KeyUsage::EncryptDecrypt, operation)?;
        if let Self::Symmetric(blob) = self {
            let blob = blob.as_ref().map_err(|NotABlob| invalid_ciphertext())?;
            if blob.key_id() != key.id() {
                return Err(incorrect_key());
            }
        }
        key.check_encrypts(self.algorithm())?;
        check_context(key, context)
    }

    /// Opens it after the checks: a symmetric one with the material that it names, and never with another.
    pub(super) fn open(
        &self,
        call: &Call<'_>,
        key: &Key,
        authorized: &keytrail_auth::Authorized,
        context: &EncryptionContext,
    ) -> Result<Opened, Refusal> {
        match self {
            Self::Symmetric(Ok(blob)) => {
                let material =
                    key.material_with(blob.material_id(), authorized, call.material_keys)?;
                let material = material.ok_or_else(invalid_ciphertext)?;
                let plaintext =
                    blob.decrypt(&material, context).map_err(|_| invalid_ciphertext())?;
                Ok(Opened { plaintext, material_id: Some(material.id()) })
            }
            Self::Rsa { algorithm, bytes } => {
                let secret = key.secret_key(authorized, call.material_keys)?;
                let plaintext = secret.decrypt(*algorithm, bytes).ok_or_else(invalid_ciphertext)?;
                Ok(Opened { plaintext, material_id: None })
            }
            Self::Symmetric(Err(NotABlob)) | Self::Ignored { .. } => Err(invalid_ciphertext()),
        }
    }
}

fn invalid_ciphertext() -> Refusal {
    Refusal::bare(ErrorCode::InvalidCiphertextException)
}

fn incorrect_key() -> Refusal {
    Refusal::new(
        ErrorCode::IncorrectKeyException,
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
}

fn no_such_key_or_not_yours() -> Refusal {
    Refusal::new(
        ErrorCode::AccessDeniedException,
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are \
         not allowed to access.",
    )
}
