//! The changes of those who may call: users, their policies, access keys, and roles (`roles`).

use keytrail_auth::{AccessKeyId, IdentityPolicy, RoleName, UserName};
use keytrail_event::AccountId;
use serde::{Deserialize, Serialize};

use super::{AccessKeyEntry, Account, RoleChange, State, User};
use crate::parameters::PolicyName;
use crate::tags::Tag;

/// A change of users, roles or access keys. Written as JSON; variants and fields may be added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IdentityChange {
    AccountCreated {
        account: AccountId,
        root_access_key: AccessKeyId,
        entry: AccessKeyEntry,
    },
    UserCreated {
        account: AccountId,
        name: UserName,
        user: User,
    },
    UserPolicyPut {
        account: AccountId,
        user: UserName,
        name: PolicyName,
        policy: IdentityPolicy,
    },
    UserPolicyDeleted {
        account: AccountId,
        user: UserName,
        name: PolicyName,
    },
    /// All tags that the user has from then on.
    UserTagsPut {
        account: AccountId,
        user: UserName,
        tags: Vec<Tag>,
    },
    UserDeleted {
        account: AccountId,
        name: UserName,
    },
    Role {
        account: AccountId,
        name: RoleName,
        change: RoleChange,
    },
    AccessKeyCreated {
        id: AccessKeyId,
        entry: AccessKeyEntry,
    },
    AccessKeyDeleted(AccessKeyId),
}

impl IdentityChange {
    /// Whether the change fits the state.
    pub(super) fn fits(&self, state: &State) -> bool {
        match self {
            Self::AccountCreated { account, root_access_key, .. } => {
                !state.accounts.contains_key(account)
                    && !state.access_keys.contains_key(root_access_key)
            }
            Self::UserCreated { account, name, .. } => {
                let account = state.accounts.get(account);
                account.is_some_and(|account| !account.users.contains_key(name))
            }
            Self::UserPolicyPut { account, user: name, .. }
            | Self::UserTagsPut { account, user: name, .. }
            | Self::UserDeleted { account, name } => state.user(account, name).is_some(),
            Self::UserPolicyDeleted { account, user, name } => {
                state.user(account, user).is_some_and(|user| user.policies.contains_key(name))
            }
            Self::Role { account, name, change } => change.fits(account, name, state),
            Self::AccessKeyCreated { id, .. } => !state.access_keys.contains_key(id),
            Self::AccessKeyDeleted(id) => state.access_keys.contains_key(id),
        }
    }
}

impl State {
    /// Applies a change that was checked against this very state.
    pub(super) fn apply_identity(&mut self, change: IdentityChange) {
        match change {
            IdentityChange::AccountCreated { account, root_access_key, entry } => {
                self.accounts.insert(account, Account::default());
                self.access_keys.insert(root_access_key, entry);
            }
            IdentityChange::UserCreated { account, name, user } => {
                self.alter_account(&account, |account| drop(account.users.insert(name, user)));
            }
            IdentityChange::UserPolicyPut { account, user, name, policy } => {
                let put = |user: &mut User| drop(user.policies.insert(name, policy));
                self.alter_user(&account, &user, put);
            }
            IdentityChange::UserPolicyDeleted { account, user, name } => {
                self.alter_user(&account, &user, |user| drop(user.policies.remove(&name)));
            }
            IdentityChange::UserTagsPut { account, user, tags } => {
                self.alter_user(&account, &user, |user| user.tags = tags);
            }
            IdentityChange::UserDeleted { account, name } => {
                self.alter_account(&account, |account| drop(account.users.remove(&name)));
            }
            IdentityChange::Role { account, name, change } => change.apply(&account, name, self),
            IdentityChange::AccessKeyCreated { id, entry } => {
                self.access_keys.insert(id, entry);
            }
            IdentityChange::AccessKeyDeleted(id) => drop(self.access_keys.remove(&id)),
        }
    }

    /// Alters an account, which is there: the change was checked.
    fn alter_account(&mut self, account: &AccountId, how: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(account) {
            how(account);
        }
    }

    fn alter_user(&mut self, account: &AccountId, name: &UserName, how: impl FnOnce(&mut User)) {
        self.alter_account(account, |account| {
            if let Some(user) = account.users.get_mut(name) {
                how(user);
            }
        });
    }
}
