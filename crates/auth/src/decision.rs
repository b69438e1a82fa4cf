//! The decision: may this principal do this to that?
//!
//! The order is AWS's, with what exists here
//! ([evaluation for KMS](https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html)):
//!
//! 1. A `Deny` that applies, in the key policy or in an identity policy, ends it.
//! 2. Same account: allowed if the key policy names the principal, or if it names the account *and* an identity policy
//!    allows. The root user needs no identity policy; it has none.
//! 3. Another account: the key policy must allow the principal or its account, and an identity policy must allow too; and
//!    only what may cross accounts at all.
//! 4. Else a grant allows, if it names the principal, lists the operation, and its constraint fits.
//! 5. Actions that have no key (`kms:CreateKey`, `kms:ListKeys`, …): an identity policy allows, or the caller is root.
//!
//! Nothing is implicit: a key whose policy is empty is out of reach even for root. What each statement and grant had to say
//! is told by `explanation`, which asks the same functions in the same order; only here is decided.

use std::fmt;

use keytrail_event::AccountId;

use crate::grant::{GrantMismatch, GrantOperation};
use crate::policy::{Effect, Mismatch, Named, Statement};
use crate::{
    GrantFacts, GrantPrincipal, GrantTerms, IdentityPolicy, KeyPolicy, Principal, RequestContext,
};

/// A question to [`decide`].
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// The action with its service, `kms:Encrypt`.
    pub action: &'a str,
    /// What it is done to.
    pub resource: Resource<'a>,
    /// All identity policies of the principal.
    pub identity_policies: &'a [&'a IdentityPolicy],
    /// The request's condition keys. May be empty if no policy [needs](KeyPolicy::needs_context) them.
    pub context: &'a RequestContext,
    /// What grants look at. May be [`GrantFacts::NONE`] if there are no grants.
    pub grant_facts: GrantFacts<'a>,
}

/// What an action is done to. A key cannot be named without its policy.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// A KMS key.
    Key {
        /// The key's ARN.
        arn: &'a str,
        /// The account that owns it.
        account: &'a AccountId,
        /// Its key policy.
        policy: &'a KeyPolicy,
        /// Its grants, or those of them that name the principal or its account.
        grants: &'a [&'a GrantTerms],
    },
    /// Something that has no policy of its own, so that identity policies alone decide: an alias or user by its ARN, or
    /// `*` for actions that have no resource.
    Identity {
        /// The ARN, or `*`.
        arn: &'a str,
    },
}

impl<'a> Resource<'a> {
    fn arn(&self) -> &'a str {
        match self {
            Self::Key { arn, .. } | Self::Identity { arn } => arn,
        }
    }
}

/// Proof that [`decide`] said yes, for one action on one resource. There is no other way to make one.
#[derive(Debug)]
#[must_use = "the token opens what it was asked for; dropping it means nobody needed the decision"]
pub struct Authorized {
    action: String,
    resource: String,
    grounds: Grounds,
}

impl Authorized {
    /// The action that was allowed.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The ARN (or `*`) that it was allowed on: whoever guards a thing compares this with the thing.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// What the decision rests on.
    pub fn grounds(&self) -> &Grounds {
        &self.grounds
    }
}

/// What a decision rests on: statements are counted from 1, policies and grants too, in the order they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grounds {
    /// A statement of the key policy that names the principal.
    KeyPolicy {
        /// Position of the statement.
        statement: usize,
    },
    /// A statement of an identity policy, where the key policy delegates or there is no key.
    IdentityPolicy {
        /// Position of the policy.
        policy: usize,
        /// Position of the statement in it.
        statement: usize,
    },
    /// A grant.
    Grant {
        /// Position of the grant.
        grant: usize,
    },
    /// The root user: for an action that has no key, or for retiring a grant that its account made.
    Root,
}

/// The answer no. Its `Display` is the text that AWS gives to the caller and writes into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    principal: String,
    action: String,
    resource: String,
    refusal: Refusal,
}

impl Denied {
    /// Why it was denied.
    pub fn reason(&self) -> Reason {
        self.refusal.reason
    }

