//! Account ids and regions: the two coordinates of everything AWS names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// A region's length limit: the longest real one has 16 characters, S3 key segments and file names
/// stay short.
const REGION_LENGTH_MAX: usize = 64;

/// An AWS account: twelve decimal digits, as text because leading zeros count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Reads twelve decimal digits.
    ///
    /// # Errors
    /// [`ParseError::AccountId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| Self(text.to_owned())).ok_or(ParseError::AccountId)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An AWS region (`us-east-1`): lower-case letters, digits and hyphens, so that it is safe in
/// paths, ARNs and S3 keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// Reads 1 to 64 lower-case letters, digits and hyphens. Whether AWS has such a region is not
    /// asked.
    ///
    /// # Errors
    /// [`ParseError::Region`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=REGION_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed);
        good.then(|| Self(text.to_owned())).ok_or(ParseError::Region)
    }

    /// The region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for AccountId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Region {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AccountId {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        Self::parse(&text)
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl FromStr for AccountId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Region {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        Self::parse(&text)
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl FromStr for Region {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        assert!(AccountId::parse("000000000012").is_ok());
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "１２３４"] {
            assert_eq!(AccountId::parse(bad), Err(ParseError::AccountId), "{bad}");
        }
    }

    #[test]
    fn a_region_is_safe_in_a_path() {
        assert!(Region::parse("us-gov-west-1").is_ok());
        for bad in ["", "us/east", "US-EAST-1", "..", "us east", &"a".repeat(65)] {
            assert_eq!(Region::parse(bad), Err(ParseError::Region), "{bad}");
        }
    }
}
