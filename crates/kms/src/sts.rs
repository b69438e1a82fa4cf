//! STS, as far as an engine without roles can answer: who the caller is.
//!
//! Clients ask it first of all (`aws sts get-caller-identity`), so the call takes the same path as any other and is recorded.
//! Sessions and roles do not exist yet; their operations are known by name and refused.

use keytrail_event::Json;

use crate::error::Refusal;
use crate::facts::Facts;
use crate::input::Input;
use crate::ops::{Call, Operation, Run};
use crate::reply::Reply;

/// The Region that clients may sign for besides the engine's own: that of the global endpoint.
pub(crate) const REGION: &str = "us-east-1";

/// All operations (botocore 1.44).
pub(crate) const OPERATIONS: &[Operation] = &[
    later("AssumeRole"),
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