    /// The statement that denies; `None` if there is none, and nothing allows.
    pub fn denied_by(&self) -> Option<Grounds> {
        self.refusal.by
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, action, resource, refusal } = self;
        write!(
            f,
            "User: {principal} is not authorized to perform: {action} on resource: {resource} "
        )?;
        match refusal.reason {
            Reason::NoIdentityPolicy => {
                write!(f, "because no identity-based policy allows the {action} action")
            }
            Reason::NoKeyPolicy => {
                write!(f, "because no resource-based policy allows the {action} action")
            }
            Reason::DeniedByIdentityPolicy => {
                write!(f, "with an explicit deny in an identity-based policy")
            }
            Reason::DeniedByKeyPolicy => {
                write!(f, "with an explicit deny in a resource-based policy")
            }
        }
    }
}

impl std::error::Error for Denied {}

/// Why a request was denied, each with a clause of its own in AWS's text
/// ([access denied messages](https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The key policy delegates (or there is no key), but no identity policy allows.
    NoIdentityPolicy,
    /// The key policy neither names the principal nor delegates to its account.
    NoKeyPolicy,
    /// A `Deny` in an identity policy.
    DeniedByIdentityPolicy,
    /// A `Deny` in the key policy.
    DeniedByKeyPolicy,
}

/// A reason, and the statement behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    reason: Reason,
    by: Option<Grounds>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, by: None }
    }
}

/// Decides one request. Total: every input has an answer, and without an allowing statement or grant it is no.
pub fn decide(request: &AccessRequest<'_>) -> Result<Authorized, Denied> {
    let caller = request.principal.arn().to_string();
    let verdict = match request.resource {
        Resource::Key { .. } => decide_on_key(request, &caller),
        Resource::Identity { .. } => decide_without_key(request, &caller),
    };
    conclude(request, caller, verdict)
}

/// A grant that somebody wants to retire.
#[derive(Debug, Clone, Copy)]
pub struct Retirement<'a> {
    /// What it allows, and whom.
    pub terms: &'a GrantTerms,
    /// Who may retire it, if it says so.
    pub retiring: Option<&'a GrantPrincipal>,
    /// The id of the account that made it.
    pub issuer: &'a str,
}

