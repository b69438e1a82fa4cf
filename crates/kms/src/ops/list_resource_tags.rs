//! `ListResourceTags`: a key's tags, page by page, in order of their names.

use super::page::Page;
use super::{Call, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::Marker;
use crate::reply::Reply;
use crate::tags::Tag;

/// The most that a page holds, and what it holds if the request says nothing; a key has no more.
const LIMIT_MAX: u32 = 50;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let limit = input.integer("Limit", 1..=LIMIT_MAX);
    let marker = Marker::read(&mut input)?;
    let (key, limit) = input.finish((key, limit))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _listed_to = call.authorize("kms:ListResourceTags", key)?;
    let behind = marker.as_ref().map(|marker| marker.name().to_owned());
    facts.parameters.push(Fact::KeyId(reference));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    facts.resources.push(key.arn.clone().into());
    let mut tags = key.tags.iter().collect::<Vec<_>>();
    tags.sort_by(|one, other| one.tag_key.cmp(&other.tag_key));
    let rest =
        tags.into_iter().filter(|tag| behind.as_ref().is_none_or(|behind| tag.tag_key > *behind));
    let page = Page::take(rest, limit.unwrap_or(LIMIT_MAX), |tag: &&Tag| tag.tag_key.clone());
    Ok(page.reply("Tags", |tag| tag.to_reply()))
}
