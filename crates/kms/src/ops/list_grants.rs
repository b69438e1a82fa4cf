//! `ListGrants`: the grants of a key, page by page, in order of id; and how a grant is told about.

use keytrail_event::Json;

use super::create_grant::read_principal;
use super::{Call, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyArn, KeyReference, Naming};
use crate::parameters::Marker;
use crate::reply::Reply;
use crate::state::{Grant, GrantId};

/// Grants on a page when the request says none.
pub(super) const LIMIT_DEFAULT: u32 = 50;

struct Request {
    key: String,
    limit: Option<u32>,
    marker: Option<Marker>,
    grant: Option<String>,
    grantee: Option<String>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let marker = Marker::read(&mut input);
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            limit: input.integer("Limit", 1..=100),
            marker: None,
            grant: input.optional_text("GrantId", 1..=128),
            grantee: input.optional_text("GranteePrincipal", 1..=256),
        };
        let request = input.finish(request)?;
        Ok(Self { marker: marker?, ..request })
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, limit, marker, grant, grantee } = Request::read(input)?;
    let wanted = grant.as_deref().map(read_grant_id).transpose()?;
    let grantee = grantee.as_deref().map(read_principal).transpose()?;
    let after = marker.as_ref().map(|marker| GrantId::parse(marker.name()).ok_or_else(no_marker));
    let after = after.transpose()?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _listed_to = call.authorize("kms:ListGrants", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.parameters.extend(marker.map(Fact::Marker));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(wanted.map(Fact::GrantId));
    facts.parameters.extend(grantee.clone().map(Fact::GranteePrincipal));
    facts.resources.push(key.arn.clone().into());
    let mut rest = call.state.grants.of_key(&key.arn, after.as_ref()).filter(|grant| {
        wanted.as_ref().is_none_or(|wanted| *wanted == grant.id)
            && grantee.as_ref().is_none_or(|grantee| *grantee == grant.terms.grantee)
    });
    let limit = limit.unwrap_or(LIMIT_DEFAULT) as usize;
    let page = rest.by_ref().take(limit).collect::<Vec<_>>();
    let next = rest.next().and(page.last()).map(|grant| Marker::after(&grant.id.to_string()));
    Ok(reply(page.iter().map(|grant| describe(&key.arn, grant)), next))
}

/// A page of grants.
pub(super) fn reply(grants: impl Iterator<Item = Reply>, next: Option<Marker>) -> Reply {
    Reply::object(4096)
        .list("Grants", grants)
        .json("Truncated", next.is_some())
        .maybe(next, |reply, next| reply.json("NextMarker", next.as_str()))
        .finish()
}

/// A grant as both lists tell it; a name is empty if there is none.
pub(super) fn describe(key: &KeyArn, grant: &Grant) -> Reply {
    let Grant { id, terms, retiring, name, issuer, created } = grant;
    let operations = terms.operations.iter().map(|operation| operation.as_str());
    let constraint = terms.constraint.as_ref().map(|constraint| {
        let pairs = constraint.pairs().iter();
        let pairs =
            pairs.fold(Json::object(), |object, (key, value)| object.with(key, value.as_str()));
        Json::object().with(constraint.kind(), pairs)
    });
    Reply::object(512)
        .json("KeyId", key.as_str())
        .json("GrantId", id.to_string())
        .json("Name", name.as_ref().map_or("", |name| name.0.as_str()))
        .time("CreationDate", *created)
        .json("GranteePrincipal", terms.grantee.as_str())
        .maybe(retiring.as_ref(), |reply, retiring| {
            reply.json("RetiringPrincipal", retiring.as_str())
        })
        .json("IssuingAccount", format!("arn:aws:iam::{issuer}:root"))
        .json("Operations", operations.collect::<Vec<_>>())
        .maybe(constraint, |reply, constraint| reply.json("Constraints", constraint))
}

/// A grant's id as sent.
pub(super) fn read_grant_id(text: &str) -> Result<GrantId, Refusal> {
    GrantId::parse(text).ok_or_else(|| no_such_grant(text))
}

pub(super) fn no_such_grant(id: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidGrantIdException, format!("Grant ID {id} not found"))
}

pub(super) fn no_marker() -> Refusal {
    Refusal::new(ErrorCode::InvalidMarkerException, "Invalid marker")
}
