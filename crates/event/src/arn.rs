//! Amazon resource names: `arn:partition:service:region:account:resource`.
//!
//! Region and account may be empty (`arn:aws:iam::111122223333:root`, `arn:aws:s3:::bucket`), the
//! resource may hold more colons and slashes. What the resource means is the service's affair.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, ParseError, Region};

/// AWS's own limit for an ARN in an API parameter.
const ARN_LENGTH_MAX: usize = 2048;

/// An ARN taken apart. Each part is without `:` but the last, so that `parse(arn.to_string()) ==
/// arn`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    partition: String,
    service: String,
    region: String,
    account: String,
    resource: String,
}

impl Arn {
    /// Reads an ARN of at most 2048 bytes. Partition, service and resource must not be empty.
    ///
    /// # Errors
    /// [`ParseError::Arn`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(ParseError::Arn);
        let (scheme, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let whole = scheme == "arn" && !partition.is_empty() && !service.is_empty();
        if !whole || resource.is_empty() || text.len() > ARN_LENGTH_MAX {
            return Err(ParseError::Arn);
        }
        Ok(Self {
            partition: partition.to_owned(),
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.to_owned(),
        })
    }

    /// `arn:aws:kms:REGION:ACCOUNT:key/KEY_ID`; the partition follows from the region.
    pub fn kms_key(region: &Region, account: &AccountId, key_id: &str) -> Self {
        Self::kms(region, account, format!("key/{key_id}"))
    }

    /// `arn:aws:kms:REGION:ACCOUNT:alias/NAME`; `alias` carries its `alias/` already, as the API's
    /// `AliasName` does.
    pub fn kms_alias(region: &Region, account: &AccountId, alias: &str) -> Self {
        Self::kms(region, account, alias.to_owned())
    }

    /// `arn:aws:iam::ACCOUNT:user/NAME`.
    pub fn iam_user(account: &AccountId, name: &str) -> Self {
        Self::iam(account, format!("user/{name}"))
    }

    /// `arn:aws:iam::ACCOUNT:role/NAME`; `path` begins and ends with a slash, and is `/` for most roles.
    pub fn iam_role(account: &AccountId, path: &str, name: &str) -> Self {
        Self::iam(account, format!("role{path}{name}"))
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`: a session of a role, whose path it does not show.
    pub fn sts_assumed_role(account: &AccountId, role: &str, session: &str) -> Self {
        let resource = format!("assumed-role/{role}/{session}");
        Self { service: "sts".to_owned(), ..Self::iam(account, resource) }
    }

    /// `arn:aws:iam::ACCOUNT:root`, the account itself.
    pub fn iam_root(account: &AccountId) -> Self {
        Self::iam(account, "root".to_owned())
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The service's name space, `kms`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The region, empty for global services.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The owner's account id, empty where AWS leaves it out.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Everything after the fifth colon, `key/…`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The part after `key/` if this is a KMS key's ARN.
    pub fn kms_key_id(&self) -> Option<&str> {
        (self.service == "kms").then(|| self.resource.strip_prefix("key/")).flatten()
    }

    /// The alias name, with its `alias/`, if this is a KMS alias's ARN.
    pub fn kms_alias_name(&self) -> Option<&str> {
        (self.service == "kms" && self.resource.starts_with("alias/"))
            .then_some(self.resource.as_str())
    }

    fn kms(region: &Region, account: &AccountId, resource: String) -> Self {
        Self {
            partition: partition_of(region).to_owned(),
            service: "kms".to_owned(),
            region: region.to_string(),
            account: account.to_string(),
            resource,
        }
    }

    fn iam(account: &AccountId, resource: String) -> Self {
        Self {
            partition: "aws".to_owned(),
            service: "iam".to_owned(),
            region: String::new(),
            account: account.to_string(),
            resource,
        }
    }
}

fn partition_of(region: &Region) -> &'static str {
    match region.as_str() {
        name if name.starts_with("cn-") => "aws-cn",
        name if name.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl FromStr for Arn {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn arns_go_both_ways() {
        for text in [
            "arn:aws:kms:us-east-1:111122223333:key/1234",
            "arn:aws:iam::111122223333:role/a/b",
            "arn:aws:s3:::bucket/key:with:colons",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_lacks_a_part_is_no_arn() {
        let long = format!("arn:aws:s3:::{}", "x".repeat(2048));
        for bad in [
            "",
            "arn:aws:kms:us-east-1:111122223333",
            "arn:aws:kms:::",
            "arn::kms:::x",
            "urn:a:b:c:d:e",
            &long,
        ] {
            assert_eq!(Arn::parse(bad), Err(ParseError::Arn), "{bad}");
        }
    }

    #[test]
    fn constructors_name_what_they_say() {
        let account = AccountId::parse("111122223333").unwrap();
        let key = |region: &str| Arn::kms_key(&Region::parse(region).unwrap(), &account, "k");
        assert_eq!(key("us-east-1").to_string(), "arn:aws:kms:us-east-1:111122223333:key/k");
        assert_eq!(key("cn-north-1").partition(), "aws-cn");
        assert_eq!(key("us-gov-west-1").partition(), "aws-us-gov");
        assert_eq!(key("eu-west-1").kms_key_id(), Some("k"));
        assert_eq!(key("eu-west-1").kms_alias_name(), None);
        let alias = Arn::kms_alias(&Region::parse("eu-west-1").unwrap(), &account, "alias/app");
        assert_eq!(alias.to_string(), "arn:aws:kms:eu-west-1:111122223333:alias/app");
        assert_eq!(alias.kms_alias_name(), Some("alias/app"));
        assert_eq!(Arn::iam_user(&account, "al").to_string(), "arn:aws:iam::111122223333:user/al");
        let role = |path| Arn::iam_role(&account, path, "app").to_string();
        assert_eq!(role("/"), "arn:aws:iam::111122223333:role/app");
        assert_eq!(role("/batch/"), "arn:aws:iam::111122223333:role/batch/app");
        let session = Arn::sts_assumed_role(&account, "app", "run1").to_string();
        assert_eq!(session, "arn:aws:sts::111122223333:assumed-role/app/run1");
        assert_eq!(Arn::iam_root(&account).to_string(), "arn:aws:iam::111122223333:root");
    }
}
