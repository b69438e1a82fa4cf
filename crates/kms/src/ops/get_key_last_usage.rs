//! `GetKeyLastUsage`: the last successful cryptography with a key, and where it is on record.
//!
//! The engine has followed each key from its creation, so tracking starts there.

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
    let key = input.finish(key)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _told_to = call.authorize("kms:GetKeyLastUsage", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    let usage = Reply::object(0).maybe(call.uses.last_of(&key.arn), |reply, last| {
        reply
            .json("Operation", last.operation.as_str())
            .time("Timestamp", last.time)
            .json("CloudTrailEventId", last.event_id.to_string())
            .json("KmsRequestId", last.request_id.to_string())
    });
    Ok(Reply::object(0)
        .json("KeyId", key.id().to_string())
        .nested("KeyLastUsage", usage)
        .time("TrackingStartDate", key.created)
        .time("KeyCreationDate", key.created)
        .finish())
}
