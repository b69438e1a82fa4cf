//! STS: who the caller is, and sessions of roles.
//!
//! Clients ask it first of all (`aws sts get-caller-identity`), so its calls take the same path as any other and are recorded.
//! Federation, sessions of users and of root do not exist here; their operations are known by name and refused.

mod assume_role;

use keytrail_event::Json;

use crate::error::Refusal;
use crate::facts::Facts;
use crate::input::Input;
use crate::ops::{Call, Operation, Run};
use crate::reply::Reply;

pub(crate) use assume_role::Assumption;

/// The Region that clients may sign for besides the engine's own: that of the global endpoint.
pub(crate) const REGION: &str = "us-east-1";

/// All operations (botocore 1.44).
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "AssumeRole", read_only: true, run: Run::Read(assume_role::run) },
    later("AssumeRoleWithSAML"),
    later("AssumeRoleWithWebIdentity"),
    later("AssumeRoot"),
    later("DecodeAuthorizationMessage"),
    later("GetAccessKeyInfo"),
    Operation { name: "GetCallerIdentity", read_only: true, run: Run::Read(get_caller_identity) },
    later("GetDelegatedAccessToken"),
    later("GetFederationToken"),
    later("GetSessionToken"),
    later("GetWebIdentityToken"),
];

/// `CloudTrail` calls all operations of STS reads.
const fn later(name: &'static str) -> Operation {
    Operation { name, read_only: true, run: Run::Unsupported }
}

/// Needs no permission, and cannot be denied one: it tells callers only what their signature says.
fn get_caller_identity(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Result<Reply, Refusal> {
    input.finish(())?;
    let principal = call.caller.principal();
    Ok(Reply::object(0)
        .json("UserId", call.caller.principal_id())
        .json("Account", principal.account().as_str())
        .json("Arn", Json::from(principal.to_string()))
        .finish())
}

/// A session's name or source identity.
fn read_optional_name(input: &mut Input<'_>, member: &'static str) -> Option<String> {
    let text = input.optional_text(member, 2..=64)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    if !text.chars().all(allowed) {
        let shown = text.chars().take(64).collect::<String>();
        let pattern = r"Member must satisfy regular expression pattern: [\w+=,.@-]*";
        input.problem(member, &format!("Value '{shown}'"), pattern);
    }
    Some(text)
}
