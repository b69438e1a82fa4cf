//! `CreateAccessKey` and `DeleteAccessKey`, and how a secret access key is kept.

use keytrail_auth::{AccessKey, AccessKeyId, SecretAccessKey};
use keytrail_ledger::Random;
use zeroize::Zeroizing;

use super::{authorized_user, read_user_name, service_keys, user_name};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::reply::Reply;
use crate::sealing::Purpose;
use crate::state::{AccessKeyEntry, Change, IdentityChange, Owner};
use crate::store_key::StoreKey;

/// Access keys that a user may have: one in use, one to change to. AWS's quota.
pub(super) const ACCESS_KEYS_MAX: usize = 2;

pub(super) fn create(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    if input.has("ServiceName") {
        return service_keys::create(call, input, facts);
    }
    let name = read_user_name(&mut input);
    let name = user_name(&input.finish(name)?)?;
    let _user = authorized_user(call, "iam:CreateAccessKey", &name)?;
    facts.parameters.push(Fact::UserName(name.clone()));
    let owner = Owner::User { account: call.caller.account().clone(), name: name.clone() };
    if call.state.access_keys_of(&owner).count() >= ACCESS_KEYS_MAX {
        let text = format!("The user has {ACCESS_KEYS_MAX} access keys already.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    let AccessKey { id, secret } = generate(call.random);
    let created = call.now;
    facts.elements.push(Fact::AccessKey { id: id.clone(), user: name.clone(), created });
    let described = Reply::object(40)
        .json("UserName", name.as_str())
        .json("AccessKeyId", id.as_str())
        .json("Status", "Active")
        .secret_text("SecretAccessKey", secret.expose())
        .time("CreateDate", created);
    let reply = Reply::object(300).nested("AccessKey", described).finish();
    let sealed_secret = seal_secret(&id, &secret, call.store_key, call.random);
    let entry = AccessKeyEntry { owner, created, sealed_secret };
    Ok((reply, Change::Identity(IdentityChange::AccessKeyCreated { id, entry })))
}

pub(super) fn delete(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    if input.has("ServiceName") {
        return service_keys::delete(call, input, facts);
    }
    let name = read_user_name(&mut input);
    let id = input.text("AccessKeyId", 16..=128);
    let (name, id) = input.finish((name, id))?;
    let name = user_name(&name)?;
    let _user = authorized_user(call, "iam:DeleteAccessKey", &name)?;
    let owner = Owner::User { account: call.caller.account().clone(), name: name.clone() };
    let owned = call.state.access_keys_of(&owner).find(|owned| owned.as_str() == id);
    let Some(id) = owned.cloned() else {
        facts.parameters.push(Fact::UserName(name));
        let text = format!("The Access Key with id {id} cannot be found.");
        return Err(Refusal::new(ErrorCode::NoSuchEntityException, text));
    };
    facts.parameters = vec![Fact::UserName(name), Fact::AccessKeyId(id.clone())];
    Ok((Reply::empty(), Change::Identity(IdentityChange::AccessKeyDeleted(id))))
}

/// A new access key.
pub(crate) fn generate(random: &dyn Random) -> AccessKey {
    let id = AccessKeyId::from_random(random_bytes(random));
    let mut bytes = Zeroizing::new([0; 30]);
    random.fill(bytes.as_mut());
    AccessKey { id, secret: SecretAccessKey::from_random(&bytes) }
}

/// Seals a secret under its id, so that it opens for no other.
pub(crate) fn seal_secret(
    id: &AccessKeyId,
    secret: &SecretAccessKey,
    store_key: &StoreKey,
    random: &dyn Random,
) -> Vec<u8> {
    let (aad, secret) = (id.as_str().as_bytes(), secret.expose().as_bytes());
    store_key.seal(Purpose::SecretAccessKey, aad, secret, random)
}

/// Opens a sealed secret; `None` if it is not what this store key sealed for this id.
pub(crate) fn open_secret(
    id: &AccessKeyId,
    sealed: &[u8],
    store_key: &StoreKey,
) -> Option<SecretAccessKey> {
    let opened = store_key.open(Purpose::SecretAccessKey, id.as_str().as_bytes(), sealed).ok()?;
    let text = std::str::from_utf8(&opened).ok()?;
    let mut secret = Zeroizing::new(String::with_capacity(text.len()));
    secret.push_str(text);
    Some(SecretAccessKey::from_sealed(secret))
}
