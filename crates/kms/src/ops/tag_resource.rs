//! `TagResource`: puts tags on a key; one of the same name replaces the old one.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;
use crate::tags::{merge, read_tags};

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let (tags, well) = read_tags(&mut input);
    input.require("Tags");
    let key = input.finish(key)?;
    well?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _tagged_by = call.authorize("kms:TagResource", key)?;
    let added = tags.unwrap_or_default();
    facts.parameters = vec![Fact::KeyId(reference), Fact::Tags(added.clone())];
    facts.resources.push(key.arn.clone().into());
    key.check_not_pending()?;
    let tags = merge(&key.tags, &added)?;
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    Ok((Reply::empty(), Change::TagsPut { key: key.arn.clone(), tags }))
}
