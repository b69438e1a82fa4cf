//! `CreateUser`, `DeleteUser`, `ListUsers`.

use std::collections::BTreeMap;

use keytrail_auth::{UserId, UserName};
use keytrail_event::Arn;

use super::{authorize, authorized_user, describe_tag, read_user_name, user_name};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::reply::Reply;
use crate::state::{Change, IdentityChange, Owner, User};

/// Users that an account may have: `ListUsers` answers in one page.
const USERS_MAX: usize = 5000;

pub(super) fn create(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_user_name(&mut input);
    let name = user_name(&input.finish(name)?)?;
    authorize(call, "iam:CreateUser", &name)?;
    facts.parameters.push(Fact::UserName(name.clone()));
    let account = call.caller.account().clone();
    if call.state.user(&account, &name).is_some() {
        let text = format!("User with name {name} already exists.");
        return Err(Refusal::new(ErrorCode::EntityAlreadyExistsException, text));
    }
    if users(call).count() >= USERS_MAX {
        let text = format!("There are {USERS_MAX} users already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let id = UserId::from_random(random_bytes(call.random));
    let arn = Arn::iam_user(&account, name.as_str());
    facts.elements.push(Fact::User { arn, id: id.clone(), name: name.clone(), created: call.now });
    let user = User { id, created: call.now, policies: BTreeMap::new(), tags: Vec::new() };
    let reply = Reply::object(0).nested("User", describe(call, &name, &user)).finish();
    Ok((reply, Change::Identity(IdentityChange::UserCreated { account, name, user })))
}

/// Refused while the user has access keys or policies, as with AWS: nobody loses them by surprise.
pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_user_name(&mut input);
    let name = user_name(&input.finish(name)?)?;
    let user = authorized_user(call, "iam:DeleteUser", &name)?;
    facts.parameters.push(Fact::UserName(name.clone()));
    let conflict = |what: &str| {
        let text = format!("Cannot delete entity, must delete {what} first.");
        Err(Refusal::new(ErrorCode::DeleteConflictException, text))
    };
    let account = call.caller.account().clone();
    let owner = Owner::User { account: account.clone(), name: name.clone() };
    if call.state.access_keys_of(&owner).next().is_some() {
        return conflict("access keys");
    }
    if !user.policies.is_empty() {
        return conflict("policies");
    }
    Ok((Reply::empty(), Change::Identity(IdentityChange::UserDeleted { account, name })))
}

pub(super) fn list(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    input.finish(())?;
    let _listed_to = call.authorize_identity("iam:ListUsers", "*")?;
    let described = users(call).map(|(name, user)| {
        // Not in AWS's answer; it saves a call for each user and shows nothing that is secret.
        let owner = Owner::User { account: call.caller.account().clone(), name: name.clone() };
        let keys = call
            .state
            .access_keys_of(&owner)
            .map(keytrail_auth::AccessKeyId::as_str)
            .collect::<Vec<_>>();
        let policies = user
            .policies
            .keys()
            .map(super::super::parameters::PolicyName::as_str)
            .collect::<Vec<_>>();
        describe(call, name, user).json("AccessKeyIds", keys).json("PolicyNames", policies)
    });
    Ok(Reply::object(4096).list("Users", described).json("IsTruncated", false).finish())
}

/// The users of the caller's account, in order of name.
fn users<'a>(call: &Call<'a>) -> impl Iterator<Item = (&'a UserName, &'a User)> {
    let account = call.state.accounts.get(call.caller.account());
    account.into_iter().flat_map(|account| &account.users)
}

fn describe(call: &Call<'_>, name: &UserName, user: &User) -> Reply {
    let arn = Arn::iam_user(call.caller.account(), name.as_str());
    Reply::object(0)
        .json("Path", "/")
        .json("UserName", name.as_str())
        .json("UserId", user.id.as_str())
        .json("Arn", arn.to_string())
        .time("CreateDate", user.created)
        .list("Tags", user.tags.iter().map(describe_tag))
}
