//! Users, roles, services and their access keys: the few operations of IAM that an audited key engine cannot do without.
//!
//! They take the same path as KMS operations, so each leaves a record (`iam.amazonaws.com`, in us-east-1 like all of IAM),
//! and each change lies sealed in the same frame. A secret access key is in the answer of `CreateAccessKey`, sealed in the
//! state, and nowhere else.

mod access_keys;
mod policies;
mod role_policies;
mod roles;
mod service_keys;
mod tags;
mod users;

use keytrail_auth::{RoleName, UserName};
use keytrail_event::Arn;

use crate::error::{ErrorCode, Refusal};
use crate::input::Input;
use crate::ops::{Call, Operation, change, read};
use crate::reply::Reply;
use crate::state::{Change, IdentityChange, Role, RoleChange, User};
use crate::tags::Tag;

pub(crate) use access_keys::{generate, open_secret, seal_secret};

/// The region that records of IAM name: it is a global service, at home there.
pub(crate) const REGION: &str = "us-east-1";

/// The operations, by name.
pub(crate) const OPERATIONS: &[Operation] = &[
    change("CreateAccessKey", access_keys::create),
    change("CreateRole", roles::create),
    change("CreateUser", users::create),
    change("DeleteAccessKey", access_keys::delete),
    change("DeleteRole", roles::delete),
    change("DeleteRolePolicy", role_policies::delete),
    change("DeleteUser", users::delete),
    change("DeleteUserPolicy", policies::delete),
    read("GetRole", roles::get),
    read("ListAccessKeys", service_keys::list),
    read("ListRoles", roles::list),
    read("ListUsers", users::list),
    change("PutRolePolicy", role_policies::put),
    change("PutUserPolicy", policies::put),
    change("TagRole", tags::tag_role),
    change("TagUser", tags::tag_user),
    change("UntagRole", tags::untag_role),
    change("UntagUser", tags::untag_user),
    change("UpdateAssumeRolePolicy", roles::update_trust),
    change("UpdateRole", roles::update),
];

impl Call<'_> {
    /// A change of a role of the caller's account.
    fn change_role(&self, name: RoleName, change: RoleChange) -> Change {
        let account = self.caller.account().clone();
        Change::Identity(IdentityChange::Role { account, name, change })
    }
}

/// A user name as sent: of the allowed characters, which the validation texts of AWS call by a pattern.
fn read_user_name(input: &mut Input<'_>) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    input.text_of("UserName", 64, r"[\w+=,.@-]+", allowed)
}

fn user_name(text: &str) -> Result<UserName, Refusal> {
    UserName::parse(text).map_err(|error| Refusal::validation(error.to_string()))
}

/// Whether the caller may do `action` to the user; then, whether there is such a user.
fn authorized_user<'a>(
    call: &'a Call<'_>,
    action: &str,
    name: &UserName,
) -> Result<&'a User, Refusal> {
    authorize(call, action, name)?;
    call.state.user(call.caller.account(), name).ok_or_else(|| {
        let text = format!("The user with name {name} cannot be found.");
        Refusal::new(ErrorCode::NoSuchEntityException, text)
    })
}

fn authorize(call: &Call<'_>, action: &str, name: &UserName) -> Result<(), Refusal> {
    let user = Arn::iam_user(call.caller.account(), name.as_str());
    call.authorize_identity(action, &user.to_string()).map(drop)
}

fn read_role_name(input: &mut Input<'_>) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    input.text_of("RoleName", 64, r"[\w+=,.@-]+", allowed)
}

fn role_name(text: &str) -> Result<RoleName, Refusal> {
    RoleName::parse(text).map_err(|error| Refusal::validation(error.to_string()))
}

/// Whether the caller may do `action` to the role; then, whether there is such a role. One that is not there is asked about
/// as if its path were `/`.
fn authorized_role<'a>(
    call: &'a Call<'_>,
    action: &str,
    name: &RoleName,
) -> Result<&'a Role, Refusal> {
    let account = call.caller.account();
    let role = call.state.role(account, name);
    let path = role.map(|role| role.path.clone()).unwrap_or_default();
    let arn = Arn::iam_role(account, path.as_str(), name.as_str());
    let _may = call.authorize_identity(action, &arn.to_string())?;
    role.ok_or_else(|| {
        let text = format!("The role with name {name} cannot be found.");
        Refusal::new(ErrorCode::NoSuchEntityException, text)
    })
}

fn describe_tag(tag: &Tag) -> Reply {
    Reply::object(0).json("Key", tag.tag_key.as_str()).json("Value", tag.tag_value.as_str())
}
