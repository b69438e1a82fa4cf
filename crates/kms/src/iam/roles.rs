//! `CreateRole`, `GetRole`, `ListRoles`, `UpdateRole`, `UpdateAssumeRolePolicy`, `DeleteRole`.

use std::collections::BTreeMap;

use keytrail_auth::{RoleId, RoleName, RolePath, TrustPolicy};
use keytrail_event::Arn;

use super::{authorized_role, describe_tag, read_role_name, role_name};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::identity_facts::IdentityFact as Is;
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::parameters::{Description, PolicyName};
use crate::reply::Reply;
use crate::state::{Role, RoleChange};
use crate::tags::{Tag, read_iam_tags};

/// Roles that there may be: `ListRoles` answers in one page. AWS's quota.
const ROLES_MAX: usize = 1000;
/// Seconds that a role may let its sessions last.
const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3600..=43_200;
/// The longest trust policy, in characters: AWS's highest quota.
const TRUST_CHARS_MAX: usize = 4096;

pub(super) fn create(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let path = input.optional_text("Path", 1..=512);
    let trust = input.text("AssumeRolePolicyDocument", 1..=TRUST_CHARS_MAX);
    let description = Description::read(&mut input);
    let seconds = input.integer("MaxSessionDuration", SESSION_SECONDS);
    let (tags, well) = read_iam_tags(&mut input);
    refuse_boundary(&input)?;
    let (name, path, trust) = input.finish((name, path, trust))?;
    well?;
    let name = role_name(&name)?;
    let sent_path = path.as_deref().map(RolePath::parse).transpose();
    let sent_path = sent_path.map_err(|error| Refusal::validation(error.to_string()))?;
    let trust = read_trust(&trust)?;
    let path = sent_path.clone().unwrap_or_default();
    let arn = Arn::iam_role(call.caller.account(), path.as_str(), name.as_str());
    let _made = call.authorize_identity("iam:CreateRole", &arn.to_string())?;
    note_creation(facts, &name, sent_path, &trust, seconds, tags.as_ref());
    let account = call.caller.account().clone();
    if call.state.role(&account, &name).is_some() {
        let text = format!("Role with name {name} already exists.");
        return Err(Refusal::new(ErrorCode::EntityAlreadyExistsException, text));
    }
    if call.state.accounts.get(&account).is_some_and(|it| it.roles.len() >= ROLES_MAX) {
        let text = format!("There are {ROLES_MAX} roles already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let role = Role {
        id: RoleId::from_random(random_bytes(call.random)),
        path,
        created: call.now,
        description,
        trust,
        policies: BTreeMap::new(),
        tags: tags.unwrap_or_default(),
        max_session_seconds: seconds.unwrap_or(*SESSION_SECONDS.start()),
    };
    facts.elements.push(Fact::Identity(Is::Role {
        arn,
        id: role.id.clone(),
        name: name.clone(),
        path: role.path.clone(),
        created: role.created,
        trust: role.trust.clone(),
        tags: role.tags.clone(),
    }));
    let reply = Reply::object(0).nested("Role", describe(call, &name, &role)).finish();
    Ok((reply, call.change_role(name, RoleChange::Created(Box::new(role)))))
}

pub(super) fn get(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let name = read_role_name(&mut input);
    let name = role_name(&input.finish(name)?)?;
    let role = authorized_role(call, "iam:GetRole", &name)?;
    facts.parameters.push(Fact::Identity(Is::RoleName(name.clone())));
    Ok(Reply::object(0).nested("Role", describe(call, &name, role)).finish())
}

pub(super) fn list(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    input.finish(())?;
    let _listed_to = call.authorize_identity("iam:ListRoles", "*")?;
    let account = call.state.accounts.get(call.caller.account());
    let roles = account.into_iter().flat_map(|account| &account.roles);
    // Policy names are not in AWS's answer; they save a call for each role.
    let described = roles.map(|(name, role)| {
        let policies = role.policies.keys().map(PolicyName::as_str).collect::<Vec<_>>();
        describe(call, name, role).json("PolicyNames", policies)
    });
    Ok(Reply::object(0).list("Roles", described).json("IsTruncated", false).finish())
}

pub(super) fn update(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let given = input.has("Description");
    let description = Description::read(&mut input);
    let seconds = input.integer("MaxSessionDuration", SESSION_SECONDS);
    let name = role_name(&input.finish(name)?)?;
    let role = authorized_role(call, "iam:UpdateRole", &name)?;
    facts.parameters.push(Fact::Identity(Is::RoleName(name.clone())));
    if given {
        facts.parameters.push(Fact::Description(description.clone()));
    }
    facts.parameters.extend(seconds.map(|it| Fact::Identity(Is::MaxSessionDuration(it))));
    let change = RoleChange::Updated {
        description: if given { description } else { role.description.clone() },
        max_session_seconds: seconds.unwrap_or(role.max_session_seconds),
    };
    Ok((Reply::empty(), call.change_role(name, change)))
}

pub(super) fn update_trust(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let trust = input.text("PolicyDocument", 1..=TRUST_CHARS_MAX);
    let (name, trust) = input.finish((name, trust))?;
    let (name, policy) = (role_name(&name)?, read_trust(&trust)?);
    authorized_role(call, "iam:UpdateAssumeRolePolicy", &name)?;
    facts.parameters = vec![
        Fact::Identity(Is::Trust("PolicyDocument", policy.clone())),
        Fact::Identity(Is::RoleName(name.clone())),
    ];
    Ok((Reply::empty(), call.change_role(name, RoleChange::TrustPolicyPut(policy))))
}

/// Refused while the role has policies, as with AWS. Its sessions end with it.
pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let name = role_name(&input.finish(name)?)?;
    let role = authorized_role(call, "iam:DeleteRole", &name)?;
    facts.parameters.push(Fact::Identity(Is::RoleName(name.clone())));
    if !role.policies.is_empty() {
        let text = "Cannot delete entity, must delete policies first.";
        return Err(Refusal::new(ErrorCode::DeleteConflictException, text));
    }
    Ok((Reply::empty(), call.change_role(name, RoleChange::Deleted)))
}

