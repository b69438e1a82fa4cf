//! `RetireGrant`: those whom a grant concerns end it when they are done. The grant itself says who may.

use super::list_grants::{no_such_grant, read_grant_id};
use super::{Call, Changed, KEY_ID_CHARS, end_rehearsal};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::grant_token;
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::GRANT_TOKEN_CHARS_MAX;
use crate::reply::Reply;
use crate::state::{Change, GrantId, Key};

struct Request {
    token: Option<String>,
    key: Option<String>,
    grant: Option<String>,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let token = input.member::<String>("GrantToken");
        // Not by `optional_text`: what does not fit is shown there, and a token must not be.
        match token.as_ref().map(|token| token.chars().count()) {
            Some(0) => {
                let constraint = "Member must have length greater than or equal to 1";
                input.problem("GrantToken", "Value", constraint);
            }
            Some(length) if length > GRANT_TOKEN_CHARS_MAX => {
                let constraint = format!(
                    "Member must have length less than or equal to {GRANT_TOKEN_CHARS_MAX}"
                );
                input.problem("GrantToken", "Value", &constraint);
            }
            _ => {}
        }
        let request = Self {
            token,
            key: input.optional_text("KeyId", KEY_ID_CHARS),
            grant: input.optional_text("GrantId", 1..=128),
            dry_run: input.flag("DryRun"),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let request = Request::read(input)?;
    let (key, id) = find(call, &request)?;
    let grant = call.state.grants.find(&key.arn, &id);
    let Some(grant) = grant else {
        return Err(match request.token {
            // Which grant an old token was for is not for everybody to know.
            Some(_) => Refusal::bare(ErrorCode::InvalidGrantTokenException),
            None => no_such_grant(&id.to_string()),
        });
    };
    let _retired_by = call.authorize_retirement(key, grant)?;
    // AWS records no parameters: one of them is a token.
    facts.additional.push(Fact::GrantId(id));
    facts.resources.push(key.arn.clone().into());
    end_rehearsal(request.dry_run)?;
    Ok((Reply::empty(), Change::GrantEnded { key: key.arn.clone(), grant: id }))
}

/// The key and the id of the grant that is meant: by its token, or by both.
fn find<'a>(call: &'a Call<'_>, request: &Request) -> Result<(&'a Key, GrantId), Refusal> {
    match request {
        Request { token: Some(token), key: None, grant: None, .. } => {
            let (key, grant) = grant_token::open(token, &call.config.origin, call.store_key)?;
            let is_here = key.place().region() == call.home().region();
            let key = call.state.keys.get(&key).filter(|_| is_here);
            let invalid = || Refusal::bare(ErrorCode::InvalidGrantTokenException);
            Ok((key.ok_or_else(invalid)?, grant))
        }
        Request { token: None, key: Some(key), grant: Some(grant), .. } => {
            let reference = KeyReference::parse(key, Naming::KeyOnly, call.home())?;
            Ok((call.find(&reference)?, read_grant_id(grant)?))
        }
        _ => Err(Refusal::validation(
            "You must specify either a GrantToken, or both a KeyId and a GrantId.",
        )),
    }
}
