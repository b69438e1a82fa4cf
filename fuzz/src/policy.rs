//! Policies: what parses keeps its text, decides every request without a panic, and explains itself the same way.
//!
//! The input is a policy document, read as a key's and as a role's; behind a line `----`, an identity policy; behind another,
//! the policy of a session.

use keytrail_auth::{
    AccessRequest, ConditionKey, Effect, Finding, GrantFacts, GrantPrincipal, Grounds,
    IdentityPolicy, KeyPolicy, Principal, RequestContext, Resource, RoleName, RolePath,
    ServiceName, SessionName, TrustPolicy, UserName, decide, explain,
};
use keytrail_event::{AccountId, Timestamp};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/payments";
const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const ACTIONS: [&str; 4] = ["kms:Encrypt", "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ListKeys"];

/// Reads the policies and puts questions to them.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, "\n----\n");
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or(first);
    let third = parts.next().unwrap_or(second);
    let _ = GrantPrincipal::parse(first);
    let _ = ConditionKey::parse(first);
    let account = account("111122223333");
    let key_policy = key_policy(first).unwrap_or_else(|| KeyPolicy::default_for(&account));
    let trust = TrustPolicy::parse(first).ok();
    let (of_caller, of_session) = (identity_policy(second), identity_policy(third));
    let identity_policies: Vec<&IdentityPolicy> = of_caller.iter().collect();
    let context = context();
    for principal in principals() {
        let is_session = principal.role_arn().is_some();
        let session_policy = of_session.as_ref().filter(|_| is_session);
        let ask = |action, resource| {
            hold_to_explanation(&AccessRequest {
                principal: &principal,
                action,
                resource,
                identity_policies: &identity_policies,
                session_policy,
                context: &context,
                grant_facts: GrantFacts::NONE,
            });
        };
        for action in ACTIONS {
            ask(
                action,
                Resource::Key { arn: KEY, account: &account, policy: &key_policy, grants: &[] },
            );
            ask(action, Resource::Identity { arn: ALIAS });
            ask(action, Resource::Identity { arn: "*" });
        }
        if let Some(trust) = &trust {
            ask("sts:AssumeRole", Resource::Role { arn: ROLE, account: &account, trust });
        }
    }
}

fn key_policy(text: &str) -> Option<KeyPolicy> {
    let policy = KeyPolicy::parse(text).ok()?;
    assert_eq!(policy.as_str(), text, "a policy is kept as it was written");
    let sealed = serde_json::to_string(&policy).expect("a policy is a string");
    assert_eq!(serde_json::from_str::<KeyPolicy>(&sealed).as_ref().ok(), Some(&policy));
    Some(policy)
}

fn identity_policy(text: &str) -> Option<IdentityPolicy> {
    let policy = IdentityPolicy::parse(text).ok()?;
    assert_eq!(policy.as_str(), text);
    assert_eq!(IdentityPolicy::parse(policy.as_str()).as_ref(), Ok(&policy));
    Some(policy)
}

/// Decides one request and holds the explanation to the decision.
fn hold_to_explanation(request: &AccessRequest<'_>) {
    let considered = explain(request);
    let applies = |effect: Effect, place: Grounds| {
        considered.iter().any(|one| {
            one.place == place
                && one.effect == effect
                && matches!(one.finding, Finding::Applies | Finding::Delegates)
        })
    };
    match decide(request) {
        Ok(allowed) => {
            assert_eq!(allowed.action(), request.action);
            let grounds = *allowed.grounds();
            assert!(grounds == Grounds::Root || applies(Effect::Allow, grounds), "{grounds:?}");
            let denies = considered
                .iter()
                .any(|one| one.effect == Effect::Deny && one.finding == Finding::Applies);
            assert!(!denies, "allowed over a deny: {considered:?}");
        }
        Err(denied) => {
            assert!(!denied.to_string().is_empty());
            if let Some(by) = denied.denied_by() {
                assert!(applies(Effect::Deny, by), "{by:?}");
            }
        }
    }
}

fn account(digits: &str) -> AccountId {
    digits.parse().expect("twelve digits")
}

fn principals() -> [Principal; 5] {
    let name = UserName::parse("alice").expect("a name");
    [
        Principal::AssumedRole {
            account: account("111122223333"),
            path: RolePath::default(),
            role: RoleName::parse("app").expect("a name"),
            session: SessionName::parse("alice").expect("a name"),
        },
        Principal::Service {
            account: account("111122223333"),
            name: ServiceName::parse("s3.amazonaws.com").expect("a name"),
        },
        Principal::Root { account: account("111122223333") },
        Principal::User { account: account("111122223333"), name: name.clone() },
        Principal::User { account: account("444455556666"), name },
    ]
}

/// A request's values for keys of each kind: text, number, time, flag, address, ARN, several values.
fn context() -> RequestContext {
    let time = Timestamp::from_unix_seconds(1_767_323_045);
    RequestContext::default()
        .with(&ConditionKey::CallerAccount, "111122223333")
        .with(&ConditionKey::CurrentTime, time)
        .with(&ConditionKey::EpochTime, time.unix_seconds())
        .with(&ConditionKey::SecureTransport, true)
        .with(&ConditionKey::SourceIp, "192.0.2.7")
        .with(&ConditionKey::PrincipalArn, "arn:aws:iam::111122223333:user/alice")
        .with(&ConditionKey::Username, "alice")
        .with(&ConditionKey::RotationPeriodInDays, 365)
        .with(&ConditionKey::TagKeys, "Project")
        .with(&ConditionKey::TagKeys, "Department")
        .with(&ConditionKey::EncryptionContextKeys, "purpose")
        .with(&ConditionKey::EncryptionContext("purpose".to_owned()), "demo")
        .with(&ConditionKey::PrincipalTag("Project".to_owned()), "Alpha")
}
