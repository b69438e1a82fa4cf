//! `ListAliases`: all aliases of the caller's account and Region, or those of one key, page by page, in order of name. The
//! aliases of AWS managed keys are always there, with a target once the key is made.

use std::ops::Bound;

use super::page::Page;
use super::{Call, KEY_ID_CHARS};
use crate::aws_managed::AwsService;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{ALIAS, AliasArn, KeyReference, Naming, no_such_key};
use crate::parameters::Marker;
use crate::reply::Reply;
use crate::state::{Alias, Key};

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
    let after = marker.as_ref().map(|marker| marker.name().to_owned());
    facts.parameters.extend(reference.map(Fact::KeyId));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let items = first_behind(call, after.as_deref(), of_key, limit);
    let page = Page::take(items.into_iter(), limit, |(arn, _)| arn.name().as_str().to_owned());
    Ok(page.reply("Aliases", |(arn, alias)| {
        Reply::object(0)
            .json("AliasName", arn.name().as_str())
            .json("AliasArn", arn.as_str())
            .maybe(*alias, |reply, alias| {
                reply
                    .json("TargetKeyId", alias.target.id().to_string())
                    .time("CreationDate", alias.created)
                    .time("LastUpdatedDate", alias.updated.unwrap_or(alias.created))
            })
    }))
}

/// A key of the caller's account. Nothing is told of others, not even that they are there: no key policy is asked here.
fn find_own<'a>(call: &'a Call<'_>, reference: &KeyReference) -> Result<&'a Key, Refusal> {
    let own = call.find(reference).ok().filter(|key| key.arn.account() == call.home().account());
    own.ok_or_else(|| no_such_key(reference.arn()))
}

/// The first aliases behind a name, one more than a page has. Those of AWS managed keys that there are not yet have no
/// target; they are nobody's while one asks for a key's.
fn first_behind<'a>(
    call: &'a Call<'_>,
    after: Option<&str>,
    of_key: Option<&Key>,
    limit: u32,
) -> Vec<(AliasArn, Option<&'a Alias>)> {
    let home = call.home();
    let start = match after {
        None => Bound::Included(home.arn_text(ALIAS)),
        Some(name) => Bound::Excluded(home.arn_text(name)),
    };
    let bounds = (start.as_ref().map(String::as_str), Bound::Unbounded);
    let made = call.state.aliases.range::<str, _>(bounds);
    let made = made.take_while(|(arn, _)| arn.place() == home);
    let made = made.filter(|(_, alias)| of_key.is_none_or(|key| key.arn == alias.target));
    let made = made.take(limit as usize + 1).map(|(arn, alias)| (arn.clone(), Some(alias)));
    let unmade = AwsService::all().iter().map(|service| service.alias_arn(home));
    let unmade = unmade.filter(|arn| {
        of_key.is_none()
            && after.is_none_or(|after| arn.name().as_str() > after)
            && !call.state.aliases.contains_key(arn)
    });
    let mut aliases = made.chain(unmade.map(|arn| (arn, None))).collect::<Vec<_>>();
    aliases.sort_by(|(one, _), (other, _)| one.name().cmp(other.name()));
    aliases
}
