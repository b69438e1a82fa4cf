//! Access keys of services: how a service of AWS, or what stands in for one, comes to call here.
//!
//! With AWS nobody makes such credentials. Here an administrator does, for a program that acts as `backup.amazonaws.com` would:
//! key policies then name it by `{"Service": …}`, and its records say so. The operations are those for users, with
//! `ServiceName` in place of `UserName`; whoever may call them for `*` may.

use keytrail_auth::{AccessKey, AccessKeyId, ServiceName};

use super::access_keys::{ACCESS_KEYS_MAX, generate, seal_secret};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::identity_facts::IdentityFact as Is;
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::reply::Reply;
use crate::state::{AccessKeyEntry, Change, IdentityChange, Owner};

pub(super) fn create(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = input.text("ServiceName", 1..=128);
    let name = service_name(&input.finish(name)?)?;
    let _may = call.authorize_identity("iam:CreateAccessKey", "*")?;
    facts.parameters.push(Fact::Identity(Is::ServiceName(name.clone())));
    let owner = Owner::Service { account: call.caller.account().clone(), name: name.clone() };
    if call.state.access_keys_of(&owner).count() >= ACCESS_KEYS_MAX {
        let text = format!("The service has {ACCESS_KEYS_MAX} access keys already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let AccessKey { id, secret } = generate(call.random);
    let created = call.now;
    let told = Is::ServiceAccessKey { id: id.clone(), service: name.clone(), created };
    facts.elements.push(Fact::Identity(told));
    let described = Reply::object(40)
        .json("ServiceName", name.as_str())
        .json("AccessKeyId", id.as_str())
        .json("Status", "Active")
        .secret_text("SecretAccessKey", secret.expose())
        .time("CreateDate", created);
    let reply = Reply::object(400).nested("AccessKey", described).finish();
    let sealed_secret = seal_secret(&id, &secret, call.store_key, call.random);
    let entry = AccessKeyEntry { owner, created, sealed_secret };
    Ok((reply, Change::Identity(IdentityChange::AccessKeyCreated { id, entry })))
}

pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = input.text("ServiceName", 1..=128);
    let id = input.text("AccessKeyId", 16..=128);
    let (name, id) = input.finish((name, id))?;
    let name = service_name(&name)?;
    let _may = call.authorize_identity("iam:DeleteAccessKey", "*")?;
    facts.parameters.push(Fact::Identity(Is::ServiceName(name.clone())));
    let owner = Owner::Service { account: call.caller.account().clone(), name };
    let owned = call.state.access_keys_of(&owner).find(|owned| owned.as_str() == id);
    let Some(id) = owned.cloned() else {
        let text = format!("The Access Key with id {id} cannot be found.");
        return Err(Refusal::new(ErrorCode::NoSuchEntityException, text));
    };
    facts.parameters.push(Fact::AccessKeyId(id.clone()));
    Ok((Reply::empty(), Change::Identity(IdentityChange::AccessKeyDeleted(id))))
}

/// `ListAccessKeys`, which here lists those of all services of the account. Those of users are in `ListUsers`.
pub(super) fn list(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    input.finish(())?;
    let _listed_to = call.authorize_identity("iam:ListAccessKeys", "*")?;
    let account = call.caller.account();
    let of_service = |(id, entry): (&AccessKeyId, &AccessKeyEntry)| match &entry.owner {
        Owner::Service { account: owner, name } if owner == account => Some(
            Reply::object(0)
                .json("ServiceName", name.as_str())
                .json("AccessKeyId", id.as_str())
                .json("Status", "Active")
                .time("CreateDate", entry.created),
        ),
        _ => None,
    };
    let keys = call.state.access_keys.iter().filter_map(of_service);
    Ok(Reply::object(0).list("AccessKeyMetadata", keys).json("IsTruncated", false).finish())
}

fn service_name(text: &str) -> Result<ServiceName, Refusal> {
    ServiceName::parse(text).map_err(|error| Refusal::validation(error.to_string()))
}
