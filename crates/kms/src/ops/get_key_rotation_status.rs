//! `GetKeyRotationStatus`: whether and when a key rotates. One that is to be deleted does not, whatever its schedule says;
//! the schedule counts again when the deletion is cancelled.

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
    let _told_to = call.authorize("kms:GetKeyRotationStatus", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    key.check_rotates()?;
    key.check_made_here()?;
    let schedule = key.rotation.filter(|_| !key.is_pending_deletion());
    Ok(Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .json("KeyRotationEnabled", schedule.is_some())
        .maybe(schedule, |reply, schedule| {
            reply
                .json("RotationPeriodInDays", schedule.period_days)
                .time("NextRotationDate", schedule.next)
        })
        .maybe(key.rotation_requested, |reply, date| reply.time("OnDemandRotationStartDate", date))
        .finish())
}
