//! `PutRolePolicy` and `DeleteRolePolicy`: the identity policies that lie on a role.

use keytrail_auth::{IdentityPolicy, POLICY_BYTES_MAX};

use super::policies::POLICIES_MAX;
use super::{authorized_role, read_role_name, role_name};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::identity_facts::IdentityFact as Is;
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::parameters::PolicyName;
use crate::reply::Reply;
use crate::state::RoleChange;

pub(super) fn put(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let role = read_role_name(&mut input);
    let name = PolicyName::read(&mut input);
    let document = input.text("PolicyDocument", 1..=POLICY_BYTES_MAX);
    let (role, name, document) = input.finish((role, name, document))?;
    let role = role_name(&role)?;
    let policy = IdentityPolicy::parse(&document).map_err(|error| {
        Refusal::new(ErrorCode::MalformedPolicyDocumentException, error.to_string())
    })?;
    let holder = authorized_role(call, "iam:PutRolePolicy", &role)?;
    facts.parameters = vec![
        Fact::Identity(Is::RoleName(role.clone())),
        Fact::PolicyDocument(policy.clone()),
        Fact::PolicyName(name.clone()),
    ];
    if !holder.policies.contains_key(&name) && holder.policies.len() >= POLICIES_MAX {
        let text = format!("The role has {POLICIES_MAX} policies already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let change = RoleChange::PolicyPut { name, policy };
    Ok((Reply::empty(), call.change_role(role, change)))
}

pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let role = read_role_name(&mut input);
    let name = PolicyName::read(&mut input);
    let (role, name) = input.finish((role, name))?;
    let role = role_name(&role)?;
    let holder = authorized_role(call, "iam:DeleteRolePolicy", &role)?;
    facts.parameters =
        vec![Fact::PolicyName(name.clone()), Fact::Identity(Is::RoleName(role.clone()))];
    if !holder.policies.contains_key(&name) {
        let text = format!("The role policy with name {} cannot be found.", name.as_str());
        return Err(Refusal::new(ErrorCode::NoSuchEntityException, text));
    }
    Ok((Reply::empty(), call.change_role(role, RoleChange::PolicyDeleted(name))))
}
