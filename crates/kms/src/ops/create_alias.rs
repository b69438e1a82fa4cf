//! `CreateAlias`: another name for a key. It takes the permission on the alias and on the key.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{AliasName, KeyReference, Naming};
use crate::reply::Reply;
use crate::state::{Alias, Change, Key};

/// Aliases that a key may have; AWS's quota.
const ALIASES_PER_KEY_MAX: usize = 50;

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

/// The parameter as the API bounds it. What an alias's name may be besides is up to [`AliasName::new`].
pub(super) fn read_alias_name(input: &mut Input<'_>) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ":/_-".contains(letter);
    input.text_of("AliasName", 256, "^[a-zA-Z0-9:/_-]+$", allowed)
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let Request { name, key } = Request::read(input)?;
    let name = AliasName::new(&name)?;
    if key.starts_with("alias/") {
        return Err(Refusal::validation("Aliases must refer to keys. Not aliases"));
    }
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let alias_arn = call.home().alias_arn(name.clone());
    let _named_by = call.authorize_identity("kms:CreateAlias", alias_arn.as_str())?;
    let _pointed_by = call.authorize("kms:CreateAlias", key)?;
    facts.parameters = vec![Fact::AliasName(name), Fact::TargetKeyId(reference)];
    facts.resources = vec![key.arn.clone().into(), alias_arn.clone().into()];
    key.check_not_pending()?;
    if call.state.aliases.contains_key(&alias_arn) {
        let text = format!("An alias with the name {alias_arn} already exists");
        return Err(Refusal::new(ErrorCode::AlreadyExistsException, text));
    }
    check_quota(call, key)?;
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    let alias = Alias { target: key.arn.clone(), created: call.now, updated: None };
    Ok((Reply::empty(), Change::AliasCreated { arn: alias_arn, alias }))
}

/// Refuses if the key has as many aliases as it may.
pub(super) fn check_quota(call: &Call<'_>, key: &Key) -> Result<(), Refusal> {
    if call.state.aliases_of(&key.arn).count() < ALIASES_PER_KEY_MAX {
        return Ok(());
    }
    let text = format!("The key {} has {ALIASES_PER_KEY_MAX} aliases already.", key.arn);
    Err(Refusal::new(ErrorCode::LimitExceededException, text))
}
