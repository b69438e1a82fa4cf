//! `ScheduleKeyDeletion`: the key is useless from now on, and gone after a waiting time of 7 to 30 days.

use keytrail_event::Timestamp;

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;

const NANOS_PER_DAY: u64 = 86_400 * 1_000_000_000;
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
    let date = call.now.unix_nanos().saturating_add(u64::from(days) * NANOS_PER_DAY);
    let date = Timestamp::from_unix_nanos(date);
    facts.elements = vec![
        Fact::KeyArn(key.arn.clone()),
        Fact::KeyStatePendingDeletion,
        Fact::DeletionDate(date),
        Fact::PendingWindowInDays(days),
    ];
    let reply = Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .time("DeletionDate", date)
        .json("KeyState", "PendingDeletion")
        .json("PendingWindowInDays", days)
        .finish();
    Ok((reply, Change::DeletionScheduled { key: key.arn.clone(), date }))
}
