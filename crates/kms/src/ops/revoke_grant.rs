//! `RevokeGrant`: those who administer a key end a grant.

use super::list_grants::{no_such_grant, read_grant_id};
use super::{Call, Changed, KEY_ID_CHARS, end_rehearsal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let grant = input.text("GrantId", 1..=128);
    let dry_run = input.flag("DryRun");
    let (key, grant, dry_run) = input.finish((key, grant, dry_run))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _revoked_by = call.authorize("kms:RevokeGrant", key)?;
    let id = read_grant_id(&grant)?;
    facts.parameters = vec![Fact::KeyId(reference), Fact::GrantId(id)];
    facts.resources.push(key.arn.clone().into());
    if call.state.grants.find(&key.arn, &id).is_none() {
        return Err(no_such_grant(&id.to_string()));
    }
    end_rehearsal(dry_run)?;
    Ok((Reply::empty(), Change::GrantEnded { key: key.arn.clone(), grant: id }))
}
