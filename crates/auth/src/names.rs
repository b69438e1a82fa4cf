//! Names and unique ids of principals: what stands in their ARNs and in `principalId`.
//!
//! A name is compared exactly. AWS also keeps names apart from others that differ in case only; here two such names are two
//! principals, and their ARNs are two ARNs in every policy. A unique id belongs to one principal for ever: who is deleted and
//! made again under the same name has another one, so that old records do not speak about the new one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AuthError;

/// Declares the names: documentation, type, what it accepts, and the error for the rest.
macro_rules! names {
    ($($(#[$doc:meta])+ $name:ident, $accepts:ident, $error:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts a text of the allowed form.
            pub fn parse(text: &str) -> Result<Self, AuthError> {
                if $accepts(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(AuthError::$error { name: text.chars().take(80).collect() })
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = AuthError;

            fn try_from(text: String) -> Result<Self, AuthError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A user's name: 1 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`.
    UserName, is_name, UserName;
    /// A role's name: 1 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`, unique in the account whatever the path.
    RoleName, is_name, RoleName;
    /// The path of a role: `/`, or visible ASCII between slashes, at most 512 characters. It stands in the role's ARN, not in
    /// those of its sessions.
    RolePath, is_path, RolePath;
    /// The name that a session gets from whoever assumes the role: 2 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`.
    SessionName, is_session_name, SessionName;
    /// Who is behind a session, as told when the first role was assumed; every session that follows keeps it. 2 to 64
    /// characters of `A-Z a-z 0-9 + = , . @ _ -`.
    SourceIdentity, is_session_name, SourceIdentity;
    /// An AWS service as a principal, by its DNS name: `backup.amazonaws.com`.
    ServiceName, is_service, ServiceName;
}

impl Default for RolePath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_session_name(text: &str) -> bool {
    text.len() >= 2 && is_name(text)
}

/// Visible ASCII without wildcards: those would make a pattern of an ARN that is meant to name one role.
fn is_path(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"*?:".contains(&byte);
    (1..=512).contains(&text.len())
        && text.starts_with('/')
        && text.ends_with('/')
        && text.bytes().all(allowed)
}

fn is_service(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let name = text.strip_suffix(".amazonaws.com").or(text.strip_suffix(".amazonaws.com.cn"));
    text.len() <= 128 && name.is_some_and(|name| name.split('.').all(label))
}

/// Declares the unique ids: documentation, type, prefix.
macro_rules! unique_ids {
    ($($(#[$doc:meta])+ $name:ident, $prefix:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes an id of 85 random bits (three of the 88 given are not used).
            pub fn from_random(random: [u8; 11]) -> Self {
                let mut text = format!("{}{}", $prefix, base32(&random));
                text.truncate(21);
                Self(text)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = AuthError;

            fn try_from(text: String) -> Result<Self, AuthError> {
                let base32 = |byte: u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
                match text.strip_prefix($prefix) {
                    Some(rest) if rest.len() == 17 && rest.bytes().all(base32) => Ok(Self(text)),
                    _ => Err(AuthError::$name),
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

unique_ids! {
    /// A user's unique id, `AIDA` and 17 characters: what a record calls `principalId`.
    UserId, "AIDA";
    /// A role's unique id, `AROA` and 17 characters; with `:` and the session's name it is a session's `principalId`.
    RoleId, "AROA";
}

/// RFC 4648 base32 without padding: the alphabet of AWS's ids.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u16, 0);
    for byte in bytes {
        bits = bits << 8 | u16::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[usize::from(bits >> count & 31)]));
            bits &= (1 << count) - 1;
        }
    }
    if count > 0 {
        text.push(char::from(ALPHABET[usize::from(bits << (5 - count) & 31)]));
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn names_with_other_characters_are_refused() {
        for name in ["", "a b", "a/b", "a:b", "a*", "å", &"x".repeat(65), "a\n"] {
            assert!(UserName::parse(name).is_err(), "{name:?}");
            assert!(RoleName::parse(name).is_err(), "{name:?}");
            assert!(SessionName::parse(name).is_err(), "{name:?}");
            assert!(SourceIdentity::parse(name).is_err(), "{name:?}");
        }
        assert!(UserName::parse(&"x".repeat(64)).is_ok());
        assert!(RoleName::parse("x").is_ok() && SessionName::parse("x").is_err());
        assert!(SessionName::parse("me@corp").is_ok());
    }

    #[test]
    fn paths_begin_and_end_with_a_slash() {
        for path in ["/", "/service-role/", "/a/b/"] {
            assert_eq!(RolePath::parse(path).unwrap().as_str(), path);
        }
        let long = format!("/{}/", "x".repeat(511));
        for path in ["", "a", "/a", "a/", "/a b/", "/*/", "/a:b/", "/å/", &long] {
            assert!(RolePath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn services_are_named_by_their_dns_name() {
        for name in ["backup.amazonaws.com", "logs.us-east-1.amazonaws.com", "a.amazonaws.com.cn"] {
            assert!(ServiceName::parse(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "backup",
            ".amazonaws.com",
            "amazonaws.com",
            "Backup.amazonaws.com",
            "*.amazonaws.com",
            "a..b.amazonaws.com",
            "backup.amazonaws.com.evil.org",
        ] {
            assert!(ServiceName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn unique_ids_have_21_characters_and_parse_back() {
        let (user, role) = (UserId::from_random([7; 11]), RoleId::from_random([7; 11]));
        assert_eq!((user.as_str().len(), role.as_str().len()), (21, 21));
        assert_eq!(RoleId::try_from(user.as_str().to_owned()), Err(AuthError::RoleId));
        assert_eq!(UserId::try_from(user.as_str().to_owned()), Ok(user));
        assert_eq!(RoleId::try_from(role.as_str().to_owned()), Ok(role));
        assert_eq!(UserId::try_from("AIDA".to_owned()), Err(AuthError::UserId));
    }
}
