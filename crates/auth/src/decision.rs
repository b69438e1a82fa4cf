//! The decision: may this principal do this to that?
//!
//! The order is AWS's, with what exists here
//! ([evaluation for KMS](https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html)):
//!
//! 1. A `Deny` that applies, in the key policy, in an identity policy or in the session's policy, ends it.
//! 2. Same account: allowed if the key policy names the principal, or if it names the account *and* an identity policy
//!    allows. The root user needs no identity policy; it has none.
//! 3. Another account: the key policy must allow the principal or its account, and an identity policy must allow too; and
//!    only what may cross accounts at all. A service belongs to no account: the key policy must name it, and that is enough.
//! 4. Else a grant allows, if it names the principal, lists the operation, and its constraint fits.
//! 5. Actions that have no key (`kms:CreateKey`, `kms:ListKeys`, …): an identity policy allows, or the caller is root.
//! 6. Whoever assumes a role is held to its trust policy as to a key policy; there are no grants.
//!
//! A session whose maker gave it a policy may do only what that allows too, with one exception: what is allowed in its own
//! account to the session itself, by its own ARN and not by its role's
//! ([session policies](https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session)).
//!
//! Nothing is implicit: a key whose policy is empty is out of reach even for root. What each statement and grant had to say
//! is told by `explanation`, which asks the same functions in the same order; only here is decided.

use keytrail_event::AccountId;

