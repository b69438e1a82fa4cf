//! From a call to a decision: gathers what [`decide`] looks at, and turns its no into the call's.
//!
//! Every decision of the engine is made here, and `policy check` asks the same way with assumed values: so what is explained
//! is what would happen.

use std::collections::BTreeMap;

use keytrail_auth::{
    AccessRequest, Authorized, ConditionKey, GrantFacts, GrantOperation, GrantPrincipal,
    GrantTerms, IdentityPolicy, KeyPolicy, Principal, RequestContext, Resource, decide,
    decide_retirement,
};
use keytrail_event::Arn;

use super::{Call, conditions};
use crate::error::Refusal;
use crate::grant_token;
use crate::names::KeyArn;
use crate::parameters::PolicyName;
use crate::state::{Grant, Key};
use crate::sts::Assumption;
use crate::tags::{Tag, overlay};

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// A key, with its policy and grants.
    Key(&'a Key),
    /// A key with a policy that it does not have yet.
    NewPolicy { arn: &'a KeyArn, policy: &'a KeyPolicy },
    /// A role that is to be assumed.
    Role(&'a Assumption<'a>),
    /// Something that only identity policies speak about.
    Identity { arn: &'a str },
}

/// Values that a decision is to take instead of the call's.
#[derive(Default)]
pub(crate) struct Assumed {
    pub(crate) context: Vec<(ConditionKey, String)>,
    pub(crate) encryption_context: BTreeMap<String, String>,
}

impl Call<'_> {
    /// Whether the caller may do `action` with `key`.
    pub(crate) fn authorize(&self, action: &str, key: &Key) -> Result<Authorized, Refusal> {
        self.check_grant_tokens(action)?;
        Ok(self.ask(action, Subject::Key(key), None, None, decide)?)
    }

    /// Whether the caller may make a grant with these terms on `key`.
    pub(crate) fn authorize_grant(
        &self,
        key: &Key,
        terms: &GrantTerms,
    ) -> Result<Authorized, Refusal> {
        self.check_grant_tokens("kms:CreateGrant")?;
        Ok(self.ask("kms:CreateGrant", Subject::Key(key), Some(terms), None, decide)?)
    }

    /// Whether the caller may retire this grant on `key`.
    pub(crate) fn authorize_retirement(
        &self,
        key: &Key,
        grant: &Grant,
    ) -> Result<Authorized, Refusal> {
        let retirement = [grant.retirement()];
        let answer = |request: &AccessRequest<'_>| decide_retirement(request, &retirement);
        Ok(self.ask("kms:RetireGrant", Subject::Key(key), None, None, answer)?)
    }

    /// Whether the caller's identity policies allow `action` on something that has no policy of its own.
    pub(crate) fn authorize_identity(
        &self,
        action: &str,
        arn: &str,
    ) -> Result<Authorized, Refusal> {
        Ok(self.ask(action, Subject::Identity { arn }, None, None, decide)?)
    }

    /// Whether the caller may do `action`, one of those that `AssumeRole` needs, with a role.
    pub(crate) fn authorize_assumption(
        &self,
        action: &str,
        role: &Assumption<'_>,
    ) -> Result<(), Refusal> {
        Ok(self.ask(action, Subject::Role(role), None, None, decide).map(drop)?)
    }

    /// The same for a call that is carried out in another place or for another key than this one says.
    pub(crate) fn authorize_as(
        &self,
        action: &str,
        arn: &str,
        assumed: &Assumed,
    ) -> Result<Authorized, Refusal> {
        Ok(self.ask(action, Subject::Identity { arn }, None, Some(assumed), decide)?)
    }

    /// Whether a policy would keep the caller from ever changing it again.
    pub(crate) fn is_locked_out_by(&self, policy: &KeyPolicy, arn: &KeyArn) -> bool {
        let subject = Subject::NewPolicy { arn, policy };
        self.ask("kms:PutKeyPolicy", subject, None, None, decide).is_err()
    }

    /// Whether the caller could look at a key that had this policy.
    pub(crate) fn may_describe_under(&self, policy: &KeyPolicy, arn: &KeyArn) -> bool {
        let subject = Subject::NewPolicy { arn, policy };
        self.ask("kms:DescribeKey", subject, None, None, decide).is_ok()
    }

    /// The caller's identity policies, by name; of a session, those of its role.
    pub(crate) fn identity_policies(&self) -> Vec<(&PolicyName, &IdentityPolicy)> {
        let policies = match (self.caller.principal(), self.caller.session()) {
            (Principal::User { account, name }, _) => {
                self.state.user(account, name).map(|user| &user.policies)
            }
            (_, Some(session)) => session.role(self.state).map(|role| &role.policies),
            _ => None,
        };
        policies.map(|policies| policies.iter().collect()).unwrap_or_default()
    }

    /// The caller's tags; a session's own before those of its role.
    pub(crate) fn principal_tags(&self) -> Vec<Tag> {
        match (self.caller.principal(), self.caller.session()) {
            (Principal::User { account, name }, _) => {
                self.state.user(account, name).map(|user| user.tags.clone()).unwrap_or_default()
            }
            (_, Some(session)) => {
                let of_role = session.role(self.state).map(|role| role.tags.as_slice());
                overlay(of_role.unwrap_or_default(), &session.tags)
            }
            _ => Vec::new(),
        }
    }

    /// The grants of a key that name the caller, or its account.
    pub(crate) fn grants_to_caller(&self, key: &Key) -> Vec<&Grant> {
        let grants = &self.state.grants;
        if grants.count(&key.arn) == 0 {
            return Vec::new();
        }
        let principal = self.caller.principal();
        let mut arns = vec![principal.to_string()];
        arns.extend(principal.role_arn().map(|role| role.to_string()));
        if !principal.is_root() {
            arns.push(Arn::iam_root(principal.account()).to_string());
        }
        let grantees = arns.iter().filter_map(|arn| GrantPrincipal::parse(arn).ok());
        grantees.flat_map(|grantee| grants.to(&key.arn, &grantee)).collect()
    }

    /// Puts the question together and lets `answer` answer it.
    pub(crate) fn ask<T>(
        &self,
        action: &str,
        subject: Subject<'_>,
        creates: Option<&GrantTerms>,
        assumed: Option<&Assumed>,
        answer: impl FnOnce(&AccessRequest<'_>) -> T,
    ) -> T {
        let named = self.identity_policies();
        let identity_policies = &named.iter().map(|(_, policy)| *policy).collect::<Vec<_>>();
        let (key, grants) = match subject {
            Subject::Key(key) => (Some(key), self.grants_to_caller(key)),
            Subject::NewPolicy { .. } | Subject::Role(_) | Subject::Identity { .. } => {
                (None, Vec::new())
            }
        };
        let session_policy = self.caller.session().and_then(|session| session.policy.as_ref());
        let terms = &grants.iter().map(|grant| &grant.terms).collect::<Vec<_>>();
        let resource = match subject {
            Subject::Key(Key { arn, policy, .. }) => {
                Resource::Key { arn: arn.as_str(), account: arn.account(), policy, grants: terms }
            }
            Subject::NewPolicy { arn, policy } => {
                Resource::Key { arn: arn.as_str(), account: arn.account(), policy, grants: &[] }
            }
            Subject::Role(&Assumption { arn, account, trust, .. }) => {
                Resource::Role { arn, account, trust }
            }
            Subject::Identity { arn } => Resource::Identity { arn },
        };
        // Most policies have no conditions; then nothing is gathered for them.
        let asked = identity_policies.iter().any(|policy| policy.needs_context())
            || session_policy.is_some_and(IdentityPolicy::needs_context)
            || match resource {
                Resource::Key { policy, .. } => policy.needs_context(),
                Resource::Role { trust, .. } => trust.needs_context(),
                Resource::Identity { .. } => false,
            };
        let gather = || match subject {
            Subject::Role(role) => conditions::of_assumption(self, role.role),
            _ => conditions::of_call(self, action, key),
        };
        let context = match (asked, assumed) {
            (false, _) => RequestContext::default(),
            (true, None) => gather(),
            (true, Some(assumed)) => assumed.over(gather()),
        };
        let encryption_context = match assumed {
            _ if grants.is_empty() => BTreeMap::new(),
            Some(assumed) => assumed.encryption_context.clone(),
            None => conditions::encryption_context(self, action),
        };
        answer(&AccessRequest {
            principal: self.caller.principal(),
            action,
            resource,
            identity_policies,
            session_policy,
            context: &context,
            grant_facts: GrantFacts { encryption_context: &encryption_context, creates },
        })
    }

    /// Refuses grant tokens that are not ours. Ours add nothing: a grant counts from the moment it is made. An operation
    /// takes tokens if a grant can allow it, except for `RetireGrant`, whose one token is a parameter of another kind.
    fn check_grant_tokens(&self, action: &str) -> Result<(), Refusal> {
        let operation = action.strip_prefix("kms:").and_then(GrantOperation::parse);
        if operation.is_none_or(|operation| operation == GrantOperation::RetireGrant) {
            return Ok(());
        }
        let tokens = self.sent.member::<Vec<String>>("GrantTokens").unwrap_or_default();
        tokens.iter().try_for_each(|token| {
            grant_token::open(token, &self.config.origin, self.store_key).map(drop)
        })
    }
}

impl Assumed {
    /// The context with the assumed values in place of its own.
    fn over(&self, mut context: RequestContext) -> RequestContext {
        for (key, _) in &self.context {
            context.remove(key);
        }
        for (key, value) in &self.context {
            context.add(key, value.as_str());
        }
        context
    }
}
