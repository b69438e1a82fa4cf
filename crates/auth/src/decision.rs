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

/// Decides whether a grant may be retired by `request`, whose action is `kms:RetireGrant`.
///
/// The grant itself says who may: its retiring principal, its grantee if `RetireGrant` is among the operations, and the
/// root user of the account that made it. An identity policy alone is not enough, but a `Deny` anywhere is
/// ([retiring](https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html)).
pub fn decide_retirement(
    request: &AccessRequest<'_>,
    retirement: &Retirement<'_>,
) -> Result<Authorized, Denied> {
    let caller = request.principal.arn().to_string();
    let verdict = may_retire(request, &caller, retirement);
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
    retirement: &Retirement<'_>,
) -> Result<Grounds, Refusal> {
    let principal = request.principal;
    allowed_by_key_policy(request, caller)?;
    let identity = allowed_by_identity(request, caller)?;
    let by_grantee = retirement.terms.operations.contains(&GrantOperation::RetireGrant);
    let grantee = by_grantee.then_some(&retirement.terms.grantee);
    for holder in retirement.retiring.into_iter().chain(grantee) {
        match holder.names(principal, caller) {
            Named::Directly => return Ok(Grounds::Grant { grant: 1 }),
            Named::ByAccount if identity.is_some() => return Ok(Grounds::Grant { grant: 1 }),
            Named::ByAccount | Named::Not => {}
        }
    }
    if principal.is_root() && principal.account().as_str() == retirement.issuer {
        return Ok(Grounds::Root);
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
    use super::*;
    use crate::UserName;
    use Reason::{DeniedByIdentityPolicy, DeniedByKeyPolicy, NoIdentityPolicy, NoKeyPolicy};

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const OWNER: &str = "111122223333";

    fn root(account: &str) -> Principal {
        Principal::Root { account: account.parse().unwrap() }
    }

    fn user(account: &str, name: &str) -> Principal {
        Principal::User { account: account.parse().unwrap(), name: UserName::parse(name).unwrap() }
    }

    fn allow(principal: &str, action: &str) -> String {
        statement("Allow", principal, action)
    }

    fn deny(principal: &str, action: &str) -> String {
        statement("Deny", principal, action)
    }

    fn statement(effect: &str, principal: &str, action: &str) -> String {
        format!(
            r#"{{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}}, "Action": "{action}", "Resource": "*"}}"#
        )
    }

    fn identity(effect: &str, action: &str, resource: &str) -> IdentityPolicy {
        let statement =
            format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "{resource}"}}"#);
        IdentityPolicy::parse(&format!(r#"{{"Statement": {statement}}}"#)).unwrap()
    }

    fn request<'a>(
        principal: &'a Principal,
        action: &'a str,
        resource: Resource<'a>,
        identity_policies: &'a [&'a IdentityPolicy],
    ) -> AccessRequest<'a> {
        static NO_CONTEXT: std::sync::LazyLock<RequestContext> =
            std::sync::LazyLock::new(RequestContext::default);
        AccessRequest {
            principal,
            action,
            resource,
            identity_policies,
            context: &NO_CONTEXT,
            grant_facts: GrantFacts::NONE,
        }
    }

    /// Asks for `kms:Encrypt` on a key with these statements.
    fn check(
        statements: &[String],
        principal: &Principal,
        identity_policies: &[IdentityPolicy],
        expected: Result<(), Reason>,
    ) {
        let policy = format!(r#"{{"Statement": [{}]}}"#, statements.join(","));
        let policy = KeyPolicy::parse(&policy).unwrap();
        let account = OWNER.parse().unwrap();
        let resource = Resource::Key { arn: KEY, account: &account, policy: &policy, grants: &[] };
        let identity_policies = &identity_policies.iter().collect::<Vec<_>>();
        let request = request(principal, "kms:Encrypt", resource, identity_policies);
        let answer = decide(&request).map(drop).map_err(|denied| denied.reason());
        assert_eq!(answer, expected, "{statements:?} {principal:?} {identity_policies:?}");
    }

    #[test]
    fn the_default_policy_delegates_to_identity_policies() {
        let default = &[allow("arn:aws:iam::111122223333:root", "kms:*")];
        let alice = user(OWNER, "alice");
        check(default, &root(OWNER), &[], Ok(()));
        check(default, &alice, &[], Err(NoIdentityPolicy));
        check(default, &alice, &[identity("Allow", "kms:Encrypt", "*")], Ok(()));
        check(default, &alice, &[identity("Allow", "kms:encrypt", KEY)], Ok(()));
        check(default, &alice, &[identity("Allow", "kms:Decrypt", "*")], Err(NoIdentityPolicy));
        let elsewhere = "arn:aws:kms:us-east-1:111122223333:key/0*";
        check(default, &alice, &[identity("Allow", "kms:*", elsewhere)], Err(NoIdentityPolicy));
    }

    #[test]
    fn without_delegation_identity_policies_are_inert_but_for_their_deny() {
        let only_bob = &[allow("arn:aws:iam::111122223333:user/bob", "kms:*")];
        let everything = &[identity("Allow", "*", "*")];
        check(only_bob, &user(OWNER, "bob"), &[], Ok(()));
        check(only_bob, &user(OWNER, "alice"), everything, Err(NoKeyPolicy));
        check(only_bob, &root(OWNER), &[], Err(NoKeyPolicy));
        check(
            only_bob,
            &user(OWNER, "bob"),
            &[identity("Deny", "kms:*", "*")],
            Err(DeniedByIdentityPolicy),
        );
        check(&[], &root(OWNER), &[], Err(NoKeyPolicy));
    }

    #[test]
    fn deny_beats_every_allow() {
        let delegates = allow(OWNER, "kms:*");
        let alice = user(OWNER, "alice");
        let all = &[identity("Allow", "kms:*", "*")];
        let denied = |principal| [delegates.clone(), deny(principal, "kms:Enc*")];
        check(&denied("arn:aws:iam::111122223333:user/alice"), &alice, all, Err(DeniedByKeyPolicy));
        check(&denied("arn:aws:iam::111122223333:user/alice"), &user(OWNER, "bob"), all, Ok(()));
        check(&denied("arn:aws:iam::111122223333:root"), &alice, all, Err(DeniedByKeyPolicy));
        check(&denied("*"), &root(OWNER), &[], Err(DeniedByKeyPolicy));
        let both = [identity("Allow", "kms:*", "*"), identity("Deny", "kms:Encrypt", "*")];
        check(&[delegates], &alice, &both, Err(DeniedByIdentityPolicy));
    }

    #[test]
    fn another_account_needs_both_sides() {
        let foreign = user("444455556666", "mallory");
        let all = &[identity("Allow", "kms:*", "*")];
        let named = &[allow("arn:aws:iam::444455556666:user/mallory", "kms:Encrypt")];
        check(named, &foreign, &[], Err(NoIdentityPolicy));
        check(named, &foreign, all, Ok(()));
        check(&[allow("444455556666", "kms:*")], &foreign, all, Ok(()));
        check(&[allow("444455556666", "kms:*")], &root("444455556666"), &[], Ok(()));
        check(&[allow(OWNER, "kms:*")], &foreign, all, Err(NoKeyPolicy));
        check(&[allow("*", "kms:*")], &foreign, &[], Err(NoIdentityPolicy));
    }

    #[test]
    fn not_action_and_missing_elements_mean_what_they_say() {
        let alice = user(OWNER, "alice");
        let but = |action| {
            format!(
                r#"{{"Effect": "Allow", "Principal": "*", "NotAction": "{action}", "Resource": "*"}}"#
            )
        };
        check(&[but("kms:Decrypt")], &alice, &[], Ok(()));
        check(&[but("kms:ENCRYPT")], &alice, &[], Err(NoKeyPolicy));
        let no_resource = r#"{"Effect": "Allow", "Principal": "*", "Action": "kms:*"}"#.to_owned();
        check(&[no_resource], &alice, &[], Err(NoKeyPolicy));
        let not_resource = r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "NotResource": "arn:aws:kms:*:*:key/1234*"}"#;
        check(&[not_resource.to_owned()], &alice, &[], Err(NoKeyPolicy));
    }

    #[test]
    fn actions_without_a_key_need_an_identity_policy_or_root() {
        let check = |principal: &Principal, identity_policies: &[IdentityPolicy], expected| {
            let resource = Resource::Identity { arn: "*" };
            let identity_policies = &identity_policies.iter().collect::<Vec<_>>();
            let request = request(principal, "kms:ListKeys", resource, identity_policies);
            let answer =
                decide(&request).map(|token| *token.grounds()).map_err(|denied| denied.to_string());
            assert_eq!(answer, expected);
        };
        check(&root(OWNER), &[], Ok(Grounds::Root));
        let allowed = Ok(Grounds::IdentityPolicy { policy: 2, statement: 1 });
        let policies = [identity("Allow", "kms:Encrypt", "*"), identity("Allow", "kms:List*", "*")];
        check(&user(OWNER, "alice"), &policies, allowed);
        let text = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:ListKeys on \
                    resource: * because no identity-based policy allows the kms:ListKeys action";
        check(&user(OWNER, "alice"), &[], Err(text.to_owned()));
    }

    #[test]
    fn the_text_is_that_of_aws_for_each_reason() {
        let text = |reason| {
            let [principal, action, resource] = ["P", "kms:X", "R"].map(str::to_owned);
            Denied { principal, action, resource, refusal: Refusal::from(reason) }.to_string()
        };
        let start = "User: P is not authorized to perform: kms:X on resource: R ";
        for (reason, clause) in [
            (NoIdentityPolicy, "because no identity-based policy allows the kms:X action"),
            (NoKeyPolicy, "because no resource-based policy allows the kms:X action"),
            (DeniedByKeyPolicy, "with an explicit deny in a resource-based policy"),
            (DeniedByIdentityPolicy, "with an explicit deny in an identity-based policy"),
        ] {
            assert_eq!(text(reason), format!("{start}{clause}"));
        }
    }
}
