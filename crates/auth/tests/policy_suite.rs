//! The policy suite against `decide`: each row's decision, and what it rests on. The engine's tests run the same rows through
//! real calls.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod suite;

use std::collections::BTreeSet;

use keytrail_auth::{
    AccessRequest, ConditionKey, GrantConstraint, GrantFacts, GrantOperation, GrantPrincipal,
    GrantTerms, Grounds, IdentityPolicy, KeyPolicy, Principal, Reason, RequestContext, Resource,
    RoleName, RolePath, ServiceName, SessionName, TrustPolicy, UserName, decide,
};
use keytrail_event::AccountId;
use suite::{ACCOUNT, Case, Decision, Grant, cases};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// The role that rows about trust policies want to assume.
const TARGET: &str = "arn:aws:iam::111122223333:role/target";

#[test]
fn every_row_is_decided_as_it_says_and_for_its_reason() {
    let cases = cases();
    assert!(cases.len() >= 200, "{} rows", cases.len());
    let names = cases.iter().map(|case| &case.name).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), cases.len(), "each row has a name of its own");
    let wrong = cases.iter().filter_map(|case| {
        let (decision, because) = ask(case);
        let right = (decision, because.as_str()) == (case.decision, case.because.as_str());
        (!right).then(|| format!("{}: {decision:?} because of {because}", case.name))
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn ask(case: &Case) -> (Decision, String) {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let principal = principal(&case.principal);
    let policy = KeyPolicy::parse(&case.key_policy(KEY)).unwrap();
    let identity = case.identity_policy(KEY).map(|text| IdentityPolicy::parse(&text).unwrap());
    let identity = identity.iter().collect::<Vec<_>>();
    let session = case.session_policy(KEY).map(|text| IdentityPolicy::parse(&text).unwrap());
    let trust = case.trust_policy().map(|text| TrustPolicy::parse(&text).unwrap());
    let grants = case.grants.iter().map(terms).collect::<Vec<_>>();
    let grants = grants.iter().collect::<Vec<_>>();
    let creates = case.creates.as_ref().map(terms);
    let mut encryption_context = std::collections::BTreeMap::new();
    for (key, value) in &case.context {
        if let Some(ConditionKey::EncryptionContext(pair)) = ConditionKey::parse(key) {
            encryption_context.insert(pair, value.clone());
        }
    }
    let resource = match &trust {
        Some(trust) => Resource::Role { arn: TARGET, account: &account, trust },
        None if has_no_key(&case.action) => Resource::Identity { arn: "*" },
        None => Resource::Key { arn: KEY, account: &account, policy: &policy, grants: &grants },
    };
    let answer = decide(&AccessRequest {
        principal: &principal,
        action: &case.action,
        resource,
        identity_policies: &identity,
        session_policy: session.as_ref(),
        context: &context(case, &principal),
        grant_facts: GrantFacts {
            encryption_context: &encryption_context,
            creates: creates.as_ref(),
        },
    });
    match answer {
        Ok(authorized) => (Decision::Allow, place(*authorized.grounds())),
        Err(denied) => {
            let because = match denied.reason() {
                Reason::NoIdentityPolicy => "no identity policy".to_owned(),
                Reason::NoKeyPolicy => "no key policy".to_owned(),
                Reason::NoTrustPolicy => "no trust policy".to_owned(),
                Reason::NoSessionPolicy => "no session policy".to_owned(),
                _ => place(denied.denied_by().unwrap()),
            };
            (Decision::Deny, because)
        }
    }
}

/// The row's condition keys, and those that every request of this principal has.
fn context(case: &Case, principal: &Principal) -> RequestContext {
    let mut context = RequestContext::default();
    for (key, value) in &case.context {
        let key = ConditionKey::parse(key).unwrap_or_else(|| panic!("{}: {key}", case.name));
        context.add(&key, value.as_str());
        if let ConditionKey::EncryptionContext(pair) = key {
            context.add(&ConditionKey::EncryptionContextKeys, pair);
        }
    }
    let id = match principal {
        Principal::AssumedRole { session, .. } => format!("AROAAAAAAAAAAAAAAAAAA:{session}"),
        _ => "AIDAAAAAAAAAAAAAAAAAA".to_owned(),
    };
    context.add_principal(principal, &id);
    context
}

fn principal(text: &str) -> Principal {
    let (account, name) = text.split_once(':').unwrap_or((ACCOUNT, text));
    let account = account.parse().unwrap();
    if let Some(name) = name.strip_prefix("service/") {
        return Principal::Service { account, name: ServiceName::parse(name).unwrap() };
    }
    if let Some((role, session)) = name.strip_prefix("role").and_then(|it| it.rsplit_once('/')) {
        let (path, role) = role.split_at(role.rfind('/').unwrap() + 1);
        return Principal::AssumedRole {
            account,
            path: RolePath::parse(path).unwrap(),
            role: RoleName::parse(role).unwrap(),
            session: SessionName::parse(session).unwrap(),
        };
    }
    match name {
        "root" => Principal::Root { account },
        name => Principal::User { account, name: UserName::parse(name).unwrap() },
    }
}

fn terms(grant: &Grant) -> GrantTerms {
    let operation = |name: &String| GrantOperation::parse(name).unwrap();
    let equals = grant.equals.clone().map(GrantConstraint::EncryptionContextEquals);
    let subset = grant.subset.clone().map(GrantConstraint::EncryptionContextSubset);
    GrantTerms {
        grantee: GrantPrincipal::parse(&grant.grantee).unwrap(),
        operations: grant.operations.iter().map(operation).collect(),
        constraint: equals.or(subset),
    }
}

fn has_no_key(action: &str) -> bool {
    ["kms:CreateKey", "kms:ListKeys", "kms:ListAliases", "kms:GenerateRandom"].contains(&action)
}

fn place(grounds: Grounds) -> String {
    match grounds {
        Grounds::KeyPolicy { statement } => format!("key policy {statement}"),
        Grounds::IdentityPolicy { statement, .. } => format!("identity policy {statement}"),
        Grounds::SessionPolicy { statement } => format!("session policy {statement}"),
        Grounds::TrustPolicy { statement } => format!("trust policy {statement}"),
        Grounds::Grant { grant } => format!("grant {grant}"),
        _ => "root".to_owned(),
    }
}
