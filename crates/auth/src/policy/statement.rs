//! One statement: whether it speaks about a request, and if not, what does not fit.
//!
//! Its elements were checked when it was read (`grammar`); matching cannot fail.

use serde::Deserialize;

use crate::condition::{Condition, RequestContext, Template};
use crate::pattern;
use crate::principal::{Asker, Named};

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

impl Statement {
    /// Whether the statement speaks about this request, and how it names the caller ([`Named::Directly`] in an identity
    /// policy, which speaks about its holder). Actions ignore case.
    pub(crate) fn meets(
        &self,
        asker: &Asker<'_>,
        (action, resource): (&str, &str),
        context: &RequestContext,
    ) -> Result<Named, Mismatch<'_>> {
        let named = self.names(asker);
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

    /// How the statement names the caller: of several ways, the closest.
    fn names(&self, asker: &Asker<'_>) -> Named {
        match &self.principals {
            Principals::Unnamed => Named::Directly,
            Principals::Listed(list) => list.names(asker),
            Principals::AllBut(list) if list.spares(asker, self.effect) => Named::Not,
            Principals::AllBut(_) | Principals::Any => asker.named_by_all(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principals {
    /// `"*"` or `{"AWS": "*"}`.
    Any,
    /// These.
    Listed(PrincipalList),
    /// `NotPrincipal`: everybody else.
    AllBut(PrincipalList),
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

/// Principals by name. Federated providers and canonical users are accepted in a document and match nobody here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrincipalList {
    /// ARNs and account ids.
    pub(super) aws: Vec<String>,
    /// DNS names.
    pub(super) services: Vec<String>,
}

impl PrincipalList {
    fn names(&self, asker: &Asker<'_>) -> Named {
        if self.services.iter().any(|name| asker.is_service(name)) {
            return Named::Directly;
        }
        self.aws.iter().map(|name| asker.named_by(name)).max().unwrap_or(Named::Not)
    }

    /// Whether the caller is an exception. Only an exact name is one: an account in the list spares its root user and nobody
    /// else, which is why AWS wants both, the user and its account, in such a list. A session is spared from a denial if both
    /// it and its role are listed, as AWS wants it; from an allowance, if either is.
    fn spares(&self, asker: &Asker<'_>, effect: Effect) -> bool {
        if self.services.iter().any(|name| asker.is_service(name)) {
            return true;
        }
        let lists = |wanted: Named| self.aws.iter().any(|name| asker.named_by(name) == wanted);
        let itself = lists(Named::Directly);
        match effect {
            _ if asker.role().is_none() => itself,
            Effect::Deny => itself && lists(Named::ByRole),
            Effect::Allow => itself || lists(Named::ByRole),
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
    /// A trust policy: what it lies on.
    Itself,
}

impl Resources {
    fn accept(&self, arn: &str, context: &RequestContext) -> bool {
        let matches = |pattern: &Template| pattern.is_like(arn, context);
        match self {
            Self::Matching(patterns) => patterns.iter().any(matches),
            Self::AllBut(patterns) => !patterns.iter().any(matches),
            Self::Nothing => false,
            Self::Itself => true,
        }
    }

    fn have_variables(&self) -> bool {
        match self {
            Self::Matching(patterns) | Self::AllBut(patterns) => {
                patterns.iter().any(Template::has_variables)
            }
            Self::Nothing | Self::Itself => false,
        }
    }
}