/// `requestParameters` of `CreateRole`, in AWS's order.
fn note_creation(
    facts: &mut Facts,
    name: &RoleName,
    path: Option<RolePath>,
    trust: &TrustPolicy,
    seconds: Option<u32>,
    tags: Option<&Vec<Tag>>,
) {
    let given = [
        path.map(Is::Path),
        Some(Is::RoleName(name.clone())),
        Some(Is::Trust("AssumeRolePolicyDocument", trust.clone())),
        seconds.map(Is::MaxSessionDuration),
        tags.cloned().map(Is::Tags),
    ];
    facts.parameters = given.into_iter().flatten().map(Fact::Identity).collect();
}

fn read_trust(text: &str) -> Result<TrustPolicy, Refusal> {
    TrustPolicy::parse(text).map_err(|error| {
        Refusal::new(ErrorCode::MalformedPolicyDocumentException, error.to_string())
    })
}

/// A role without the boundary that it was meant to have would be wider than its maker believes.
fn refuse_boundary(input: &Input<'_>) -> Result<(), Refusal> {
    if !input.has("PermissionsBoundary") {
        return Ok(());
    }
    let text = "PermissionsBoundary is not supported: there are no managed policies here.";
    Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
}

fn describe(call: &Call<'_>, name: &RoleName, role: &Role) -> Reply {
    Reply::object(0)
        .json("Path", role.path.as_str())
        .json("RoleName", name.as_str())
        .json("RoleId", role.id.as_str())
        .json("Arn", role.arn(call.caller.account(), name).to_string())
        .time("CreateDate", role.created)
        .json("AssumeRolePolicyDocument", role.trust.as_str())
        .json("Description", role.description.as_str())
        .json("MaxSessionDuration", role.max_session_seconds)
        .list("Tags", role.tags.iter().map(describe_tag))
}
