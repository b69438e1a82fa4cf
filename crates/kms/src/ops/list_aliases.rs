//! `ListAliases`: all aliases of the caller's account and Region, or those of one key, page by page, in order of name.

use std::ops::Bound;

use super::page::Page;
use super::{Call, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{ALIAS, KeyReference, Naming, no_such_key};
use crate::parameters::Marker;
use crate::reply::Reply;
use crate::state::Key;

const LIMIT_DEFAULT: u32 = 50;

struct Request {
    key: Option<String>,
    limit: Option<u32>,
    marker: Option<Marker>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let request = Self {
            key: input.optional_text("KeyId", KEY_ID_CHARS),
            limit: input.integer("Limit", 1..=100),
            marker: Marker::read(&mut input)?,
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, limit, marker } = Request::read(input)?;
    let reference =
        key.map(|key| KeyReference::parse(&key, Naming::KeyOnly, call.home())).transpose()?;
    let of_key = reference.as_ref().map(|reference| find_own(call, reference)).transpose()?;
    let _listed_to = call.authorize_identity("kms:ListAliases", "*")?;
    let start = match &marker {
        None => Bound::Included(call.home().arn_text(ALIAS)),
        Some(marker) => Bound::Excluded(call.home().arn_text(marker.name())),
    };
    facts.parameters.extend(reference.map(Fact::KeyId));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let bounds = (start.as_ref().map(String::as_str), Bound::Unbounded);
    let rest = call.state.aliases.range::<str, _>(bounds);
    let rest = rest.take_while(|(arn, _)| arn.place() == call.home());
    let rest = rest.filter(|(_, alias)| of_key.is_none_or(|key| key.arn == alias.target));
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let page = Page::take(rest, limit, |(arn, _)| arn.name().as_str().to_owned());
    Ok(page.reply("Aliases", |(arn, alias)| {
        Reply::object(0)
            .json("AliasName", arn.name().as_str())
            .json("AliasArn", arn.as_str())
            .json("TargetKeyId", alias.target.id().to_string())
            .time("CreationDate", alias.created)
            .time("LastUpdatedDate", alias.updated.unwrap_or(alias.created))
    }))
}

/// A key of the caller's account. Nothing is told of others, not even that they are there: no key policy is asked here.
fn find_own<'a>(call: &'a Call<'_>, reference: &KeyReference) -> Result<&'a Key, Refusal> {
    let own = call.find(reference).ok().filter(|key| key.arn.account() == call.home().account());
    own.ok_or_else(|| no_such_key(reference.arn()))
}