use crate::denied::Refusal;
use crate::grant::{GrantMismatch, GrantOperation};
use crate::policy::{Effect, Mismatch, Statement};
use crate::principal::{Asker, Named};
use crate::{
    Denied, GrantFacts, GrantPrincipal, GrantTerms, IdentityPolicy, KeyPolicy, Principal, Reason,
    RequestContext, TrustPolicy,
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
    /// All identity policies of the principal; of a session, those of its role.
    pub identity_policies: &'a [&'a IdentityPolicy],
    /// The policy that limits the session, if its maker gave it one.
    pub session_policy: Option<&'a IdentityPolicy>,
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
    /// A role that somebody wants to assume.
    Role {
        /// The role's ARN.
        arn: &'a str,
        /// The account that owns it.
        account: &'a AccountId,
        /// Its trust policy.
        trust: &'a TrustPolicy,
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
            Self::Key { arn, .. } | Self::Role { arn, .. } | Self::Identity { arn } => arn,
        }
    }

    /// The statements of its own policy.
    fn statements(&self) -> &'a [Statement] {
        match self {
            Self::Key { policy, .. } => policy.statements(),
            Self::Role { trust, .. } => trust.statements(),
            Self::Identity { .. } => &[],
        }
    }

    fn is_role(&self) -> bool {
        matches!(self, Self::Role { .. })
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
    /// A statement of the policy that limits the session. It denies; what it allows rests on something else as well.
    SessionPolicy {
        /// Position of the statement.
        statement: usize,
    },
    /// A statement of a role's trust policy that names the principal.
    TrustPolicy {
        /// Position of the statement.
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

/// Decides one request. Total: every input has an answer, and without an allowing statement or grant it is no.
pub fn decide(request: &AccessRequest<'_>) -> Result<Authorized, Denied> {
    let asker = Asker::new(request.principal);
    let verdict = match request.resource {
        Resource::Key { account, .. } => {
            let may_cross = may_cross_accounts(request.action);
            decide_on_resource(request, &asker, account, may_cross)
        }
        Resource::Role { account, .. } => decide_on_resource(request, &asker, account, true),
        Resource::Identity { .. } => decide_by_identity(request, &asker),
    };
    conclude(request, &asker, verdict)
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
    let asker = Asker::new(request.principal);
    let verdict = may_retire(request, &asker, retirements);
    conclude(request, &asker, verdict)
}

fn conclude(
    request: &AccessRequest<'_>,
    asker: &Asker<'_>,
    verdict: Result<Grounds, Refusal>,
) -> Result<Authorized, Denied> {
    let (action, resource) = (request.action.to_owned(), request.resource.arn().to_owned());
    match verdict {
        Ok(grounds) => Ok(Authorized { action, resource, grounds }),
        Err(refusal) => {
            Err(Denied { principal: asker.as_str().to_owned(), action, resource, refusal })
        }
    }
}

/// Decides about something that `account` owns and that has a policy of its own.
fn decide_on_resource(
    request: &AccessRequest<'_>,
    asker: &Asker<'_>,
    account: &AccountId,
    may_cross: bool,
) -> Result<Grounds, Refusal> {
    let principal = request.principal;
    let is_role = request.resource.is_role();
    let nobody = if is_role { Reason::NoTrustPolicy } else { Reason::NoKeyPolicy };
    let own = allowed_by_resource(request, asker)?;
    let by = allowed_by_caller(request, asker)?;
    let at_home = principal.account() == account;
    if !at_home && !may_cross && !principal.is_service() {
        return Err(nobody.into());
    }
    if at_home || principal.is_root() || principal.is_service() {
        if let Some(grounds) = own.to_itself {
            return Ok(grounds);
        }
        if let (Some(grounds), true) = (own.to_role, by.within_session) {
            return Ok(grounds);
        }
    }
    if let (Some(grounds), true) = (by.both(), own.reaches_account()) {
        return Ok(grounds);
    }
    let mut granted = false;
    for (place, _, met) in on_grants(request, asker) {
        match met {
            Ok(named) if by.may_use(named, principal) => return Ok(place),
            Ok(Named::ByRole) => granted = true,
            Ok(_) | Err(_) => {}
        }
    }
    let but_for_session = (at_home && own.to_role.is_some()) || by.identity.is_some() || granted;
    match own.reaches_account() || granted {
        true if but_for_session && !by.within_session => Err(Reason::NoSessionPolicy.into()),
        true => Err(Reason::NoIdentityPolicy.into()),
        false => Err(nobody.into()),
    }
}

fn decide_by_identity(request: &AccessRequest<'_>, asker: &Asker<'_>) -> Result<Grounds, Refusal> {
    let by = allowed_by_caller(request, asker)?;
    match by.identity {
        Some(grounds) if by.within_session => Ok(grounds),
        Some(_) => Err(Reason::NoSessionPolicy.into()),
        None if request.principal.is_root() => Ok(Grounds::Root),
        None => Err(Reason::NoIdentityPolicy.into()),
    }
}

fn may_retire(
    request: &AccessRequest<'_>,
    asker: &Asker<'_>,
    retirements: &[Retirement<'_>],
) -> Result<Grounds, Refusal> {
    let principal = request.principal;
    allowed_by_resource(request, asker)?;
    let by = allowed_by_caller(request, asker)?;
    let may = |holder: &GrantPrincipal| by.may_use(holder.names(asker), principal);
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

/// What the resource's own policy allows: the first statement for each way of naming the principal.
struct ByResource {
    /// To the principal itself.
    to_itself: Option<Grounds>,
    /// To each session of its role.
    to_role: Option<Grounds>,
    /// To its account: it is left to the account's identity policies.
    delegated: bool,
}

impl ByResource {
    /// Whether an identity policy has something to allow: of an account it is left to, or of another's that names it.
    fn reaches_account(&self) -> bool {
        self.delegated || self.to_itself.is_some() || self.to_role.is_some()
    }
}

/// What the caller's own policies allow.
struct ByCaller {
    /// The first allowing statement of an identity policy.
    identity: Option<Grounds>,
    /// Whether no session policy stands against it.
    within_session: bool,
}

impl ByCaller {
    /// The identity policy's statement, if the session policy allows it too.
    fn both(&self) -> Option<Grounds> {
        self.identity.filter(|_| self.within_session)
    }

    /// Whether a grant that names the caller so is theirs to use.
    fn may_use(&self, named: Named, principal: &Principal) -> bool {
        match named {
            Named::Directly => true,
            Named::ByRole => self.within_session,
            Named::ByAccount => principal.is_root() || self.both().is_some(),
            Named::Not => false,
        }
    }
}

/// What the resource's own policy allows; a denying statement anywhere in it is an error.
fn allowed_by_resource(
    request: &AccessRequest<'_>,
    asker: &Asker<'_>,
) -> Result<ByResource, Refusal> {
    let is_role = request.resource.is_role();
    let denied = if is_role { Reason::DeniedByTrustPolicy } else { Reason::DeniedByKeyPolicy };
    let mut allowed = ByResource { to_itself: None, to_role: None, delegated: false };
    for (place, effect, met) in on_own_policy(request, asker) {
        match (effect, met) {
            (_, Err(_) | Ok(Named::Not)) => {}
            (Effect::Deny, Ok(_)) => return Err(Refusal { reason: denied, by: Some(place) }),
            (Effect::Allow, Ok(Named::Directly)) => {
                allowed.to_itself = allowed.to_itself.or(Some(place));
            }
            (Effect::Allow, Ok(Named::ByRole)) => {
                allowed.to_role = allowed.to_role.or(Some(place));
            }
            (Effect::Allow, Ok(Named::ByAccount)) => allowed.delegated = true,
        }
    }
    Ok(allowed)
}

/// What identity policies and the session's policy allow; a denying statement anywhere in them is an error.
fn allowed_by_caller(request: &AccessRequest<'_>, asker: &Asker<'_>) -> Result<ByCaller, Refusal> {
    let first = |met: &mut dyn Iterator<Item = Met<Mismatch<'_>>>, reason| {
        let mut allowed = None;
        for (place, effect, met) in met {
            match (effect, met) {
                (_, Err(_)) => {}
                (Effect::Deny, Ok(_)) => return Err(Refusal { reason, by: Some(place) }),
                (Effect::Allow, Ok(_)) => allowed = allowed.or(Some(place)),
            }
        }
        Ok(allowed)
    };
    let identity =
        first(&mut on_identity_policies(request, asker), Reason::DeniedByIdentityPolicy)?;
    let session = first(&mut on_session_policy(request, asker), Reason::DeniedBySessionPolicy)?;
    let within_session = request.session_policy.is_none() || session.is_some();
    Ok(ByCaller { identity, within_session })
}

/// A place, what stands there, and whether that meets the request.
pub(crate) type Met<E> = (Grounds, Effect, Result<Named, E>);

/// The statements of the policy that lies on the resource.
pub(crate) fn on_own_policy<'a>(
    request: &'a AccessRequest<'a>,
    asker: &'a Asker<'a>,
) -> impl Iterator<Item = Met<Mismatch<'a>>> {
    let is_role = request.resource.is_role();
    request.resource.statements().iter().zip(1..).map(move |(statement, number)| {
        let place = if is_role {
            Grounds::TrustPolicy { statement: number }
        } else {
            Grounds::KeyPolicy { statement: number }
        };
        (place, statement.effect, meets(statement, request, asker))
    })
}

pub(crate) fn on_identity_policies<'a>(
    request: &'a AccessRequest<'a>,
    asker: &'a Asker<'a>,
) -> impl Iterator<Item = Met<Mismatch<'a>>> {
    request.identity_policies.iter().zip(1..).flat_map(move |(policy, position)| {
        policy.statements().iter().zip(1..).map(move |(statement, number)| {
            let place = Grounds::IdentityPolicy { policy: position, statement: number };
            (place, statement.effect, meets(statement, request, asker))
        })
    })
}

