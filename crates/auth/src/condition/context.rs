//! The condition keys that a request can have, and their values in one request.
//!
//! Keys are written in either case
//! ([condition element](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html)),
//! also the part behind `kms:EncryptionContext:`. A policy may name any key: one that is not here has no value in any
//! request. A request can only have the keys of [`ConditionKey`], so that nobody fills in a misspelt one.

use std::collections::BTreeMap;
use std::fmt;

use keytrail_event::Timestamp;

use crate::Principal;

/// Declares the keys that are one name each: variant, and AWS's name.
macro_rules! condition_keys {
    ($($variant:ident $name:literal,)+) => {
        /// A condition key, by AWS's name
        /// ([KMS](https://docs.aws.amazon.com/kms/latest/developerguide/policy-conditions.html),
        /// [global](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)).
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ConditionKey {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
            /// `kms:EncryptionContext:KEY`: the value of one pair.
            EncryptionContext(String),
            /// `aws:PrincipalTag/KEY`: a tag of the caller.
            PrincipalTag(String),
            /// `aws:RequestTag/KEY`: a tag that the request sets.
            RequestTag(String),
            /// `aws:ResourceTag/KEY`: a tag of the key or role.
            ResourceTag(String),
        }

        /// The keys that are one name each.
        const NAMED: &[(&str, ConditionKey)] = &[$(($name, ConditionKey::$variant),)+];

        impl ConditionKey {
            /// AWS's name, without the part that a caller chooses.
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::EncryptionContext(_) => "kms:EncryptionContext:",
                    Self::PrincipalTag(_) => "aws:PrincipalTag/",
                    Self::RequestTag(_) => "aws:RequestTag/",
                    Self::ResourceTag(_) => "aws:ResourceTag/",
                }
            }
        }
    };
}

condition_keys! {
    CurrentTime "aws:CurrentTime",
    EpochTime "aws:EpochTime",
    MultiFactorAuthPresent "aws:MultiFactorAuthPresent",
    PrincipalAccount "aws:PrincipalAccount",
    PrincipalArn "aws:PrincipalArn",
    PrincipalIsAwsService "aws:PrincipalIsAWSService",
    PrincipalOrgId "aws:PrincipalOrgID",
    PrincipalServiceName "aws:PrincipalServiceName",
    PrincipalServiceNamesList "aws:PrincipalServiceNamesList",
    PrincipalType "aws:PrincipalType",
    RequestedRegion "aws:RequestedRegion",
    ResourceAccount "aws:ResourceAccount",
    SecureTransport "aws:SecureTransport",
    SourceIdentity "aws:SourceIdentity",
    SourceIp "aws:SourceIp",
    TagKeys "aws:TagKeys",
    TokenIssueTime "aws:TokenIssueTime",
    UserAgent "aws:UserAgent",
    UserId "aws:userid",
    Username "aws:username",
    ViaAwsService "aws:ViaAWSService",
    BypassPolicyLockoutSafetyCheck "kms:BypassPolicyLockoutSafetyCheck",
    CallerAccount "kms:CallerAccount",
    CustomerMasterKeySpec "kms:CustomerMasterKeySpec",
    CustomerMasterKeyUsage "kms:CustomerMasterKeyUsage",
    DataKeyPairSpec "kms:DataKeyPairSpec",
    EncryptionAlgorithm "kms:EncryptionAlgorithm",
    EncryptionContextKeys "kms:EncryptionContextKeys",
    ExpirationModel "kms:ExpirationModel",
    GrantConstraintType "kms:GrantConstraintType",
    GrantIsForAwsResource "kms:GrantIsForAWSResource",
    GrantOperations "kms:GrantOperations",
    GranteePrincipal "kms:GranteePrincipal",
    KeyAgreementAlgorithm "kms:KeyAgreementAlgorithm",
    KeyOrigin "kms:KeyOrigin",
    KeySpec "kms:KeySpec",
    KeyUsage "kms:KeyUsage",
    MacAlgorithm "kms:MacAlgorithm",
    MessageType "kms:MessageType",
    MultiRegion "kms:MultiRegion",
    MultiRegionKeyType "kms:MultiRegionKeyType",
    PrimaryRegion "kms:PrimaryRegion",
    ReEncryptOnSameKey "kms:ReEncryptOnSameKey",
    ReplicaRegion "kms:ReplicaRegion",
    RequestAlias "kms:RequestAlias",
    ResourceAliases "kms:ResourceAliases",
    RetiringPrincipal "kms:RetiringPrincipal",
    RotationPeriodInDays "kms:RotationPeriodInDays",
    ScheduleKeyDeletionPendingWindowInDays "kms:ScheduleKeyDeletionPendingWindowInDays",
    SigningAlgorithm "kms:SigningAlgorithm",
    ValidTo "kms:ValidTo",
    ViaService "kms:ViaService",
    WrappingAlgorithm "kms:WrappingAlgorithm",
    WrappingKeySpec "kms:WrappingKeySpec",
    ExternalId "sts:ExternalId",
    RoleSessionName "sts:RoleSessionName",
    RequestedSourceIdentity "sts:SourceIdentity",
    TransitiveTagKeys "sts:TransitiveTagKeys",
}

