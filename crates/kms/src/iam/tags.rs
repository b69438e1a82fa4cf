//! `TagRole`, `UntagRole`, `TagUser`, `UntagUser`: what policies know as `aws:PrincipalTag`.

use keytrail_auth::UserName;

use super::{
    authorized_role, authorized_user, read_role_name, read_user_name, role_name, user_name,
};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::identity_facts::IdentityFact as Is;
use crate::input::Input;
use crate::ops::{Call, Changed};
use crate::reply::Reply;
use crate::state::{Change, IdentityChange, RoleChange};
use crate::tags::{Tag, TagKey, merge_iam, read_iam_tags, read_tag_keys};

pub(super) fn tag_role(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let tags = read_tags(&mut input);
    let (name, tags) = input.finish((name, tags))?;
    let (name, tags) = (role_name(&name)?, tags?);
    let role = authorized_role(call, "iam:TagRole", &name)?;
    facts.parameters =
        vec![Fact::Identity(Is::RoleName(name.clone())), Fact::Identity(Is::Tags(tags.clone()))];
    let change = RoleChange::TagsPut(merge_iam(&role.tags, &tags)?);
    Ok((Reply::empty(), call.change_role(name, change)))
}

pub(super) fn untag_role(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_role_name(&mut input);
    let keys = read_tag_keys(&mut input);
    let (name, keys) = input.finish((name, keys))?;
    let name = role_name(&name)?;
    let role = authorized_role(call, "iam:UntagRole", &name)?;
    let left = without(&role.tags, &keys);
    facts.parameters = vec![Fact::Identity(Is::RoleName(name.clone())), Fact::TagKeys(keys)];
    Ok((Reply::empty(), call.change_role(name, RoleChange::TagsPut(left))))
}

pub(super) fn tag_user(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_user_name(&mut input);
    let tags = read_tags(&mut input);
    let (name, tags) = input.finish((name, tags))?;
    let (name, tags) = (user_name(&name)?, tags?);
    let user = authorized_user(call, "iam:TagUser", &name)?;
    facts.parameters = vec![Fact::UserName(name.clone()), Fact::Identity(Is::Tags(tags.clone()))];
    let tags = merge_iam(&user.tags, &tags)?;
    Ok((Reply::empty(), put_on_user(call, name, tags)))
}

pub(super) fn untag_user(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let name = read_user_name(&mut input);
    let keys = read_tag_keys(&mut input);
    let (name, keys) = input.finish((name, keys))?;
    let name = user_name(&name)?;
    let user = authorized_user(call, "iam:UntagUser", &name)?;
    let left = without(&user.tags, &keys);
    facts.parameters = vec![Fact::UserName(name.clone()), Fact::TagKeys(keys)];
    Ok((Reply::empty(), put_on_user(call, name, left)))
}

/// Tags that must be there.
fn read_tags(input: &mut Input<'_>) -> Result<Vec<Tag>, Refusal> {
    input.require("Tags");
    let (tags, well) = read_iam_tags(input);
    well.map(|()| tags.unwrap_or_default())
}

fn put_on_user(call: &Call<'_>, user: UserName, tags: Vec<Tag>) -> Change {
    let account = call.caller.account().clone();
    Change::Identity(IdentityChange::UserTagsPut { account, user, tags })
}

fn without(tags: &[Tag], keys: &[TagKey]) -> Vec<Tag> {
    let goes = |tag: &Tag| keys.iter().any(|key| key.as_str().eq_ignore_ascii_case(&tag.tag_key));
    tags.iter().filter(|tag| !goes(tag)).cloned().collect()
}