/// Decides whether one of these grants may be retired by `request`, whose action is `kms:RetireGrant`; a call has one, whoever
/// asks what could be retired has all of a key's.
///
/// A grant itself says who may: its retiring principal, its grantee if `RetireGrant` is among the operations, and the
/// root user of the account that made it. An identity policy alone is not enough, but a `Deny` anywhere is
/// ([retiring](https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html)).
pub fn decide_retirement(
    request: &AccessRequest<'_>,
    retirements: &[Retirement<'_>],
) -> Result<Authorized, Denied> {
    let caller = request.principal.arn().to_string();
    let verdict = may_retire(request, &caller, retirements);
    conclude(request, caller, verdict)
}

fn conclude(
    request: &AccessRequest<'_>,
    caller: String,
    verdict: Result<Grounds, Refusal>,
) -> Result<Authorized, Denied> {
    let (action, resource) = (request.action.to_owned(), request.resource.arn().to_owned());
    match verdict {
        Ok(grounds) => Ok(Authorized { action, resource, grounds }),
        Err(refusal) => Err(Denied { principal: caller, action, resource, refusal }),
    }
}

fn decide_on_key(request: &AccessRequest<'_>, caller: &str) -> Result<Grounds, Refusal> {
    let principal = request.principal;
    let OnKey { named, delegated } = allowed_by_key_policy(request, caller)?;
    let identity = allowed_by_identity(request, caller)?;
    let own_account = match request.resource {
        Resource::Key { account, .. } => principal.account() == account,
        Resource::Identity { .. } => true,
    };
    if !own_account && !may_cross_accounts(request.action) {
        return Err(Reason::NoKeyPolicy.into());
    }
    match (named, identity) {
        (Some(grounds), _) if own_account || principal.is_root() => return Ok(grounds),
        (Some(_), Some(grounds)) => return Ok(grounds),
        (None, Some(grounds)) if delegated => return Ok(grounds),
        _ => {}
    }
    for (place, _, met) in on_grants(request, caller) {
        match met {
            Ok(Named::Directly) => return Ok(place),
            Ok(Named::ByAccount) if principal.is_root() || identity.is_some() => return Ok(place),
            Ok(_) | Err(_) => {}
        }
    }
    match (named, delegated) {
        (None, false) => Err(Reason::NoKeyPolicy.into()),
        _ => Err(Reason::NoIdentityPolicy.into()),
    }
}

fn decide_without_key(request: &AccessRequest<'_>, caller: &str) -> Result<Grounds, Refusal> {
    match allowed_by_identity(request, caller)? {
        Some(grounds) => Ok(grounds),
        None if request.principal.is_root() => Ok(Grounds::Root),
        None => Err(Reason::NoIdentityPolicy.into()),
    }
}

fn may_retire(
    request: &AccessRequest<'_>,
    caller: &str,
    retirements: &[Retirement<'_>],
) -> Result<Grounds, Refusal> {
    let principal = request.principal;
    allowed_by_key_policy(request, caller)?;
    let identity = allowed_by_identity(request, caller)?;
    let may = |holder: &GrantPrincipal| match holder.names(principal, caller) {
        Named::Directly => true,
        Named::ByAccount => principal.is_root() || identity.is_some(),
        Named::Not => false,
    };
    for (Retirement { terms, retiring, issuer }, grant) in retirements.iter().zip(1..) {
        let by_grantee = terms.operations.contains(&GrantOperation::RetireGrant);
        if retiring.is_some_and(may) || (by_grantee && may(&terms.grantee)) {
            return Ok(Grounds::Grant { grant });
        }
        if principal.is_root() && principal.account().as_str() == *issuer {
            return Ok(Grounds::Root);
        }
    }
    Err(Reason::NoKeyPolicy.into())
}

/// What a key policy allows.
struct OnKey {
    /// The first statement that names the principal.
    named: Option<Grounds>,
    /// Whether a statement leaves it to the account's identity policies.
    delegated: bool,
}

/// What the key policy allows; a denying statement anywhere in it is an error.
fn allowed_by_key_policy(request: &AccessRequest<'_>, caller: &str) -> Result<OnKey, Refusal> {
    let mut allowed = OnKey { named: None, delegated: false };
    for (place, effect, met) in on_key_policy(request, caller) {
        match (effect, met) {
            (_, Err(_) | Ok(Named::Not)) => {}
            (Effect::Deny, Ok(_)) => {
                return Err(Refusal { reason: Reason::DeniedByKeyPolicy, by: Some(place) });
            }
            (Effect::Allow, Ok(Named::Directly)) => allowed.named = allowed.named.or(Some(place)),
            (Effect::Allow, Ok(Named::ByAccount)) => allowed.delegated = true,
        }
    }
    Ok(allowed)
}

/// The first allowing statement of the identity policies; a denying one anywhere in them is an error.
fn allowed_by_identity(
    request: &AccessRequest<'_>,
    caller: &str,
) -> Result<Option<Grounds>, Refusal> {
    let mut allowed = None;
    for (place, effect, met) in on_identity_policies(request, caller) {
        match (effect, met) {
            (_, Err(_)) => {}
            (Effect::Deny, Ok(_)) => {
                return Err(Refusal { reason: Reason::DeniedByIdentityPolicy, by: Some(place) });
            }
            (Effect::Allow, Ok(_)) => allowed = allowed.or(Some(place)),
        }
    }
    Ok(allowed)
}

/// A place, what stands there, and whether that meets the request.
pub(crate) type Met<E> = (Grounds, Effect, Result<Named, E>);

pub(crate) fn on_key_policy<'a>(
    request: &'a AccessRequest<'a>,
    caller: &'a str,
) -> impl Iterator<Item = Met<Mismatch<'a>>> {
    let statements = match request.resource {
        Resource::Key { policy, .. } => policy.statements(),
        Resource::Identity { .. } => &[],
    };
    statements.iter().zip(1..).map(move |(statement, number)| {
        let place = Grounds::KeyPolicy { statement: number };
        (place, statement.effect, meets(statement, request, caller))
    })
}

