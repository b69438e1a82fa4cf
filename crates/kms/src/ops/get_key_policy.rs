//! `GetKeyPolicy`: a key's policy, exactly as it was written.

use super::put_key_policy::read_policy_name;
use super::{Call, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let name = read_policy_name(&mut input);
    let key = input.finish(key)?;
    name?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _read_by = call.authorize("kms:GetKeyPolicy", key)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::PolicyNameDefault];
    facts.resources.push(key.arn.clone().into());
    let policy = key.policy.as_str();
    Ok(Reply::object(policy.len()).json("Policy", policy).json("PolicyName", "default").finish())
}
