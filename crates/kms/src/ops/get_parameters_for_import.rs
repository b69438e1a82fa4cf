//! `GetParametersForImport`: a public key to wrap material under, and the token that goes back with it, both for 24 hours.

use keytrail_event::Timestamp;

use super::key_kind::not_here;
use super::{Call, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::import::{ImportToken, WrappingAlgorithm, WrappingKeySpec};
use crate::input::{Input, Word as _};
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;

const VALID_NANOS: u64 = 24 * 3600 * 1_000_000_000;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let algorithm = input.word::<WrappingAlgorithm>("WrappingAlgorithm");
    let spec = input.word::<WrappingKeySpec>("WrappingKeySpec");
    let key = input.finish(key)?;
    let key_spec = spec.key_spec().ok_or_else(|| not_here(spec.as_str()))?;
    if !algorithm.is_here() {
        let text = format!("WrappingAlgorithm {} is not supported.", algorithm.as_str());
        return Err(Refusal::new(ErrorCode::UnsupportedOperationException, text));
    }
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _given_to = call.authorize("kms:GetParametersForImport", key)?;
    facts.parameters = vec![
        Fact::KeyId(reference),
        Fact::Word("WrappingAlgorithm", algorithm.as_str()),
        Fact::Word("WrappingKeySpec", spec.as_str()),
    ];
    facts.resources.push(key.arn.clone().into());
    key.check_external()?;
    key.check_not_pending()?;
    let valid_to = call.now.unix_nanos().saturating_add(VALID_NANOS);
    let token = ImportToken {
        key: key.arn.clone(),
        valid_to: Timestamp::from_unix_nanos(valid_to),
        algorithm,
        spec,
        wrapping_key: call.new_secret_key(key_spec)?,
    };
    let public_key = token.wrapping_key.public_key().ok().flatten();
    let public_key = public_key.ok_or_else(Refusal::internal)?;
    let sealed = token.seal(call.config, call.store_key, call.random);
    Ok(Reply::object(sealed.len() + public_key.len())
        .json("KeyId", key.arn.as_str())
        .blob("ImportToken", &sealed)
        .blob("PublicKey", &public_key)
        .time("ParametersValidTo", token.valid_to)
        .finish())
}
