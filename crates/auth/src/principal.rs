//! Principals: who makes a call, and how policies name them.
//!
//! | principal | ARN | policies name it |
//! |---|---|---|
//! | root user | `arn:aws:iam::ACCOUNT:root` | by its account |
//! | user | `arn:aws:iam::ACCOUNT:user/NAME` | itself, by its account |
//! | session of a role | `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` | itself, by its role, by its account |
//! | service | none | by its DNS name, under `Service` |
//!
//! A role calls nobody itself: its sessions do. Federated users and identity centre users do not exist here.

use std::fmt;

use keytrail_event::{AccountId, Arn};

use crate::{RoleName, RolePath, ServiceName, SessionName, UserName};

/// Who makes a call. Shown by its ARN, a service by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// The root user: not subject to identity policies, but to key policies.
    Root {
        /// The account it owns.
        account: AccountId,
    },
    /// A user with policies of its own.
    User {
        /// The account it belongs to.
        account: AccountId,
        /// Its name, unique in the account.
        name: UserName,
    },
    /// A session of a role: what somebody is who assumed it.
    AssumedRole {
        /// The account that the role belongs to.
        account: AccountId,
        /// The role's path.
        path: RolePath,
        /// The role's name, unique in the account.
        role: RoleName,
        /// The session's name. Several sessions may have the same one, and are one principal in policies.
        session: SessionName,
    },
    /// An AWS service that calls on its own behalf. Nobody's identity policies are about it.
    Service {
        /// The account in which it acts. It belongs to none: a policy that names this account does not name the service.
        account: AccountId,
        /// Its name.
        name: ServiceName,
    },
}

impl Principal {
    /// The account that the principal belongs to, or in which it acts.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::AssumedRole { account, .. }
            | Self::Service { account, .. } => account,
        }
    }

    /// Its ARN; of a session, that of the session. A service has none.
    pub fn arn(&self) -> Option<Arn> {
        match self {
            Self::Root { account } => Some(Arn::iam_root(account)),
            Self::User { account, name } => Some(Arn::iam_user(account, name.as_str())),
            Self::AssumedRole { account, role, session, .. } => {
                Some(Arn::sts_assumed_role(account, role.as_str(), session.as_str()))
            }
            Self::Service { .. } => None,
        }
    }

    /// The ARN of the role whose session this is.
    pub fn role_arn(&self) -> Option<Arn> {
        match self {
            Self::AssumedRole { account, path, role, .. } => {
                Some(Arn::iam_role(account, path.as_str(), role.as_str()))
            }
            Self::Root { .. } | Self::User { .. } | Self::Service { .. } => None,
        }
    }

    /// What `aws:PrincipalArn` is: the role's ARN for its sessions.
    pub fn lasting_arn(&self) -> Option<Arn> {
        self.role_arn().or_else(|| self.arn())
    }

    /// What `aws:PrincipalType` is; a service has none.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Root { .. } => Some("Account"),
            Self::User { .. } => Some("User"),
            Self::AssumedRole { .. } => Some("AssumedRole"),
            Self::Service { .. } => None,
        }
    }

    /// Whether this is the root user.
    pub fn is_root(&self) -> bool {
        matches!(self, Self::Root { .. })
    }

    /// Whether this is a service.
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Service { .. })
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { name, .. } => name.fmt(f),
            _ => self.arn().map_or(Ok(()), |arn| arn.fmt(f)),
        }
    }
}

/// How a policy or a grant names a caller; the later, the closer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// Not at all.
    Not,
    /// Only by its account: an allowance is then for identity policies to use.
    ByAccount,
    /// As any session of its role: what the role may, a session policy can take away.
    ByRole,
    /// Itself. A session policy does not limit what is given to the session itself.
    Directly,
}