pub(crate) fn on_session_policy<'a>(
    request: &'a AccessRequest<'a>,
    asker: &'a Asker<'a>,
) -> impl Iterator<Item = Met<Mismatch<'a>>> {
    let statements = request.session_policy.map(IdentityPolicy::statements).unwrap_or_default();
    statements.iter().zip(1..).map(move |(statement, number)| {
        let place = Grounds::SessionPolicy { statement: number };
        (place, statement.effect, meets(statement, request, asker))
    })
}

pub(crate) fn on_grants<'a>(
    request: &'a AccessRequest<'a>,
    asker: &'a Asker<'a>,
) -> impl Iterator<Item = Met<GrantMismatch>> {
    let grants = match request.resource {
        Resource::Key { grants, .. } => grants,
        Resource::Role { .. } | Resource::Identity { .. } => &[],
    };
    grants.iter().zip(1..).map(move |(terms, position)| {
        let met = terms.meets(asker, request.action, &request.grant_facts);
        (Grounds::Grant { grant: position }, Effect::Allow, met)
    })
}

fn meets<'a>(
    statement: &'a Statement,
    request: &AccessRequest<'_>,
    asker: &Asker<'_>,
) -> Result<Named, Mismatch<'a>> {
    let AccessRequest { action, resource, context, .. } = *request;
    statement.meets(asker, (action, resource.arn()), context)
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
                session_policy: None,
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
}
