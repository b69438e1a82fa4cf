//! Principals: the root user of an account, and its named users. Roles and sessions are not here yet.

use std::fmt;

use keytrail_event::{AccountId, Arn};
use serde::{Deserialize, Serialize};

use crate::AuthError;

/// Who makes a call.
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
}

impl Principal {
    /// The account that the principal belongs to.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Root { account } | Self::User { account, .. } => account,
        }
    }

    /// `arn:aws:iam::ACCOUNT:root` or `arn:aws:iam::ACCOUNT:user/NAME`.
    pub fn arn(&self) -> Arn {
        match self {
            Self::Root { account } => Arn::iam_root(account),
            Self::User { account, name } => Arn::iam_user(account, name.as_str()),
        }
    }

    /// Whether this is the root user.
    pub fn is_root(&self) -> bool {
        matches!(self, Self::Root { .. })
    }
}

/// A user's name: 1 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`, compared exactly.
///
/// AWS also keeps names apart from others that differ in case only. Here two such names are two users, and their ARNs
/// are two ARNs in every policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Accepts a name of the allowed characters.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(AuthError::UserName { name: text.chars().take(80).collect() })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserName {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        Self::parse(&text)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's unique id, `AIDA` and 17 characters: what a record calls `principalId`. A user who is deleted and made again
/// under the same name has another one, so that old records do not speak about the new user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// Makes an id of 85 random bits (three of the 88 given are not used).
    pub fn from_random(random: [u8; 11]) -> Self {
        let mut text = format!("AIDA{}", base32(&random));
        text.truncate(21);
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        let base32 = |byte: u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
        match text.strip_prefix("AIDA") {
            Some(rest) if rest.len() == 17 && rest.bytes().all(base32) => Ok(Self(text)),
            _ => Err(AuthError::UserId),
        }
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
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
    fn arns_name_the_principal() {
        let account: AccountId = "111122223333".parse().unwrap();
        let root = Principal::Root { account: account.clone() };
        assert_eq!(root.arn().to_string(), "arn:aws:iam::111122223333:root");
        let name = UserName::parse("alice.o+x@corp").unwrap();
        let user = Principal::User { account, name };
        assert_eq!(user.arn().to_string(), "arn:aws:iam::111122223333:user/alice.o+x@corp");
    }

    #[test]
    fn names_with_other_characters_are_refused() {
        for name in ["", "a b", "a/b", "a:b", "a*", "å", &"x".repeat(65), "a\n"] {
            assert!(UserName::parse(name).is_err(), "{name:?}");
        }
        assert!(UserName::parse(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn user_ids_have_21_characters_and_parse_back() {
        let id = UserId::from_random([7; 11]);
        assert_eq!(id.as_str().len(), 21);
        assert_eq!(UserId::try_from(id.as_str().to_owned()), Ok(id));
        assert_eq!(UserId::try_from("AIDA".to_owned()), Err(AuthError::UserId));
    }
}
