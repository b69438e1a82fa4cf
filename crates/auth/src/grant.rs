//! Grants, as far as they decide: who may do what with a key, and within which encryption context.
//!
//! A grant only ever allows, and only what it lists
//! ([grants](https://docs.aws.amazon.com/kms/latest/developerguide/grants.html)). Names, tokens and dates are the engine's.

use std::collections::BTreeMap;
use std::fmt;

use keytrail_event::{AccountId, Arn};
use serde::{Deserialize, Serialize};

use crate::AuthError;
use crate::principal::{Asker, Named};

/// Declares the operations once: variant and AWS's name are the same word.
macro_rules! grant_operations {
    ($($operation:ident,)+) => {
        /// What a grant can allow: a permission of KMS by its name, without the `kms:`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "each is the permission of its name")]
        pub enum GrantOperation {
            $($operation,)+
        }

        impl GrantOperation {
            /// All names, in AWS's order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($operation),)+];

            /// AWS's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$operation => stringify!($operation),)+
                }
            }

            /// The operation of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($operation) => Some(Self::$operation),)+
                    _ => None,
                }
            }
        }
    };
}

grant_operations! {
    Decrypt,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    ReEncryptFrom,
    ReEncryptTo,
    Sign,
    Verify,
    GetPublicKey,
    CreateGrant,
    RetireGrant,
    DescribeKey,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateMac,
    VerifyMac,
    DeriveSharedSecret,
}

impl GrantOperation {
    fn is_action(self, action: &str) -> bool {
        action.strip_prefix("kms:").is_some_and(|name| name.eq_ignore_ascii_case(self.as_str()))
    }
}

impl fmt::Display for GrantOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a grant is for, or who may retire it: an account, a user, a role, or a session of one. By ARN; a bare account id is
/// read as the account's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantPrincipal(String);

impl GrantPrincipal {
    /// Reads a principal. Groups and wildcards are none.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        if let Ok(account) = AccountId::parse(text) {
            return Ok(Self(Arn::iam_root(&account).to_string()));
        }
        match crate::policy::check_principal(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(_) => Err(AuthError::GrantPrincipal),
        }
    }

    /// Its ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The account that it belongs to.
    pub fn account(&self) -> Option<AccountId> {
        AccountId::parse(Arn::parse(&self.0).ok()?.account()).ok()
    }

    /// How it names a caller: an account's users and roles only through their identity policies.
    pub(crate) fn names(&self, asker: &Asker<'_>) -> Named {
        asker.named_by(&self.0)
    }
}

impl TryFrom<String> for GrantPrincipal {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        Self::parse(&text)
    }
}

impl From<GrantPrincipal> for String {
    fn from(principal: GrantPrincipal) -> Self {
        principal.0
    }
}

/// The encryption contexts that a grant is good for
/// ([GrantConstraints](https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GrantConstraint {
    /// Exactly these pairs.
    EncryptionContextEquals(BTreeMap<String, String>),
    /// At least these pairs.
    EncryptionContextSubset(BTreeMap<String, String>),
}

impl GrantConstraint {
    /// AWS's name, as in `kms:GrantConstraintType`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EncryptionContextEquals(_) => "EncryptionContextEquals",
            Self::EncryptionContextSubset(_) => "EncryptionContextSubset",
        }
    }

    /// The pairs.
    pub const fn pairs(&self) -> &BTreeMap<String, String> {
        match self {
            Self::EncryptionContextEquals(pairs) | Self::EncryptionContextSubset(pairs) => pairs,
        }
    }

    fn accepts(&self, context: &BTreeMap<String, String>) -> bool {
        match self {
            Self::EncryptionContextEquals(pairs) => pairs == context,
            Self::EncryptionContextSubset(pairs) => includes(context, pairs),
        }
    }

    /// Whether every context that `child` accepts is accepted by this constraint.
    fn permits(&self, child: Option<&Self>) -> bool {
        match (self, child) {
            (Self::EncryptionContextEquals(_), child) => child == Some(self),
            (Self::EncryptionContextSubset(pairs), Some(child)) => includes(child.pairs(), pairs),
            (Self::EncryptionContextSubset(_), None) => false,
        }
    }
}

fn includes(whole: &BTreeMap<String, String>, part: &BTreeMap<String, String>) -> bool {
    part.iter().all(|(key, value)| whole.get(key) == Some(value))
}

/// What a grant allows, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTerms {
    /// Who is allowed.
    pub grantee: GrantPrincipal,
    /// To do what.
    pub operations: Vec<GrantOperation>,
    /// In which encryption contexts; in all of them if `None`.
    pub constraint: Option<GrantConstraint>,
}

/// Why a grant does not allow a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantMismatch {
    Grantee,
    Operation,
    Constraint,
}

impl GrantTerms {
    /// Whether the grant speaks about this request, and how it names the caller.
    pub(crate) fn meets(
        &self,
        asker: &Asker<'_>,
        action: &str,
        request: &GrantFacts<'_>,
    ) -> Result<Named, GrantMismatch> {
        let named = self.grantee.names(asker);
        if named == Named::Not {
            return Err(GrantMismatch::Grantee);
        }
        let operation = self.operations.iter().find(|operation| operation.is_action(action));
        let accepted = match operation {
            None => return Err(GrantMismatch::Operation),
            // A constraint is about encryption contexts, and these have none.
            Some(GrantOperation::DescribeKey | GrantOperation::RetireGrant) => true,
            Some(GrantOperation::CreateGrant) => {
                request.creates.is_none_or(|child| self.permits(child))
            }
            Some(_) => {
                self.constraint.as_ref().is_none_or(|it| it.accepts(request.encryption_context))
            }
        };
        if accepted { Ok(named) } else { Err(GrantMismatch::Constraint) }
    }

