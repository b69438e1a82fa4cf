//! `UntagResource`: takes tags off a key. One that is not there is no error.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;
use crate::tags::read_tag_keys;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let names = read_tag_keys(&mut input);
    let (key, names) = input.finish((key, names))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _untagged_by = call.authorize("kms:UntagResource", key)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::TagKeys(names.clone())];
    facts.resources.push(key.arn.clone().into());
    key.check_not_pending()?;
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    Ok((Reply::empty(), Change::TagsRemoved { key: key.arn.clone(), names }))
}
