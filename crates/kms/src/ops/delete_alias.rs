//! `DeleteAlias`: the name is free again; its key is not touched, and may be in any state.

use super::create_alias::read_alias_name;
use super::{Call, Changed};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{AliasName, no_such_alias};
use crate::reply::Reply;
use crate::state::{Change, Key};

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_alias_name(&mut input);
    let name = AliasName::new(&input.finish(name)?)?;
    let key = find_alias(call, &name)?;
    let alias_arn = name.arn(call.config);
    let _unnamed_by = call.authorize_identity("kms:DeleteAlias", alias_arn.as_str())?;
    let _taken_by = call.authorize("kms:DeleteAlias", key)?;
    facts.parameters.push(Fact::AliasName(name.clone()));
    facts.resources = vec![alias_arn, key.arn.clone()];
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    Ok((Reply::empty(), Change::AliasDeleted(name)))
}

/// The key that an alias points at.
pub(super) fn find_alias<'a>(call: &Call<'a>, name: &AliasName) -> Result<&'a Key, Refusal> {
    let target = call.state.aliases.get(name).and_then(|alias| call.state.keys.get(&alias.target));
    target.ok_or_else(|| no_such_alias(name.arn(call.config).as_str()))
}
