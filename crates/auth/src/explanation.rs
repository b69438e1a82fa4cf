//! Why a decision fell as it did: what each statement and each grant had to say about a request.
//!
//! AWS tells a caller one clause. Whoever may read the policies wants to know which statement it was, or what kept the ones
//! that nearly did from applying.

use std::fmt;

use crate::decision::{on_grants, on_identity_policies, on_own_policy, on_session_policy};
use crate::grant::GrantMismatch;
use crate::policy::Mismatch;
use crate::principal::{Asker, Named};
use crate::{AccessRequest, Effect, Grounds};

/// What each statement and each grant had to say, in the order in which [`decide`](crate::decide) asks them.
pub fn explain(request: &AccessRequest<'_>) -> Vec<Considered> {
    let asker = Asker::new(request.principal);
    let statements = on_own_policy(request, &asker)
        .chain(on_identity_policies(request, &asker))
        .chain(on_session_policy(request, &asker));
    let statements = statements.map(|(place, effect, met)| {
        let finding = match met {
            Ok(named) => Finding::from(named),
            Err(Mismatch::Principal) => Finding::OtherPrincipal,
            Err(Mismatch::Action) => Finding::OtherAction,
            Err(Mismatch::Resource) => Finding::OtherResource,
            Err(Mismatch::Condition(failing)) => {
                Finding::Condition { condition: failing.to_string() }
            }
        };
        Considered { place, effect, finding }
    });
    let grants = on_grants(request, &asker).map(|(place, effect, met)| {
        let finding = match met {
            Ok(named) => Finding::from(named),
            Err(GrantMismatch::Grantee) => Finding::OtherPrincipal,
            Err(GrantMismatch::Operation) => Finding::OtherAction,
            Err(GrantMismatch::Constraint) => Finding::Constraint,
        };
        Considered { place, effect, finding }
    });
    statements.chain(grants).collect()
}

/// What one statement or grant had to say about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// Which one.
    pub place: Grounds,
    /// What it does when it applies; a grant allows.
    pub effect: Effect,
    /// Whether it applies.
    pub finding: Finding,
}

/// Whether a statement or grant applies to a request; if not, the first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It applies.
    Applies,
    /// It names the caller's account only: identity policies have to allow.
    Delegates,
    /// It is about somebody else.
    OtherPrincipal,
    /// It is about another action.
    OtherAction,
    /// It is about another resource.
    OtherResource,
    /// A condition does not hold.
    Condition {
        /// Operator and key as written.
        condition: String,
    },
    /// The grant's constraint does not fit: the encryption context, or the grant to be made, is another.
    Constraint,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applies => f.write_str("applies"),
            Self::Delegates => f.write_str("leaves it to identity policies"),
            Self::OtherPrincipal => f.write_str("is about another principal"),
            Self::OtherAction => f.write_str("is about another action"),
            Self::OtherResource => f.write_str("is about another resource"),
            Self::Condition { condition } => write!(f, "condition {condition} does not hold"),
            Self::Constraint => f.write_str("its constraint does not fit"),
        }
    }
}

impl From<Named> for Finding {
    fn from(named: Named) -> Self {
        match named {
            Named::Directly | Named::ByRole => Self::Applies,
            Named::ByAccount => Self::Delegates,
            Named::Not => Self::OtherPrincipal,
        }
    }
}
