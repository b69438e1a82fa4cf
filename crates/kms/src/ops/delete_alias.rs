//! `DeleteAlias`: the name is free again; its key is not touched, and may be in any state.

use super::create_alias::read_alias_name;
use super::{Call, Changed};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{AliasArn, AliasName, no_such_alias};
use crate::reply::Reply;
use crate::state::{Change, Key};

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_alias_name(&mut input);
    let name = AliasName::new(&input.finish(name)?)?;
    let alias_arn = call.home().alias_arn(name.clone());
    let key = find_alias(call, &alias_arn)?;
    let _unnamed_by = call.authorize_identity("kms:DeleteAlias", alias_arn.as_str())?;
    let _taken_by = call.authorize("kms:DeleteAlias", key)?;
    facts.parameters.push(Fact::AliasName(name));
    facts.resources = vec![alias_arn.clone().into(), key.arn.clone().into()];
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    Ok((Reply::empty(), Change::AliasDeleted(alias_arn)))
}

/// The key that an alias points at.
pub(super) fn find_alias<'a>(call: &Call<'a>, alias: &AliasArn) -> Result<&'a Key, Refusal> {
    let found = call.state.aliases.get(alias);
    let target = found.and_then(|alias| call.state.keys.get(&alias.target));
    target.ok_or_else(|| no_such_alias(alias.as_str()))
}
