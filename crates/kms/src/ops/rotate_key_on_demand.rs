//! `RotateKeyOnDemand`: a new material now, whatever the schedule says, which goes on as before. A key with
//! imported material takes the one that waits for it, in all keys of a family: each of them must have it by then.
//!
//! As with AWS the call only begins it. The rotation itself is the service's, with a record of its own that stands right
//! behind this one (`engine::due`).

use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::{Change, Key, KeyOrigin};

/// So long before an automatic rotation there is none on demand.
const CONFLICT_NANOS: u64 = 20 * 60 * 1_000_000_000;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let key = input.finish(key)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _rotated_by = call.authorize("kms:RotateKeyOnDemand", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    key.check_rotates()?;
    key.check_not_replica()?;
    key.check_enabled()?;
    check_alone(call, key)?;
    if key.origin == KeyOrigin::External && key.materials.waiting().is_none() {
        let text = format!("No available key material pending rotation for the key: {}.", key.arn);
        return Err(Refusal::new(ErrorCode::KMSInvalidStateException, text));
    }
    if key.origin == KeyOrigin::External && !key.is_ready_to_rotate(call.state) {
        let text = format!(
            "The key material pending rotation for the key {} is not imported into all of its replicas.",
            key.arn
        );
        return Err(Refusal::new(ErrorCode::KMSInvalidStateException, text));
    }
    if key.materials.rotations_on_demand() >= call.quotas.on_demand_rotations {
        let text = format!(
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
             performed for this key: {}",
            key.arn
        );
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    let reply = Reply::object(0).json("KeyId", key.arn.as_str()).finish();
    Ok((reply, Change::RotationRequested { key: key.arn.clone(), date: call.now }))
}

/// Refuses beside another rotation, one that is under way or one that is near.
fn check_alone(call: &Call<'_>, key: &Key) -> Result<(), Refusal> {
    let horizon = call.now.unix_nanos().saturating_add(CONFLICT_NANOS);
    let near = key.rotation.is_some_and(|schedule| schedule.next.unix_nanos() <= horizon);
    let what = match (key.rotation_requested, near) {
        (Some(_), _) => "a rotation is in progress",
        (None, true) => "its automatic rotation begins within 20 minutes",
        (None, false) => return Ok(()),
    };
    let text = format!("{} cannot be rotated on demand: {what}.", key.arn);
    Err(Refusal::new(ErrorCode::ConflictException, text))
}
