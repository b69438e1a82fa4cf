//! `ListKeyPolicies`: a key has one policy, and it is called `default`. Tools ask all the same.

use super::{Call, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::Marker;
use crate::reply::Reply;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let limit = input.integer("Limit", 1..=1000);
    let marker = Marker::read(&mut input)?;
    let (key, limit) = input.finish((key, limit))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _listed_to = call.authorize("kms:ListKeyPolicies", key)?;
    let names = if marker.is_none() { vec!["default"] } else { Vec::new() };
    facts.parameters.push(Fact::KeyId(reference));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    facts.resources.push(key.arn.clone().into());
    Ok(Reply::object(0).json("PolicyNames", names).json("Truncated", false).finish())
}
