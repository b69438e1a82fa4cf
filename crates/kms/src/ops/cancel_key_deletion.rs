//! `CancelKeyDeletion`: the key stays; it is disabled until somebody enables it.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
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
    let _cancelled_by = call.authorize("kms:CancelKeyDeletion", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    if !key.is_pending_deletion() {
        let text = format!("{} is not pending deletion.", key.arn);
        return Err(Refusal::new(ErrorCode::KMSInvalidStateException, text));
    }
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    let reply = Reply::object(0).json("KeyId", key.arn.as_str()).finish();
    Ok((reply, Change::DeletionCancelled(key.arn.clone())))
}
