//! The decision: may this principal do this to that?
//!
//! The order is AWS's, with what exists here
//! ([evaluation for KMS](https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html)):
//!
//! 1. A `Deny` that matches, in the key policy or in an identity policy, ends it.
//! 2. Same account: allowed if the key policy names the principal, or if it names the account *and* an identity policy
//!    allows. The root user needs no identity policy; it has none.
//! 3. Another account: the key policy must allow the principal or its account, and an identity policy must allow too.
//! 4. Actions that have no key (`kms:CreateKey`, `kms:ListKeys`, …): an identity policy allows, or the caller is root.
//!
//! Nothing is implicit: a key whose policy is empty is out of reach even for root.

use std::fmt;

use keytrail_event::AccountId;

use crate::policy::{Effect, Named, Statement};
use crate::{IdentityPolicy, KeyPolicy, Principal};

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
    },
    /// Something that has no policy of its own, so that identity policies alone decide: an alias or user by its ARN, or
    /// `*` for actions that have no resource.
    Identity {
        /// The ARN, or `*`.
        arn: &'a str,
    },
}

impl Resource<'_> {
    fn arn(&self) -> &str {
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

/// What allowed a request: statements are counted from 1, policies too, in the order they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grounds {
    /// A statement of the key policy names the principal.
    KeyPolicy {
        /// Position of the statement.
        statement: usize,
    },
    /// An identity policy allows it, where the key policy delegates or there is no key.
    IdentityPolicy {
        /// Position of the policy.
        policy: usize,
        /// Position of the statement in it.
        statement: usize,
    },
    /// The root user, for an action that has no key.
    Root,
}

/// The answer no. Its `Display` is the text that AWS gives to the caller and writes into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    principal: String,
    action: String,
    resource: String,
    reason: Reason,
}

impl Denied {
    /// Why it was denied.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, action, resource, reason } = self;
        write!(
            f,
            "User: {principal} is not authorized to perform: {action} on resource: {resource} "
        )?;
        match reason {
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

/// Decides one request. Total: every input has an answer, and without an allowing statement it is no.
pub fn decide(request: &AccessRequest<'_>) -> Result<Authorized, Denied> {
    let AccessRequest { principal, action, resource, .. } = *request;
    let caller = principal.arn().to_string();
    let verdict = match resource {
        Resource::Key { arn, account, policy } => {
            decide_on_key(request, &caller, arn, account, policy)
        }
        Resource::Identity { arn } => decide_without_key(request, arn),
    };
    match verdict {
        Ok(grounds) => Ok(Authorized {
            action: action.to_owned(),
            resource: resource.arn().to_owned(),
            grounds,
        }),
        Err(reason) => Err(Denied {
            principal: caller,
            action: action.to_owned(),
            resource: resource.arn().to_owned(),
            reason,
        }),
    }
}

/// Whether the policy would keep the caller from ever changing it again: the lockout safety check of `CreateKey` and
/// `PutKeyPolicy`, which `BypassPolicyLockoutSafetyCheck` skips.
pub fn locks_out(
    principal: &Principal,
    identity_policies: &[&IdentityPolicy],
    key_arn: &str,
    account: &AccountId,
    policy: &KeyPolicy,
) -> bool {
    let resource = Resource::Key { arn: key_arn, account, policy };
    let action = "kms:PutKeyPolicy";
    decide(&AccessRequest { principal, action, resource, identity_policies }).is_err()
}

fn decide_on_key(
    request: &AccessRequest<'_>,
    caller: &str,
    arn: &str,
    owner: &AccountId,
    policy: &KeyPolicy,
) -> Result<Grounds, Reason> {
    let AccessRequest { principal, action, .. } = *request;
    let mut named = None;
    let mut delegated = false;
    for (statement, number) in policy.statements().iter().zip(1..) {
        if !statement.covers(action, arn) {
            continue;
        }
        match (statement.effect, statement.names(principal, caller)) {
            (_, Named::Not) => {}
            (Effect::Deny, _) => return Err(Reason::DeniedByKeyPolicy),
            (Effect::Allow, Named::Directly) => {
                named = named.or(Some(Grounds::KeyPolicy { statement: number }));
            }
            (Effect::Allow, Named::ByAccount) => delegated = true,
        }
    }
    let identity = allowed_by_identity(request, arn)?;
    let own_account = principal.account() == owner;
    match (named, identity) {
        (Some(grounds), _) if own_account || principal.is_root() => Ok(grounds),
        (Some(_), Some(grounds)) => Ok(grounds),
        (None, Some(grounds)) if delegated => Ok(grounds),
        (Some(_), None) => Err(Reason::NoIdentityPolicy),
        (None, _) if delegated => Err(Reason::NoIdentityPolicy),
        (None, _) => Err(Reason::NoKeyPolicy),
    }
}

fn decide_without_key(request: &AccessRequest<'_>, arn: &str) -> Result<Grounds, Reason> {
    match allowed_by_identity(request, arn)? {
        Some(grounds) => Ok(grounds),
        None if request.principal.is_root() => Ok(Grounds::Root),
        None => Err(Reason::NoIdentityPolicy),
    }
}

/// The first allowing statement of the identity policies; a denying one anywhere in them is an error.
fn allowed_by_identity(request: &AccessRequest<'_>, arn: &str) -> Result<Option<Grounds>, Reason> {
    let mut allowed = None;
    for (policy, position) in request.identity_policies.iter().zip(1..) {
        let covers = |(statement, _): &(&Statement, usize)| statement.covers(request.action, arn);
        for (statement, number) in policy.statements().iter().zip(1..).filter(covers) {
            match statement.effect {
                Effect::Deny => return Err(Reason::DeniedByIdentityPolicy),
                Effect::Allow => {
                    let grounds = Grounds::IdentityPolicy { policy: position, statement: number };
                    allowed = allowed.or(Some(grounds));
                }
            }
        }
    }
    Ok(allowed)
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
        let resource = Resource::Key { arn: KEY, account: &account, policy: &policy };
        let identity_policies = &identity_policies.iter().collect::<Vec<_>>();
        let request =
            AccessRequest { principal, action: "kms:Encrypt", resource, identity_policies };
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
            let request =
                AccessRequest { principal, action: "kms:ListKeys", resource, identity_policies };
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
            Denied { principal, action, resource, reason }.to_string()
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

    #[test]
    fn a_policy_that_shuts_its_writer_out_is_recognised() {
        let account: AccountId = OWNER.parse().unwrap();
        let locks = |principal: &Principal, statement: String| {
            let policy = KeyPolicy::parse(&format!(r#"{{"Statement": {statement}}}"#)).unwrap();
            locks_out(principal, &[], KEY, &account, &policy)
        };
        let alice = user(OWNER, "alice");
        assert!(locks(&alice, allow("arn:aws:iam::111122223333:user/alice", "kms:Encrypt")));
        assert!(!locks(&alice, allow("arn:aws:iam::111122223333:user/alice", "kms:Put*")));
        assert!(locks(&alice, allow(OWNER, "kms:*")));
        assert!(!locks(&root(OWNER), allow(OWNER, "kms:*")));
    }
}
