//! Encrypt: up to 4096 bytes under a key, with an encryption context.

use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::blob::{CiphertextBlob, PLAINTEXT_BYTES_MAX};
use crate::context::EncryptionContext;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::{EncryptionAlgorithm, refuse_grants_and_recipients};
use crate::reply::Reply;

struct Request {
    key: String,
    plaintext: Zeroizing<Vec<u8>>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        refuse_grants_and_recipients(&mut input)?;
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            plaintext: input.blob("Plaintext", PLAINTEXT_BYTES_MAX),
            context: input.context("EncryptionContext"),
            algorithm: EncryptionAlgorithm::read(&mut input),
            dry_run: input.flag("DryRun"),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, plaintext, context, algorithm, dry_run } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.config)?;
    let key = call.find(&reference)?;
    let authorized = call.authorize("kms:Encrypt", key)?;
    facts.parameters = vec![
        Fact::KeyId(reference),
        Fact::EncryptionContext(context.clone()),
        Fact::EncryptionAlgorithm(algorithm),
    ];
    facts.resources.push(key.arn.clone());
    key.check_enabled()?;
    algorithm.check_fits_symmetric()?;
    let material = key.material(&authorized, call.root_key)?;
    end_rehearsal(dry_run)?;
    let blob = CiphertextBlob::encrypt(key.id, &material, &context, &plaintext, call.random);
    facts.additional.push(Fact::KeyMaterialId(material.id()));
    Ok(Reply::object(blob.as_bytes().len())
        .blob("CiphertextBlob", blob.as_bytes())
        .json("KeyId", key.arn.as_str())
        .json("EncryptionAlgorithm", algorithm.as_str())
        .finish())
}
