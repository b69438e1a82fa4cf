//! Decrypt: the plaintext of a blob. The blob names its key; a `KeyId` in the request must name the same one.

use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::blob::{BLOB_BYTES_MAX, CiphertextBlob, NotABlob};
use crate::context::EncryptionContext;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::{EncryptionAlgorithm, refuse_grants_and_recipients};
use crate::reply::Reply;
use crate::state::Key;

struct Request {
    key: Option<String>,
    ciphertext: Zeroizing<Vec<u8>>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        refuse_grants_and_recipients(&mut input)?;
        let request = Self {
            key: input.optional_text("KeyId", KEY_ID_CHARS),
            ciphertext: input.blob("CiphertextBlob", BLOB_BYTES_MAX),
            context: input.context("EncryptionContext"),
            algorithm: EncryptionAlgorithm::read(&mut input),
            dry_run: input.flag("DryRun"),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, ciphertext, context, algorithm, dry_run } = Request::read(input)?;
    let reference =
        key.map(|key| KeyReference::parse(&key, Naming::KeyOrAlias, call.config)).transpose()?;
    let blob = CiphertextBlob::parse(ciphertext.to_vec());
    let parameters = |reference| {
        let mut facts =
            vec![Fact::EncryptionAlgorithm(algorithm), Fact::EncryptionContext(context.clone())];
        facts.extend(reference);
        facts
    };
    let key = match (&reference, &blob) {
        (Some(reference), _) => call.find(reference)?,
        (None, Ok(blob)) => {
            call.state.keys.get(&blob.key_id()).ok_or_else(no_such_key_or_not_yours)?
        }
        (None, Err(NotABlob)) => {
            // No key to decide about, and nothing to learn: the answer is the same for everybody.
            facts.parameters = parameters(None);
            return Err(invalid_ciphertext());
        }
    };
    let authorized = call.authorize("kms:Decrypt", key)?;
    facts.parameters = parameters(reference.map(Fact::KeyId));
    facts.resources.push(key.arn.clone());
    key.check_enabled()?;
    algorithm.check_fits_symmetric()?;
    let blob = check_belongs(blob, key)?;
    let material = key.material_with(blob.material_id(), &authorized, call.root_key)?;
    let material = material.ok_or_else(invalid_ciphertext)?;
    let plaintext = blob.decrypt(&material, &context).map_err(|_| invalid_ciphertext())?;
    end_rehearsal(dry_run)?;
    facts.additional.push(Fact::KeyMaterialId(material.id()));
    Ok(Reply::object(plaintext.len())
        .json("KeyId", key.arn.as_str())
        .blob("Plaintext", &plaintext)
        .json("EncryptionAlgorithm", algorithm.as_str())
        .json("KeyMaterialId", material.id().to_string())
        .finish())
}

/// Refuses what is no blob, and a blob of another key.
fn check_belongs(
    blob: Result<CiphertextBlob, NotABlob>,
    key: &Key,
) -> Result<CiphertextBlob, Refusal> {
    let blob = blob.map_err(|NotABlob| invalid_ciphertext())?;
    if blob.key_id() != key.id {
        return Err(Refusal::new(
            ErrorCode::IncorrectKeyException,
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    Ok(blob)
}

fn invalid_ciphertext() -> Refusal {
    Refusal::bare(ErrorCode::InvalidCiphertextException)
}

fn no_such_key_or_not_yours() -> Refusal {
    Refusal::new(
        ErrorCode::AccessDeniedException,
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are \
         not allowed to access.",
    )
}
