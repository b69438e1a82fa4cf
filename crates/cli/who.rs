//! How a principal is typed: `alice`, `root`, `role/app`, `backup.amazonaws.com`, or an ARN; `444455556666:alice` of another
//! account than the first.

use anyhow::bail;
use keytrail_kms::{Caller, Engine};

/// A principal, as typed. A name with an account and a colon before it is one of that account, else of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// A user by its name, or `root`.
    User(String),
    /// A role, or a session of it.
    Role { name: String, session: Option<String> },
    /// What acts as a service of AWS.
    Service(String),
}

impl Who {
    /// Reads what was typed. A role's path may be there and is not looked at: its name is unique without.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") {
            return Ok(Self::Service(text.to_owned()));
        }
        let (account, named) = match text.strip_prefix("arn:") {
            Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>()[..] {
                [_, _, _, account, named] => (Some(account), named),
                _ => (None, ""),
            },
            None => match text.split_once(':') {
                Some((account, named)) => (Some(account), named),
                None => (None, text),
            },
        };
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let of_account = |name: String| match account {
            Some(account) if !name.is_empty() => format!("{account}:{name}"),
            _ => name,
        };
        let who = match named.split_once('/') {
            None => Self::User(of_account(named.to_owned())),
            Some(("user", name)) => Self::User(of_account(name.to_owned())),
            Some(("role", path)) => Self::Role { name: of_account(last(path)), session: None },
            Some(("assumed-role", path)) => match path.split_once('/') {
                Some((name, session)) => {
                    let name = of_account(name.to_owned());
                    Self::Role { name, session: Some(session.to_owned()) }
                }
                None => return Err("a session's ARN is …:assumed-role/ROLE/SESSION".to_owned()),
            },
            Some(_) => {
                return Err("must be a user's name, role/NAME, a service, or an ARN".to_owned());
            }
        };
        let (Self::User(name) | Self::Role { name, .. } | Self::Service(name)) = &who;
        if name.is_empty() { Err("must name somebody".to_owned()) } else { Ok(who) }
    }

    /// The same for one who is to be changed, and so is of the account of whoever changes it, whatever an ARN says.
    pub(crate) fn parse_own(text: &str) -> Result<Self, String> {
        let own = |name: String| name.rsplit(':').next().unwrap_or_default().to_owned();
        Ok(match Self::parse(text)? {
            Self::User(name) => Self::User(own(name)),
            Self::Role { name, session } => Self::Role { name: own(name), session },
            Self::Service(name) => Self::Service(name),
        })
    }

    /// The caller that a record will name.
    pub(crate) fn caller(&self, engine: &Engine) -> anyhow::Result<Caller> {
        match self {
            Self::User(name) => Ok(engine.caller_named(name)?),
            Self::Service(name) => Ok(engine.caller_for_service(name)?),
            Self::Role { name, .. } => bail!(
                "a role calls through its sessions: let a client assume role {name} through `keytrail serve`"
            ),
        }
    }

    /// The same for questions about policies, which a role can be asked about without a session.
    pub(crate) fn imagined(
        &self,
        engine: &Engine,
        session: Option<&str>,
    ) -> anyhow::Result<Caller> {
        match self {
            Self::Role { name, session: own } => {
                let session = session.or(own.as_deref()).unwrap_or("any-session");
                Ok(engine.imagined_session(name, session)?)
            }
            Self::User(_) | Self::Service(_) if session.is_some() => {
                bail!("--session is for roles: --principal role/NAME --session NAME")
            }
            Self::User(_) | Self::Service(_) => self.caller(engine),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn principals_are_named_shortly_or_by_their_arn() {
        let user = |name: &str| Who::User(name.to_owned());
        let role = |name: &str, session: Option<&str>| Who::Role {
            name: name.to_owned(),
            session: session.map(str::to_owned),
        };
        for (text, expected) in [
            ("alice", user("alice")),
            ("alice@corp", user("alice@corp")),
            ("root", user("root")),
            ("444455556666:alice", user("444455556666:alice")),
            ("444455556666:role/batch/app", role("444455556666:app", None)),
            ("arn:aws:iam::111122223333:root", user("111122223333:root")),
            ("arn:aws:iam::111122223333:user/alice", user("111122223333:alice")),
            ("role/app", role("app", None)),
            ("role/batch/app", role("app", None)),
            ("arn:aws:iam::111122223333:role/batch/app", role("111122223333:app", None)),
            (
                "arn:aws:sts::111122223333:assumed-role/app/run1",
                role("111122223333:app", Some("run1")),
            ),
            ("backup.amazonaws.com", Who::Service("backup.amazonaws.com".to_owned())),
        ] {
            assert_eq!(Who::parse(text).unwrap(), expected, "{text}");
        }
        let own = Who::parse_own("arn:aws:iam::111122223333:role/batch/app");
        assert_eq!(own.unwrap(), role("app", None));
        for text in
            ["", "role/", "group/admins", "assumed-role/app", "444455556666:", "arn:aws:iam::1"]
        {
            assert!(Who::parse(text).is_err(), "{text}");
        }
    }
}
