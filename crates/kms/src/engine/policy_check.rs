//! `policy check`: what a call would be told, and which statement or grant would decide it.
//!
//! It asks `decide` through the same code as a call does (`ops::authorization`), with the conditions' values partly assumed.
//! It is no call: nothing is carried out, nothing is recorded, and whoever opened the engine may ask about anybody. Whether
//! the key is enabled, or the request well formed, is another matter and not answered.

use std::collections::BTreeMap;
use std::fmt;

use keytrail_auth::{
    AccessRequest, ConditionKey, Denied, Effect, Finding, GrantConstraint, GrantOperation,
    GrantPrincipal, GrantTerms, Grounds, IdentityPolicy, KeyPolicy, TrustPolicy, decide,
    decide_retirement, explain,
};

use keytrail_event::AccountId;

use super::Engine;
use crate::names::{KeyReference, Naming};
use crate::ops::{Assumed, Call, Subject, Workbench};
use crate::parameters::PolicyName;
use crate::state::{Grant, Key, Role};
use crate::sts::Assumption;
use crate::{Caller, EngineError};

/// A question to [`Engine::check_policy`].
#[derive(Debug, Clone, Copy)]
pub struct PolicyQuestion<'a> {
    /// Who would call; its address and connection count as the call's.
    pub caller: &'a Caller,
    /// The action: `kms:Encrypt`, or `Encrypt`.
    pub action: &'a str,
    /// The key, by id, ARN or alias; of an action of STS the role, by its ARN; `None` for actions that have none.
    pub key: Option<&'a str>,
    /// Condition keys and their values; a key may come several times. They replace what the engine would fill in.
    pub context: &'a [(&'a str, &'a str)],
}

/// The answer of [`Engine::check_policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyAnswer {
    /// ARN of who would call.
    pub principal: String,
    /// The action with its service.
    pub action: String,
    /// ARN of the key; `*` if there is none.
    pub resource: String,
    /// What decides: an allowing statement or grant, or a denying statement. `None` if nothing allows.
    pub decided_by: Option<Source>,
    /// The refusal that the call would get; `None` if it is allowed.
    pub denied: Option<Denied>,
    /// What each statement and grant had to say, in the order in which they are asked.
    pub considered: Vec<Consideration>,
}

impl PolicyAnswer {
    /// Whether the call would be allowed.
    pub fn is_allowed(&self) -> bool {
        self.denied.is_none()
    }
}

/// One statement or grant, and why it does or does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consideration {
    /// Which one.
    pub source: Source,
    /// What it does when it applies.
    pub effect: Effect,
    /// Whether it applies.
    pub finding: Finding,
}

/// Where a decision comes from. Its `Display` names it for people: `statement 2 "Deny by night" of the key policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A statement of the key policy.
    KeyPolicy {
        /// Position, from 1.
        statement: usize,
        /// Its `Sid`.
        sid: Option<String>,
    },
    /// A statement of one of the principal's policies.
    IdentityPolicy {
        /// The policy's name.
        policy: String,
        /// Position, from 1.
        statement: usize,
        /// Its `Sid`.
        sid: Option<String>,
    },
    /// A statement of the policy that limits the session.
    SessionPolicy {
        /// Position, from 1.
        statement: usize,
        /// Its `Sid`.
        sid: Option<String>,
    },
    /// A statement of the role's trust policy.
    TrustPolicy {
        /// Position, from 1.
        statement: usize,
        /// Its `Sid`.
        sid: Option<String>,
    },
    /// A grant.
    Grant {
        /// Its id.
        id: String,
    },
    /// The root user needs nothing else here.
    Root,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statement = |f: &mut fmt::Formatter<'_>, number: usize, sid: &Option<String>| {
            write!(f, "statement {number}")?;
            sid.as_ref().map_or(Ok(()), |sid| write!(f, " {sid:?}"))
        };
        match self {
            Self::KeyPolicy { statement: number, sid } => {
                statement(f, *number, sid)?;
                f.write_str(" of the key policy")
            }
            Self::IdentityPolicy { policy, statement: number, sid } => {
                statement(f, *number, sid)?;
                write!(f, " of the identity policy {policy:?}")
            }
            Self::SessionPolicy { statement: number, sid } => {
                statement(f, *number, sid)?;
                f.write_str(" of the session policy")
            }
            Self::TrustPolicy { statement: number, sid } => {
                statement(f, *number, sid)?;
                f.write_str(" of the role's trust policy")
            }
            Self::Grant { id } => write!(f, "grant {id}"),
            Self::Root => f.write_str("the root user of the account"),
        }
    }
}

