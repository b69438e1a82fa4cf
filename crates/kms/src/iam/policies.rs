//! `PutUserPolicy` and `DeleteUserPolicy`: the identity policies that lie on a user.

use keytrail_auth::{IdentityPolicy, POLICY_BYTES_MAX};

use super::{authorized_user, read_user_name, user_name};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::parameters::PolicyName;
use crate::reply::Reply;
use crate::state::{Change, IdentityChange};

/// Policies that a user or role may have; each of them is read at each decision.
pub(super) const POLICIES_MAX: usize = 10;

pub(super) fn put(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let user = read_user_name(&mut input);
    let name = PolicyName::read(&mut input);
    let document = input.text("PolicyDocument", 1..=POLICY_BYTES_MAX);
    let (user, name, document) = input.finish((user, name, document))?;
    let user = user_name(&user)?;
    let policy = IdentityPolicy::parse(&document).map_err(|error| {
        Refusal::new(ErrorCode::MalformedPolicyDocumentException, error.to_string())
    })?;
    let holder = authorized_user(call, "iam:PutUserPolicy", &user)?;
    facts.parameters = vec![
        Fact::UserName(user.clone()),
        Fact::PolicyName(name.clone()),
        Fact::PolicyDocument(policy.clone()),
    ];
    if !holder.policies.contains_key(&name) && holder.policies.len() >= POLICIES_MAX {
        let text = format!("The user has {POLICIES_MAX} policies already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let account = call.caller.account().clone();
    let change = IdentityChange::UserPolicyPut { account, user, name, policy };
    Ok((Reply::empty(), Change::Identity(change)))
}

pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let user = read_user_name(&mut input);
    let name = PolicyName::read(&mut input);
    let (user, name) = input.finish((user, name))?;
    let user = user_name(&user)?;
    let holder = authorized_user(call, "iam:DeleteUserPolicy", &user)?;
    facts.parameters = vec![Fact::UserName(user.clone()), Fact::PolicyName(name.clone())];
    if !holder.policies.contains_key(&name) {
        let text = format!("The user policy with name {} cannot be found.", name.as_str());
        return Err(Refusal::new(ErrorCode::NoSuchEntityException, text));
    }
    let account = call.caller.account().clone();
    let change = IdentityChange::UserPolicyDeleted { account, user, name };
    Ok((Reply::empty(), Change::Identity(change)))
}
