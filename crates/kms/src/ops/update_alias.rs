//! `UpdateAlias`: an alias points at another key. It takes the permission on the alias, on the old key and on the new one.

use super::create_alias::{check_quota, read_alias_name};
use super::delete_alias::find_alias;
use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{AliasName, KeyReference, Naming};
use crate::reply::Reply;
use crate::state::{Change, Key};

struct Request {
    name: String,
    key: String,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let request = Self {
            name: read_alias_name(&mut input),
            key: input.text("TargetKeyId", KEY_ID_CHARS),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let Request { name, key } = Request::read(input)?;
    let name = AliasName::new(&name)?;
    if key.starts_with("alias/") {
        return Err(Refusal::validation("Aliases must refer to keys. Not aliases"));
    }
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let alias_arn = call.home().alias_arn(name.clone());
    let old = find_alias(call, &alias_arn)?;
    let new = call.find(&reference)?;
    let _named_by = call.authorize_identity("kms:UpdateAlias", alias_arn.as_str())?;
    let _taken_by = call.authorize("kms:UpdateAlias", old)?;
    let _pointed_by = call.authorize("kms:UpdateAlias", new)?;
    facts.parameters = vec![Fact::AliasName(name), Fact::TargetKeyId(reference)];
    facts.resources = vec![alias_arn.clone().into(), new.arn.clone().into()];
    // The old key may wait for its deletion: taking its alias away is what one does then.
    new.check_not_pending()?;
    check_same_kind(old, new)?;
    if old.arn != new.arn {
        check_quota(call, new)?;
    }
    facts.elements.push(Fact::KeyArn(new.arn.clone()));
    Ok((
        Reply::empty(),
        Change::AliasUpdated { arn: alias_arn, target: new.arn.clone(), date: call.now },
    ))
}

/// Whoever encrypts, signs or authenticates by the alias goes on doing so: both keys are symmetric, asymmetric or HMAC keys,
/// and for the same.
fn check_same_kind(old: &Key, new: &Key) -> Result<(), Refusal> {
    let same_type = old.is_symmetric() == new.is_symmetric();
    if same_type && old.kind.usage() == new.kind.usage() {
        return Ok(());
    }
    let (new, old) = (&new.arn, &old.arn);
    Err(Refusal::validation(format!(
        "The alias cannot be moved to {new}: its type or key usage differs from that of {old}."
    )))
}