impl ConditionKey {
    /// Reads a key's name, in either case; `None` for one that no request has.
    pub fn parse(text: &str) -> Option<Self> {
        type Make = fn(String) -> ConditionKey;
        let families: [Make; 4] =
            [Self::EncryptionContext, Self::PrincipalTag, Self::RequestTag, Self::ResourceTag];
        for make in families {
            let start = make(String::new()).name();
            let chosen = text
                .get(..start.len())
                .filter(|given| given.eq_ignore_ascii_case(start))
                .and_then(|_| text.get(start.len()..));
            if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) {
                return Some(make(chosen.to_owned()));
            }
        }
        let named = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|(_, key)| key.clone())
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::EncryptionContext(chosen)
            | Self::PrincipalTag(chosen)
            | Self::RequestTag(chosen)
            | Self::ResourceTag(chosen) => f.write_str(chosen),
            _ => Ok(()),
        }
    }
}

/// The values of condition keys in one request. A key that is not in it has no value, which is not the same as an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext(BTreeMap<String, Vec<String>>);

impl RequestContext {
    /// The same with one more value of `key`.
    #[must_use]
    pub fn with(mut self, key: &ConditionKey, value: impl Into<ContextValue>) -> Self {
        self.add(key, value);
        self
    }

    /// Adds a value to those that `key` has.
    pub fn add(&mut self, key: &ConditionKey, value: impl Into<ContextValue>) {
        let ContextValue(value) = value.into();
        self.0.entry(key.to_string().to_lowercase()).or_default().push(value);
    }

    /// Adds the keys that follow from who calls. `principal_id` is what a record calls so; an IAM role's session has that of
    /// its role, a colon, and its name.
    pub fn add_principal(&mut self, principal: &Principal, principal_id: &str) {
        self.add(&ConditionKey::PrincipalIsAwsService, principal.is_service());
        if let Principal::Service { name, .. } = principal {
            // A service belongs to no account and has no identity in one: the other keys have no value.
            self.add(&ConditionKey::PrincipalServiceName, name.as_str());
            self.add(&ConditionKey::PrincipalServiceNamesList, name.as_str());
            return;
        }
        self.add(&ConditionKey::PrincipalAccount, principal.account().as_str());
        self.add(&ConditionKey::CallerAccount, principal.account().as_str());
        self.add(&ConditionKey::UserId, principal_id);
        if let Some(arn) = principal.lasting_arn() {
            self.add(&ConditionKey::PrincipalArn, arn.to_string());
        }
        if let Some(kind) = principal.kind() {
            self.add(&ConditionKey::PrincipalType, kind);
        }
        match principal {
            Principal::User { name, .. } => self.add(&ConditionKey::Username, name.as_str()),
            // No session here began with a second factor. A long-term key says nothing about one: the key has no value then.
            Principal::AssumedRole { .. } => self.add(&ConditionKey::MultiFactorAuthPresent, false),
            Principal::Root { .. } | Principal::Service { .. } => {}
        }
    }

    /// Takes all values of `key` away.
    pub fn remove(&mut self, key: &ConditionKey) {
        self.0.remove(&key.to_string().to_lowercase());
    }

    /// The values of a key, whose name is in lower case.
    pub(crate) fn values(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice)
    }
}

/// A value of a condition key, in the spelling that policies use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextValue(String);

impl From<&str> for ContextValue {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ContextValue {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<bool> for ContextValue {
    fn from(flag: bool) -> Self {
        Self(flag.to_string())
    }
}

impl From<u64> for ContextValue {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<Timestamp> for ContextValue {
    fn from(time: Timestamp) -> Self {
        Self(time.event_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_either_case_and_misspelt_ones_are_not() {
        for (name, key) in NAMED {
            assert_eq!(ConditionKey::parse(&name.to_uppercase()).as_ref(), Some(key));
            assert_eq!(key.to_string(), *name);
        }
        let department = ConditionKey::EncryptionContext("Department".to_owned());
        assert_eq!(
            ConditionKey::parse("KMS:encryptioncontext:Department"),
            Some(department.clone())
        );
        assert_eq!(department.to_string(), "kms:EncryptionContext:Department");
        for wrong in
            ["", "kms:ViaServices", "kms:EncryptionContext:", "aws:RequestTag", "ViaService"]
        {
            assert_eq!(ConditionKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_are_found_whatever_the_case_of_the_key() {
        let context = RequestContext::default()
            .with(&ConditionKey::EncryptionContext("Dept".to_owned()), "a")
            .with(&ConditionKey::EncryptionContext("dept".to_owned()), "b");
        assert_eq!(context.values("kms:encryptioncontext:dept").map(<[_]>::len), Some(2));
        assert_eq!(context.values("kms:viaservice"), None);
    }
}
