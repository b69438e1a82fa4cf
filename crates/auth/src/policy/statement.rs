//! One statement: whether it speaks about a request, and if not, what does not fit.
//!
//! Its elements were checked when it was read (`grammar`); matching cannot fail.

use keytrail_event::Arn;
use serde::Deserialize;

use crate::condition::{Condition, RequestContext, Template};
use crate::{Principal, pattern};

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    /// It lets the request pass, unless something denies it.
    Allow,
    /// It ends the matter.
    Deny,
}

/// One statement, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(super) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(super) principals: Principals,
    pub(super) actions: Patterns,
    pub(super) resources: Resources,
    pub(super) conditions: Vec<Condition>,
}

/// The first element of a statement that does not meet the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch<'a> {
    Principal,
    Action,
    Resource,
    Condition(&'a Condition),
}

/// How the `Principal` of a statement meets a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its own ARN, or by `*`.
    Directly,
    /// Only by its account: an allowance is then for identity policies to use.
    ByAccount,
    /// Not at all.
    Not,
}

impl Statement {
    /// Whether the statement speaks about this request, and how it names the caller ([`Named::Directly`] in an identity
    /// policy, which speaks about its holder). Actions ignore case.
    pub(crate) fn meets(
        &self,
        (caller, caller_arn): (&Principal, &str),
        (action, resource): (&str, &str),
        context: &RequestContext,
    ) -> Result<Named, Mismatch<'_>> {
        let named = self.names(caller, caller_arn);
        if named == Named::Not {
            return Err(Mismatch::Principal);
        }
        if !self.actions.accept(action) {
            return Err(Mismatch::Action);
        }
        if !self.resources.accept(resource, context) {
            return Err(Mismatch::Resource);
        }
        let failing = |condition: &&Condition| !condition.holds(self.effect, context);
        match self.conditions.iter().find(failing) {
            Some(condition) => Err(Mismatch::Condition(condition)),
            None => Ok(named),
        }
    }

    pub(super) fn needs_context(&self) -> bool {
        !self.conditions.is_empty() || self.resources.have_variables()
    }

    /// How the statement names the caller. The root user *is* its account: the account's ARN names it directly.
    fn names(&self, caller: &Principal, caller_arn: &str) -> Named {
        let listed = match &self.principals {
            Principals::Any | Principals::Unnamed => return Named::Directly,
            Principals::Listed(listed) => listed,
            // Only an exact ARN is an exception. An account in the list spares its root user and nobody else: that is
            // why AWS wants both, the user and its account, in such a list.
            Principals::AllBut(listed) => {
                let root =
                    caller.is_root() && listed.iter().any(|n| n == caller.account().as_str());
                let spared = root || listed.iter().any(|name| name == caller_arn);
                return if spared { Named::Not } else { Named::Directly };
            }
        };
        if listed.iter().any(|name| name == caller_arn) {
            return Named::Directly;
        }
        let account = caller.account();
        let root = Arn::iam_root(account).to_string();
        match listed.iter().any(|name| name == account.as_str() || *name == root) {
            true if caller.is_root() => Named::Directly,
            true => Named::ByAccount,
            false => Named::Not,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principals {
    /// `"*"` or `{"AWS": "*"}`.
    Any,
    /// ARNs and account ids. Services and federated providers are accepted in a document and match nobody here.
    Listed(Vec<String>),
    /// `NotPrincipal`: everybody else.
    AllBut(Vec<String>),
    /// An identity policy: it speaks about its holder and says so nowhere.
    Unnamed,
}

impl Principals {
    /// The negation of a list.
    pub(super) fn all_but(self) -> Result<Self, String> {
        match self {
            Self::Listed(list) => Ok(Self::AllBut(list)),
            _ => Err("NotPrincipal must list principals; all but everybody is nobody".to_owned()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Patterns {
    /// `Action`.
    Matching(Vec<String>),
    /// `NotAction`.
    AllBut(Vec<String>),
    /// The element is missing: a statement of a key policy without effect.
    Nothing,
}

impl Patterns {
    fn accept(&self, action: &str) -> bool {
        let matches = |pattern: &String| pattern::matches_ignoring_case(pattern, action);
        match self {
            Self::Matching(patterns) => patterns.iter().any(matches),
            Self::AllBut(patterns) => !patterns.iter().any(matches),
            Self::Nothing => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resources {
    /// `Resource`.
    Matching(Vec<Template>),
    /// `NotResource`.
    AllBut(Vec<Template>),
    /// The element is missing: a statement of a key policy without effect.
    Nothing,
}

impl Resources {
    fn accept(&self, arn: &str, context: &RequestContext) -> bool {
        let matches = |pattern: &Template| pattern.is_like(arn, context);
        match self {
            Self::Matching(patterns) => patterns.iter().any(matches),
            Self::AllBut(patterns) => !patterns.iter().any(matches),
            Self::Nothing => false,
        }
    }

    fn have_variables(&self) -> bool {
        match self {
            Self::Matching(patterns) | Self::AllBut(patterns) => {
                patterns.iter().any(Template::has_variables)
            }
            Self::Nothing => false,
        }
    }
}