pub(crate) fn on_identity_policies<'a>(
    request: &'a AccessRequest<'a>,
    caller: &'a str,
) -> impl Iterator<Item = Met<Mismatch<'a>>> {
    request.identity_policies.iter().zip(1..).flat_map(move |(policy, position)| {
        policy.statements().iter().zip(1..).map(move |(statement, number)| {
            let place = Grounds::IdentityPolicy { policy: position, statement: number };
            (place, statement.effect, meets(statement, request, caller))
        })
    })
}

pub(crate) fn on_grants<'a>(
    request: &'a AccessRequest<'a>,
    caller: &'a str,
) -> impl Iterator<Item = Met<GrantMismatch>> {
    let grants = match request.resource {
        Resource::Key { grants, .. } => grants,
        Resource::Identity { .. } => &[],
    };
    grants.iter().zip(1..).map(move |(terms, position)| {
        let asker = (request.principal, caller);
        let met = terms.meets(asker, request.action, &request.grant_facts);
        (Grounds::Grant { grant: position }, Effect::Allow, met)
    })
}

fn meets<'a>(
    statement: &'a Statement,
    request: &AccessRequest<'_>,
    caller: &str,
) -> Result<Named, Mismatch<'a>> {
    let AccessRequest { principal, action, resource, context, .. } = *request;
    statement.meets((principal, caller), (action, resource.arn()), context)
}

/// The actions that a principal of another account can be allowed
/// ([cross-account use](https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html)).
fn may_cross_accounts(action: &str) -> bool {
    const OTHERS: &[&str] =
        &["GetKeyRotationStatus", "ListGrants", "ListRetirableGrants", "RevokeGrant"];
    let names = GrantOperation::NAMES.iter().chain(OTHERS);
    let name = action.strip_prefix("kms:").unwrap_or_default();
    names.into_iter().any(|crossing| crossing.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    //! What is allowed and what is not is in `tests/cases`, row by row. Here are the texts, and what no row can say.

    use super::*;
    use crate::UserName;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn the_token_names_what_was_allowed_and_a_refusal_who_was_refused() {
        let account: AccountId = "111122223333".parse().unwrap();
        let name = UserName::parse("alice").unwrap();
        let [root, alice] = [
            Principal::Root { account: account.clone() },
            Principal::User { account: account.clone(), name },
        ];
        let policy = KeyPolicy::default_for(&account);
        let context = RequestContext::default();
        let resource = Resource::Key { arn: KEY, account: &account, policy: &policy, grants: &[] };
        let ask = |principal| {
            decide(&AccessRequest {
                principal,
                action: "kms:Encrypt",
                resource,
                identity_policies: &[],
                context: &context,
                grant_facts: GrantFacts::NONE,
            })
        };
        let token = ask(&root).unwrap();
        assert_eq!((token.action(), token.resource()), ("kms:Encrypt", KEY));
        assert_eq!(*token.grounds(), Grounds::KeyPolicy { statement: 1 });
        let denied = ask(&alice).unwrap_err();
        assert_eq!((denied.reason(), denied.denied_by()), (Reason::NoIdentityPolicy, None));
        let text = format!(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:Encrypt on resource: {KEY} \
             because no identity-based policy allows the kms:Encrypt action"
        );
        assert_eq!(denied.to_string(), text);
    }

    #[test]
    fn the_text_is_that_of_aws_for_each_reason() {
        let text = |reason| {
            let [principal, action, resource] = ["P", "kms:X", "R"].map(str::to_owned);
            Denied { principal, action, resource, refusal: Refusal::from(reason) }.to_string()
        };
        let start = "User: P is not authorized to perform: kms:X on resource: R ";
        for (reason, clause) in [
            (Reason::NoIdentityPolicy, "because no identity-based policy allows the kms:X action"),
            (Reason::NoKeyPolicy, "because no resource-based policy allows the kms:X action"),
            (Reason::DeniedByKeyPolicy, "with an explicit deny in a resource-based policy"),
            (Reason::DeniedByIdentityPolicy, "with an explicit deny in an identity-based policy"),
        ] {
            assert_eq!(text(reason), format!("{start}{clause}"));
        }
    }
}
