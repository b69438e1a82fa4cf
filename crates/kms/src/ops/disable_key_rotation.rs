//! `DisableKeyRotation`: the key keeps the material it has, until somebody rotates it.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let key = input.finish(key)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _disabled_by = call.authorize("kms:DisableKeyRotation", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    key.check_rotates()?;
    key.check_not_replica()?;
    key.check_made_here()?;
    key.check_enabled()?;
    Ok((Reply::empty(), Change::RotationDisabled(key.arn.clone())))
}
