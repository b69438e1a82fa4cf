//! `GetPublicKey`: what others verify, encrypt or agree with, outside.

use super::{Call, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    check_grant_tokens_and_recipient(&mut input)?;
    let key = input.text("KeyId", KEY_ID_CHARS);
    let key = input.finish(key)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.home())?;
    let key = call.find(&reference)?;
    let _shown_to = call.authorize("kms:GetPublicKey", key)?;
    facts.parameters = vec![Fact::KeyId(reference)];
    facts.resources.push(key.arn.clone().into());
    // AWS shows the public key of a disabled key, whatever its table of key states says.
    key.check_not_pending()?;
    let Some(public_key) = key.public_key() else {
        return Err(Refusal::bare(ErrorCode::UnsupportedOperationException));
    };
    let spec = key.kind.spec().as_str();
    let (algorithms, names) = key.kind.algorithms();
    Ok(Reply::object(public_key.spki.len())
        .json("KeyId", key.arn.as_str())
        .blob("PublicKey", public_key.spki)
        .json("CustomerMasterKeySpec", spec)
        .json("KeySpec", spec)
        .json("KeyUsage", key.kind.usage().as_str())
        .json(algorithms, names)
        .finish())
}
