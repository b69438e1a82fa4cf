//! `PutKeyPolicy`: replaces a key's policy.

use keytrail_auth::{KeyPolicy, POLICY_BYTES_MAX};

use super::create_key::check_lockout;
use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::reply::Reply;
use crate::state::Change;

struct Request {
    key: String,
    policy: String,
    bypass_lockout_check: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let name = read_policy_name(&mut input);
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            policy: input.text("Policy", 1..=131_072),
            bypass_lockout_check: input.flag("BypassPolicyLockoutSafetyCheck"),
        };
        let request = input.finish(request)?;
        name.map(|()| request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let Request { key, policy, bypass_lockout_check } = Request::read(input)?;
    let policy = parse_policy(&policy)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _put_by = call.authorize("kms:PutKeyPolicy", key)?;
    facts.parameters = vec![
        Fact::KeyId(reference),
        Fact::PolicyNameDefault,
        Fact::Policy(policy.clone()),
        Fact::BypassPolicyLockoutSafetyCheck(bypass_lockout_check),
    ];
    facts.resources.push(key.arn.clone().into());
    if !bypass_lockout_check {
        check_lockout(call, &key.arn, &policy)?;
    }
    Ok((Reply::empty(), Change::KeyPolicyPut { key: key.arn.clone(), policy }))
}

/// A key has one policy, and it is called `default`.
pub(super) fn read_policy_name(input: &mut Input<'_>) -> Result<(), Refusal> {
    match input.optional_text("PolicyName", 1..=128).as_deref() {
        None | Some("default") => Ok(()),
        Some(_) => Err(Refusal::not_found("No such policy exists")),
    }
}

/// Reads a policy. Its limit is lower than that of the parameter, and has an error of its own.
pub(super) fn parse_policy(text: &str) -> Result<KeyPolicy, Refusal> {
    if text.len() > POLICY_BYTES_MAX {
        let text = format!("The policy has more than {POLICY_BYTES_MAX} bytes.");
        return Err(Refusal::new(ErrorCode::LimitExceededException, text));
    }
    KeyPolicy::parse(text).map_err(|error| {
        Refusal::new(ErrorCode::MalformedPolicyDocumentException, error.to_string())
    })
}
