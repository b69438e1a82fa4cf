//! `GenerateDataKeyPair`: an asymmetric key pair for use outside, its private key in the clear and encrypted; and the
//! variant that keeps back the clear one.

use super::generate_data_key::check_makes_data_keys;
use super::key_kind::not_here;
use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{KeySpec, SecretKey};
use crate::blob::CiphertextBlob;
use crate::context::EncryptionContext;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;

struct Request {
    key: String,
    spec: KeySpec,
    context: EncryptionContext,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        const SPECS: &[&str] = &[
            "RSA_2048",
            "RSA_3072",
            "RSA_4096",
            "ECC_NIST_P256",
            "ECC_NIST_P384",
            "ECC_NIST_P521",
            "ECC_SECG_P256K1",
            "SM2",
            "ECC_NIST_EDWARDS25519",
        ];
        check_grant_tokens_and_recipient(&mut input)?;
        let request = (
            input.text("KeyId", KEY_ID_CHARS),
            input.required_choice("KeyPairSpec", SPECS),
            input.context("EncryptionContext"),
            input.flag("DryRun"),
        );
        let (key, spec, context, dry_run) = input.finish(request)?;
        let spec = KeySpec::parse(spec).ok_or_else(|| not_here(spec))?;
        Ok(Self { key, spec, context, dry_run })
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    generate("GenerateDataKeyPair", call, input, facts, |reply, secret| {
        reply.blob("PrivateKeyPlaintext", &secret.to_pkcs8())
    })
}

pub(super) fn run_without_plaintext(
    call: &Call<'_>,
    input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    generate("GenerateDataKeyPairWithoutPlaintext", call, input, facts, |reply, _| reply)
}

/// Makes the pair and the answer; `show` adds what may be shown of the private key.
fn generate(
    operation: &str,
    call: &Call<'_>,
    input: Input<'_>,
    facts: &mut Facts,
    show: impl Fn(Reply, &SecretKey) -> Reply,
) -> Result<Reply, Refusal> {
    let Request { key, spec, context, dry_run } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.home())?;
    let key = call.find(&reference)?;
    let authorized = call.authorize(&format!("kms:{operation}"), key)?;
    facts.parameters = vec![
        Fact::Word("KeyPairSpec", spec.as_str()),
        Fact::Context("EncryptionContext", context.clone()),
        Fact::KeyId(reference),
    ];
    facts.resources.push(key.arn.clone().into());
    key.check_enabled()?;
    check_makes_data_keys(key, operation)?;
    end_rehearsal(dry_run)?;
    let secret = call.new_secret_key(spec)?;
    let public_key = secret.public_key().ok().flatten().ok_or_else(Refusal::internal)?;
    let private_key = secret.to_pkcs8();
    let material = key.material(&authorized, call.material_keys)?;
    let blob = CiphertextBlob::encrypt(key.id(), &material, &context, &private_key, call.random);
    facts.additional.push(Fact::Material("KeyMaterialId", material.id()));
    let bytes = blob.as_bytes().len() + private_key.len() + public_key.len();
    let reply = Reply::object(bytes).blob("PrivateKeyCiphertextBlob", blob.as_bytes());
    Ok(show(reply, &secret)
        .blob("PublicKey", &public_key)
        .json("KeyId", key.arn.as_str())
        .json("KeyPairSpec", spec.as_str())
        .json("KeyMaterialId", material.id().to_string())
        .finish())
}