    /// Whether a grant made by virtue of this one stays within it: no other operation, the same constraint or a stricter one.
    fn permits(&self, child: &Self) -> bool {
        child.operations.iter().all(|operation| self.operations.contains(operation))
            && self.constraint.as_ref().is_none_or(|own| own.permits(child.constraint.as_ref()))
    }
}

/// What of a request grants look at.
#[derive(Debug, Clone, Copy)]
pub struct GrantFacts<'a> {
    /// The encryption context; empty if the operation has none.
    pub encryption_context: &'a BTreeMap<String, String>,
    /// The grant that `CreateGrant` is to make.
    pub creates: Option<&'a GrantTerms>,
}

impl GrantFacts<'static> {
    /// A request without encryption context that makes no grant.
    pub const NONE: Self = {
        static EMPTY: BTreeMap<String, String> = BTreeMap::new();
        Self { encryption_context: &EMPTY, creates: None }
    };
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::Principal;
    use GrantConstraint::{EncryptionContextEquals as Equals, EncryptionContextSubset as Subset};
    use GrantOperation::{CreateGrant, Decrypt, DescribeKey, Encrypt};

    fn pairs(text: &str) -> BTreeMap<String, String> {
        let pair = |pair: &str| (pair[..1].to_owned(), pair[1..].to_owned());
        text.split_whitespace().map(pair).collect()
    }

    fn terms(operations: &[GrantOperation], constraint: Option<GrantConstraint>) -> GrantTerms {
        let grantee = GrantPrincipal::parse("arn:aws:iam::111122223333:root").unwrap();
        GrantTerms { grantee, operations: operations.to_vec(), constraint }
    }

    #[test]
    fn every_operation_has_its_name_and_its_permission() {
        assert_eq!(GrantOperation::NAMES.len(), 17);
        for name in GrantOperation::NAMES {
            let operation = GrantOperation::parse(name).unwrap();
            assert_eq!(operation.as_str(), *name);
            assert!(operation.is_action(&format!("kms:{name}")));
        }
        assert!(!Encrypt.is_action("Encrypt") && !Encrypt.is_action("kms:Decrypt"));
    }

    #[test]
    fn constraints_are_about_the_whole_context_or_a_part_of_it() {
        for (constraint, context, expected) in [
            (Equals(pairs("a1 b2")), "a1 b2", true),
            (Equals(pairs("a1 b2")), "a1 b2 c3", false),
            (Equals(pairs("a1 b2")), "a1", false),
            (Equals(pairs("")), "", true),
            (Subset(pairs("a1")), "a1 b2", true),
            (Subset(pairs("a1")), "a2", false),
            (Subset(pairs("a1")), "A1", false),
            (Subset(pairs("a1")), "", false),
        ] {
            assert_eq!(constraint.accepts(&pairs(context)), expected, "{constraint:?} {context}");
        }
    }

    #[test]
    fn a_child_stays_within_its_parent() {
        let parent = |constraint| terms(&[CreateGrant, Decrypt], constraint);
        let decrypts = |constraint| terms(&[Decrypt], constraint);
        for (own, child, expected) in [
            (None, None, true),
            (None, Some(Subset(pairs("a1"))), true),
            (Some(Subset(pairs("a1"))), None, false),
            (Some(Subset(pairs("a1"))), Some(Subset(pairs("a1"))), true),
            (Some(Subset(pairs("a1"))), Some(Subset(pairs("a1 b2"))), true),
            (Some(Subset(pairs("a1"))), Some(Equals(pairs("a1 b2"))), true),
            (Some(Subset(pairs("a1 b2"))), Some(Subset(pairs("a1"))), false),
            (Some(Equals(pairs("a1"))), Some(Equals(pairs("a1"))), true),
            (Some(Equals(pairs("a1"))), Some(Subset(pairs("a1"))), false),
            (Some(Equals(pairs("a1"))), Some(Equals(pairs("a1 b2"))), false),
        ] {
            let permitted = parent(own.clone()).permits(&decrypts(child.clone()));
            assert_eq!(permitted, expected, "{own:?} {child:?}");
        }
        assert!(!parent(None).permits(&terms(&[Decrypt, Encrypt], None)));
        assert!(parent(None).permits(&terms(&[CreateGrant], None)));
    }

    #[test]
    fn constraints_do_not_matter_where_there_is_no_context() {
        let terms = terms(&[DescribeKey, Decrypt], Some(Equals(pairs("a1"))));
        let root = Principal::Root { account: "111122223333".parse().unwrap() };
        let root = Asker::new(&root);
        let meets = |action| terms.meets(&root, action, &GrantFacts::NONE);
        assert_eq!(meets("kms:DescribeKey"), Ok(Named::Directly));
        assert_eq!(meets("kms:Decrypt"), Err(GrantMismatch::Constraint));
        assert_eq!(meets("kms:Encrypt"), Err(GrantMismatch::Operation));
    }

    #[test]
    fn principals_are_arns_of_accounts_users_roles_and_sessions() {
        let account = GrantPrincipal::parse("111122223333").unwrap();
        assert_eq!(account.as_str(), "arn:aws:iam::111122223333:root");
        for good in [
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/app",
            "arn:aws:sts::111122223333:assumed-role/app/session",
        ] {
            assert!(GrantPrincipal::parse(good).is_ok(), "{good}");
        }
        for bad in ["*", "alice", "arn:aws:iam::111122223333:group/g", "arn:aws:iam::1:user/a", ""]
        {
            assert!(GrantPrincipal::parse(bad).is_err(), "{bad}");
        }
    }
}