/// A caller with all its names, written once for all statements and grants of a decision.
pub(crate) struct Asker<'a> {
    principal: &'a Principal,
    own: String,
    role: Option<String>,
    root_of_account: String,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(principal: &'a Principal) -> Self {
        Self {
            principal,
            own: principal.to_string(),
            role: principal.role_arn().map(|arn| arn.to_string()),
            root_of_account: Arn::iam_root(principal.account()).to_string(),
        }
    }

    /// Its ARN, or a service's name.
    pub(crate) fn as_str(&self) -> &str {
        &self.own
    }

    /// How `*` names it. A session is then anybody of its role, so that its session policy still holds.
    pub(crate) fn named_by_all(&self) -> Named {
        if self.role.is_some() { Named::ByRole } else { Named::Directly }
    }

    /// How an ARN or account id names it. The root user *is* its account.
    pub(crate) fn named_by(&self, name: &str) -> Named {
        match self.principal {
            Principal::Service { .. } => Named::Not,
            _ if name == self.own => Named::Directly,
            _ if self.role.as_deref() == Some(name) => Named::ByRole,
            principal if name == self.root_of_account || name == principal.account().as_str() => {
                if principal.is_root() {
                    Named::Directly
                } else {
                    Named::ByAccount
                }
            }
            _ => Named::Not,
        }
    }

    /// Whether this is the service of that name.
    pub(crate) fn is_service(&self, name: &str) -> bool {
        matches!(self.principal, Principal::Service { name: own, .. } if own.as_str() == name)
    }

    /// Its role's ARN, if it is a session.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn session() -> Principal {
        Principal::AssumedRole {
            account: account(),
            path: RolePath::parse("/batch/").unwrap(),
            role: RoleName::parse("app").unwrap(),
            session: SessionName::parse("run1").unwrap(),
        }
    }

    fn service() -> Principal {
        let name = ServiceName::parse("backup.amazonaws.com").unwrap();
        Principal::Service { account: account(), name }
    }

    #[test]
    fn arns_name_the_principal() {
        let root = Principal::Root { account: account() };
        assert_eq!(root.to_string(), "arn:aws:iam::111122223333:root");
        let name = UserName::parse("alice.o+x@corp").unwrap();
        let user = Principal::User { account: account(), name };
        assert_eq!(user.to_string(), "arn:aws:iam::111122223333:user/alice.o+x@corp");
        assert_eq!(user.lasting_arn(), user.arn());
        let session = session();
        assert_eq!(session.to_string(), "arn:aws:sts::111122223333:assumed-role/app/run1");
        let role = session.lasting_arn().unwrap().to_string();
        assert_eq!(role, "arn:aws:iam::111122223333:role/batch/app");
        assert_eq!((service().arn(), service().lasting_arn()), (None, None));
        assert_eq!(service().to_string(), "backup.amazonaws.com");
    }

    #[test]
    fn each_kind_is_named_in_its_ways_and_in_no_other() {
        let account_root = "arn:aws:iam::111122223333:root";
        let of_role = "arn:aws:iam::111122223333:role/batch/app";
        let of_session = "arn:aws:sts::111122223333:assumed-role/app/run1";
        let root = Principal::Root { account: account() };
        let (session, service) = (session(), service());
        for (principal, name, expected) in [
            (&root, account_root, Named::Directly),
            (&root, "111122223333", Named::Directly),
            (&root, "444455556666", Named::Not),
            (&session, of_session, Named::Directly),
            (&session, of_role, Named::ByRole),
            (&session, account_root, Named::ByAccount),
            (&session, "111122223333", Named::ByAccount),
            (&session, "arn:aws:sts::111122223333:assumed-role/app/run2", Named::Not),
            (&session, "arn:aws:iam::111122223333:role/app", Named::Not),
            (&session, "arn:aws:iam::111122223333:user/app", Named::Not),
            (&service, "backup.amazonaws.com", Named::Not),
            (&service, "111122223333", Named::Not),
        ] {
            assert_eq!(Asker::new(principal).named_by(name), expected, "{principal} {name}");
        }
        assert!(Asker::new(&service).is_service("backup.amazonaws.com"));
        assert!(!Asker::new(&service).is_service("s3.amazonaws.com"));
        assert!(!Asker::new(&root).is_service(account_root));
    }
}
