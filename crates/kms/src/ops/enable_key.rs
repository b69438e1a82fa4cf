//! `EnableKey`, and what it shares with `DisableKey`: both are the same call but for the state they lead to.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyArn, KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    switch("kms:EnableKey", Change::KeyEnabled, call, input, facts)
}

/// Idempotent, as with AWS: enabling an enabled key succeeds, and is a record and a change like any other.
pub(super) fn switch(
    action: &str,
    change: fn(KeyArn) -> Change,
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let key = input.finish(key)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _switched_by = call.authorize(action, key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.resources.push(key.arn.clone().into());
    key.check_not_pending()?;
    key.check_imported()?;
    // Since December 2022 AWS names the key here, so that a search by ARN finds the call.
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    Ok((Reply::empty(), change(key.arn.clone())))
}
