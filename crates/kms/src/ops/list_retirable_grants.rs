//! `ListRetirableGrants`: the grants, on whatever key in the Region, that a principal of the caller's account may retire
//! because they say so.

use super::Call;
use super::create_grant::read_principal;
use super::list_grants::{LIMIT_DEFAULT, describe, no_marker, reply};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::KeyArn;
use crate::parameters::Marker;
use crate::reply::Reply;
use crate::state::GrantId;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let marker = Marker::read(&mut input);
    let limit = input.integer("Limit", 1..=100);
    let principal = input.text("RetiringPrincipal", 1..=256);
    let (limit, principal) = input.finish((limit, principal))?;
    let marker = marker?;
    let principal = read_principal(&principal)?;
    let after = marker.as_ref().map(|marker| read_place(marker).ok_or_else(no_marker));
    let after = after.transpose()?;
    if principal.account().as_ref() != Some(call.caller.account()) {
        let text = "The retiring principal belongs to another account.";
        return Err(Refusal::new(ErrorCode::AccessDeniedException, text));
    }
    let _listed_to = call.authorize_identity("kms:ListRetirableGrants", "*")?;
    facts.parameters.push(Fact::RetiringPrincipal(principal.clone()));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let mut rest = call.state.grants.all().filter(|(key, grant)| {
        key.place().region() == call.home().region()
            && grant.retiring.as_ref() == Some(&principal)
            && after.as_ref().is_none_or(|(last, id)| (*key, &grant.id) > (last, id))
    });
    let limit = limit.unwrap_or(LIMIT_DEFAULT) as usize;
    let page = rest.by_ref().take(limit).collect::<Vec<_>>();
    let place = |(key, grant): &(&KeyArn, &crate::state::Grant)| format!("{key}/{}", grant.id);
    let next = rest.next().and(page.last()).map(|last| Marker::after(&place(last)));
    Ok(reply(page.iter().map(|(key, grant)| describe(key, grant)), next))
}

fn read_place(marker: &Marker) -> Option<(KeyArn, GrantId)> {
    let (key, grant) = marker.name().rsplit_once('/')?;
    Some((KeyArn::parse(key)?, GrantId::parse(grant)?))
}
