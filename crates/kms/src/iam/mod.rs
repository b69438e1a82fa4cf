//! Users and their access keys: the few operations of IAM that an audited key engine cannot do without.
//!
//! They take the same path as KMS operations, so each leaves a record (`iam.amazonaws.com`, in us-east-1 like all of IAM),
//! and each change lies sealed in the same frame. A secret access key is in the answer of `CreateAccessKey`, sealed in the
//! state, and nowhere else.

mod access_keys;
mod policies;
mod users;

use keytrail_auth::UserName;
use keytrail_event::Arn;

use crate::error::{ErrorCode, Refusal};
use crate::input::Input;
use crate::ops::{Call, Operation, Run};
use crate::state::User;

pub(crate) use access_keys::{generate, open_secret, seal_secret};

/// The region that records of IAM name: it is a global service, at home there.
pub(crate) const REGION: &str = "us-east-1";

/// The operations, by name.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "CreateAccessKey", read_only: false, run: Run::Change(access_keys::create) },
    Operation { name: "CreateUser", read_only: false, run: Run::Change(users::create) },
    Operation { name: "DeleteAccessKey", read_only: false, run: Run::Change(access_keys::delete) },
    Operation { name: "DeleteUser", read_only: false, run: Run::Change(users::delete) },
    Operation { name: "DeleteUserPolicy", read_only: false, run: Run::Change(policies::delete) },
    Operation { name: "ListUsers", read_only: true, run: Run::Read(users::list) },
    Operation { name: "PutUserPolicy", read_only: false, run: Run::Change(policies::put) },
];

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