impl Engine {
    /// Explains what a call would be told. Not a call: there is no record.
    ///
    /// # Errors
    /// [`EngineError::Question`] if the key is not there, or the action or a condition key is none.
    pub fn check_policy(&self, question: &PolicyQuestion<'_>) -> Result<PolicyAnswer, EngineError> {
        let state = self.read_state()?;
        let (workbench, now) = (Workbench::default(), self.now());
        let call = self.call_by(question.caller, &state, &workbench, now);
        let action = read_action(question.action)?;
        let assumed = read_context(question)?;
        let creates = (action == "kms:CreateGrant").then(|| read_terms(&call, &assumed)).flatten();
        let ask = |subject| answer(&call, &action, subject, creates.as_ref(), &assumed);
        match question.key {
            Some(arn) if action.starts_with("sts:") => {
                let (account, role) = find_role(&call, arn)?;
                let trust = &role.trust;
                Ok(ask(Subject::Role(&Assumption { arn, account, trust, role: Some(role) })))
            }
            Some(name) => Ok(ask(Subject::Key(find_key(&call, name)?))),
            None => Ok(ask(Subject::Identity { arn: "*" })),
        }
    }
}

/// Asks, and gives the parts of the answer their names.
fn answer(
    call: &Call<'_>,
    action: &str,
    subject: Subject<'_>,
    creates: Option<&GrantTerms>,
    assumed: &Assumed,
) -> PolicyAnswer {
    let (key, role) = match subject {
        Subject::Key(key) => (Some(key), None),
        Subject::Role(role) => (None, Some(role)),
        Subject::NewPolicy { .. } | Subject::Identity { .. } => (None, None),
    };
    // Each grant says by itself who may retire it, so all of them are asked, and not only those to the caller.
    let all = key.filter(|_| action == "kms:RetireGrant");
    let all = all.map(|key| call.state.grants.of_key(&key.arn, None).collect::<Vec<_>>());
    let ask = |request: &AccessRequest<'_>| {
        let decision = match &all {
            Some(grants) => {
                let retirements = grants.iter().map(|grant| grant.retirement());
                decide_retirement(request, &retirements.collect::<Vec<_>>())
            }
            None => decide(request),
        };
        (decision, explain(request))
    };
    let (decision, considered) = call.ask(action, subject, creates, Some(assumed), ask);
    let mut names = Names {
        key_policy: key.map(|key| &key.policy),
        identity_policies: call.identity_policies(),
        session_policy: call.caller.session().and_then(|session| session.policy.as_ref()),
        trust: role.map(|role| role.trust),
        grants: key.map(|key| call.grants_to_caller(key)).unwrap_or_default(),
    };
    let considered = considered.into_iter().map(|considered| Consideration {
        source: names.source(considered.place),
        effect: considered.effect,
        finding: considered.finding,
    });
    let considered = considered.collect();
    names.grants = all.unwrap_or(names.grants);
    let decided_by = match &decision {
        Ok(authorized) => Some(*authorized.grounds()),
        Err(denied) => denied.denied_by(),
    };
    PolicyAnswer {
        principal: call.caller.principal().to_string(),
        action: action.to_owned(),
        resource: match (key, role) {
            (Some(key), _) => key.arn.as_str().to_owned(),
            (None, Some(role)) => role.arn.to_owned(),
            (None, None) => "*".to_owned(),
        },
        decided_by: decided_by.map(|grounds| names.source(grounds)),
        denied: decision.err(),
        considered,
    }
}

/// What the positions in a decision stand for.
struct Names<'a> {
    key_policy: Option<&'a KeyPolicy>,
    identity_policies: Vec<(&'a PolicyName, &'a IdentityPolicy)>,
    session_policy: Option<&'a IdentityPolicy>,
    trust: Option<&'a TrustPolicy>,
    grants: Vec<&'a Grant>,
}

impl Names<'_> {
    fn source(&self, grounds: Grounds) -> Source {
        match grounds {
            Grounds::KeyPolicy { statement } => {
                let sid = self.key_policy.and_then(|policy| policy.sid(statement));
                Source::KeyPolicy { statement, sid: sid.map(str::to_owned) }
            }
            Grounds::IdentityPolicy { policy, statement } => {
                let named = policy.checked_sub(1).and_then(|at| self.identity_policies.get(at));
                let sid = named.and_then(|(_, policy)| policy.sid(statement));
                Source::IdentityPolicy {
                    policy: named.map(|(name, _)| name.as_str().to_owned()).unwrap_or_default(),
                    statement,
                    sid: sid.map(str::to_owned),
                }
            }
            Grounds::Grant { grant } => {
                let grant = grant.checked_sub(1).and_then(|at| self.grants.get(at));
                Source::Grant { id: grant.map(|grant| grant.id.to_string()).unwrap_or_default() }
            }
            Grounds::SessionPolicy { statement } => {
                let sid = self.session_policy.and_then(|policy| policy.sid(statement));
                Source::SessionPolicy { statement, sid: sid.map(str::to_owned) }
            }
            Grounds::TrustPolicy { statement } => {
                let sid = self.trust.and_then(|policy| policy.sid(statement));
                Source::TrustPolicy { statement, sid: sid.map(str::to_owned) }
            }
            _ => Source::Root,
        }
    }
}

