//! `EnableKeyRotation`: a new material every so many days, counted from now. Calling it again begins a new schedule.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::{Change, RotationSchedule};

/// Days when the request says none.
const PERIOD_DAYS_DEFAULT: u32 = 365;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let days = input.integer("RotationPeriodInDays", 90..=2560).unwrap_or(PERIOD_DAYS_DEFAULT);
    let (key, days) = input.finish((key, days))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _enabled_by = call.authorize("kms:EnableKeyRotation", key)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::RotationPeriodInDays(days)];
    facts.resources.push(key.arn.clone().into());
    key.check_rotates()?;
    key.check_not_replica()?;
    key.check_made_here()?;
    key.check_enabled()?;
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    let schedule = RotationSchedule::starting(call.now, days);
    Ok((Reply::empty(), Change::RotationEnabled { key: key.arn.clone(), schedule }))
}
