//! `ScheduleKeyDeletion`: the key is useless from now on, and gone after a waiting time of 7 to 30 days. That of a primary key
//! with replicas begins when the last of them is gone.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::{Change, Status, days_after};

/// Days when the request says none.
const WINDOW_DAYS_DEFAULT: u32 = 30;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let days = input.integer("PendingWindowInDays", 7..=30).unwrap_or(WINDOW_DAYS_DEFAULT);
    let (key, days) = input.finish((key, days))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _scheduled_by = call.authorize("kms:ScheduleKeyDeletion", key)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::PendingWindowInDays(days)];
    facts.resources.push(key.arn.clone().into());
    key.check_not_pending()?;
    let arn = key.arn.clone();
    let (status, date, change) = if key.replicas().is_empty() {
        let date = days_after(call.now, days);
        let change = Change::DeletionScheduled { key: arn.clone(), date };
        (Status::PendingDeletion, Some(date), change)
    } else {
        let change = Change::ReplicaDeletionAwaited { key: arn.clone(), days };
        (Status::PendingReplicaDeletion, None, change)
    };
    facts.elements = vec![Fact::KeyArn(arn.clone()), Fact::KeyState(status)];
    facts.elements.extend(date.map(Fact::DeletionDate));
    facts.elements.push(Fact::PendingWindowInDays(days));
    let reply = Reply::object(0)
        .json("KeyId", arn.as_str())
        .maybe(date, |reply, date| reply.time("DeletionDate", date))
        .json("KeyState", status.as_str())
        .json("PendingWindowInDays", days)
        .finish();
    Ok((reply, change))
}