fn wrong(detail: impl Into<String>) -> EngineError {
    EngineError::Question { detail: detail.into() }
}

/// `Encrypt` is `kms:Encrypt`; wildcards are for policies.
fn read_action(text: &str) -> Result<String, EngineError> {
    let named = |name: &str| !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric());
    match text.split_once(':') {
        None if named(text) => Ok(format!("kms:{text}")),
        Some((service, name)) if named(service) && named(name) => Ok(text.to_owned()),
        _ => Err(wrong(format!("action {text:?} must be one such as kms:Encrypt"))),
    }
}

fn find_key<'a>(call: &'a Call<'_>, name: &str) -> Result<&'a Key, EngineError> {
    let reference = KeyReference::parse(name, Naming::KeyOrAlias, call.home());
    let found = reference.and_then(|reference| call.find(&reference));
    found.map_err(|refusal| wrong(refusal.message.unwrap_or_else(|| refusal.code.to_string())))
}

/// The role of an ARN. Nobody can assume one as root, so that is no question of policies.
fn find_role<'a>(call: &'a Call<'_>, arn: &str) -> Result<(&'a AccountId, &'a Role), EngineError> {
    if call.caller.principal().is_root() {
        return Err(wrong("roles may not be assumed by the root user: name a --principal"));
    }
    let roles = call.state.accounts.iter().flat_map(|(account, entry)| {
        entry.roles.iter().map(move |(name, role)| (account, name, role))
    });
    let mut named =
        roles.filter(|(account, name, role)| role.arn(account, name).to_string() == arn);
    let found = named.next().map(|(account, _, role)| (account, role));
    found.ok_or_else(|| {
        wrong(format!("{arn:?} is no role's ARN; `keytrail principal list` tells all"))
    })
}

/// The given values. Pairs of an encryption context name its keys too, and an alias is a key's name in the request.
fn read_context(question: &PolicyQuestion<'_>) -> Result<Assumed, EngineError> {
    let mut assumed = Assumed::default();
    for (key, value) in question.context {
        let key = ConditionKey::parse(key).ok_or_else(|| {
            wrong(format!("{key:?} is no condition key; one is kms:EncryptionContext:NAME"))
        })?;
        if let ConditionKey::EncryptionContext(pair) = &key {
            assumed.encryption_context.insert(pair.clone(), (*value).to_owned());
        }
        assumed.context.push((key, (*value).to_owned()));
    }
    let given = |key: &ConditionKey| assumed.context.iter().any(|(given, _)| given == key);
    let mut implied = Vec::new();
    if !given(&ConditionKey::EncryptionContextKeys) {
        let keys = assumed.encryption_context.keys();
        implied.extend(keys.map(|key| (ConditionKey::EncryptionContextKeys, key.clone())));
    }
    let alias = question.key.and_then(|key| key.find("alias/").and_then(|at| key.get(at..)));
    if let Some(alias) = alias.filter(|_| !given(&ConditionKey::RequestAlias)) {
        implied.push((ConditionKey::RequestAlias, alias.to_owned()));
    }
    assumed.context.extend(implied);
    Ok(assumed)
}

/// The grant that a `CreateGrant` with these values would make, as far as grants look at it.
fn read_terms(call: &Call<'_>, assumed: &Assumed) -> Option<GrantTerms> {
    let values = |wanted: ConditionKey| {
        assumed.context.iter().filter(move |(key, _)| *key == wanted).map(|(_, value)| value)
    };
    let operations = values(ConditionKey::GrantOperations);
    let operations = operations.filter_map(|name| GrantOperation::parse(name)).collect::<Vec<_>>();
    if operations.is_empty() {
        return None;
    }
    let pairs: BTreeMap<_, _> = assumed.encryption_context.clone();
    let constraint = match values(ConditionKey::GrantConstraintType).next().map(String::as_str) {
        Some("EncryptionContextEquals") => Some(GrantConstraint::EncryptionContextEquals(pairs)),
        Some("EncryptionContextSubset") => Some(GrantConstraint::EncryptionContextSubset(pairs)),
        _ => None,
    };
    let grantee = GrantPrincipal::parse(call.caller.principal().account().as_str()).ok()?;
    Some(GrantTerms { grantee, operations, constraint })
}
