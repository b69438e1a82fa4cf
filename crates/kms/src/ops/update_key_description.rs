//! `UpdateKeyDescription`: another text that says what a key is for.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::Description;
use crate::reply::Reply;
use crate::state::Change;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let description = Description::read_required(&mut input);
    let (key, description) = input.finish((key, description))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _described_by = call.authorize("kms:UpdateKeyDescription", key)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::Description(description.clone())];
    facts.resources.push(key.arn.clone().into());
    key.check_not_pending()?;
    Ok((Reply::empty(), Change::DescriptionPut { key: key.arn.clone(), description }))
}
