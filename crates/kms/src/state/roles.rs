//! Roles, and how they change.
//!
//! A role is nobody: its sessions call, and of those nothing is kept (`session`). A session is good while the role that it
//! was made of is there; a role that is made again under the same name has another id, and no session of the first one.

use std::collections::BTreeMap;

use keytrail_auth::{IdentityPolicy, RoleId, RoleName, RolePath, TrustPolicy};
use keytrail_event::{AccountId, Arn, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, unix_nanos};
use crate::parameters::{Description, PolicyName};
use crate::tags::Tag;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) id: RoleId,
    pub(crate) path: RolePath,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
    pub(crate) description: Description,
    /// Who may assume it.
    pub(crate) trust: TrustPolicy,
    /// What its sessions may do.
    pub(crate) policies: BTreeMap<PolicyName, IdentityPolicy>,
    pub(crate) tags: Vec<Tag>,
    /// The longest session, in seconds.
    pub(crate) max_session_seconds: u32,
}

impl Role {
    pub(crate) fn arn(&self, account: &AccountId, name: &RoleName) -> Arn {
        Arn::iam_role(account, self.path.as_str(), name.as_str())
    }
}

/// A change of one role. Written as JSON, like [`Change`](super::Change).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RoleChange {
    Created(Box<Role>),
    Updated {
        description: Description,
        max_session_seconds: u32,
    },
    TrustPolicyPut(TrustPolicy),
    PolicyPut {
        name: PolicyName,
        policy: IdentityPolicy,
    },
    PolicyDeleted(PolicyName),
    /// All tags that the role has from then on.
    TagsPut(Vec<Tag>),
    /// Ends its sessions.
    Deleted,
}

impl RoleChange {
    /// Whether the change fits the state.
    pub(super) fn fits(&self, account: &AccountId, name: &RoleName, state: &State) -> bool {
        let role = state.role(account, name);
        match self {
            Self::Created(_) => state.accounts.contains_key(account) && role.is_none(),
            Self::PolicyDeleted(policy) => {
                role.is_some_and(|role| role.policies.contains_key(policy))
            }
            Self::Updated { .. }
            | Self::TrustPolicyPut(_)
            | Self::PolicyPut { .. }
            | Self::TagsPut(_)
            | Self::Deleted => role.is_some(),
        }
    }

    /// Applies a change that was found to fit.
    pub(super) fn apply(self, account: &AccountId, name: RoleName, state: &mut State) {
        let Some(roles) = state.accounts.get_mut(account).map(|account| &mut account.roles) else {
            return;
        };
        match (self, roles.get_mut(&name)) {
            (Self::Created(role), _) => drop(roles.insert(name, *role)),
            (Self::Updated { description, max_session_seconds }, Some(role)) => {
                (role.description, role.max_session_seconds) = (description, max_session_seconds);
            }
            (Self::TrustPolicyPut(policy), Some(role)) => role.trust = policy,
            (Self::PolicyPut { name, policy }, Some(role)) => {
                role.policies.insert(name, policy);
            }
            (Self::PolicyDeleted(policy), Some(role)) => drop(role.policies.remove(&policy)),
            (Self::TagsPut(tags), Some(role)) => role.tags = tags,
            (Self::Deleted, _) => drop(roles.remove(&name)),
            (_, None) => {}
        }
    }
}
