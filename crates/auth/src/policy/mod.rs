//! Policy documents: the JSON grammar of IAM, as far as it can be held to.
//!
//! Three kinds, which never stand in for each other: a [`KeyPolicy`] lies on a key and names principals, an
//! [`IdentityPolicy`] lies on a user or role and names resources, a [`TrustPolicy`] lies on a role and names who may assume
//! it. All keep their text as written, because `GetKeyPolicy` and the record of `PutKeyPolicy` give exactly that back.
//!
//! Grammar: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>. Unknown elements, unknown
//! operators and duplicates are refused when the policy is written, so that no part of a statement is ever ignored.

mod grammar;
mod statement;

use keytrail_event::{AccountId, Arn};
use serde::{Deserialize, Serialize};

use crate::AuthError;
use grammar::Holder;

pub(crate) use grammar::check_principal;
pub use statement::Effect;
pub(crate) use statement::{Mismatch, Statement};

/// The longest policy document, 32 KiB: AWS's limit for key policies
/// ([KMS quotas](https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html)).
pub const POLICY_BYTES_MAX: usize = 32_768;

/// Declares the kinds of documents: documentation, type, and what `parse` says about its grammar.
macro_rules! policies {
    ($($(#[$doc:meta])+ $name:ident as $holder:ident { $(#[$grammar:meta])+ })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Document);

        impl $name {
            $(#[$grammar])+
            pub fn parse(text: &str) -> Result<Self, AuthError> {
                Document::read(text, Holder::$holder).map(Self)
            }

            /// The document exactly as written.
            pub fn as_str(&self) -> &str {
                &self.0.text
            }

            /// Whether a decision needs the values of the request's condition keys. Most policies need none, and gathering
            /// them takes time.
            pub fn needs_context(&self) -> bool {
                self.0.statements.iter().any(Statement::needs_context)
            }

            /// The `Sid` of a statement, counted from 1.
            pub fn sid(&self, statement: usize) -> Option<&str> {
                self.0.statements.get(statement.checked_sub(1)?)?.sid.as_deref()
            }

            pub(crate) fn statements(&self) -> &[Statement] {
                &self.0.statements
            }
        }

        impl TryFrom<String> for $name {
            type Error = AuthError;

            fn try_from(text: String) -> Result<Self, AuthError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(policy: $name) -> Self {
                policy.0.text
            }
        }
    )+};
}

policies! {
    /// A policy that lies on a key. Every key has one, and nothing is allowed that it does not allow or delegate.
    KeyPolicy as Key {
        /// Reads a key policy. Each statement needs a `Principal`; one without `Action` or `Resource` is accepted and has no
        /// effect, as with AWS.
    }

    /// A policy that lies on a user or role, or that was handed over with a session to limit it. It counts only for keys
    /// whose key policy delegates to the account.
    IdentityPolicy as Identity {
        /// Reads an identity policy. A statement with a `Principal` is refused; `Action` and `Resource` must be there.
    }

    /// A policy that lies on a role and says who may assume it, and with what.
    TrustPolicy as Trust {
        /// Reads a trust policy. Each statement needs a `Principal` and actions of STS, and has no `Resource`: that is the
        /// role itself.
    }
}

impl TrustPolicy {
    /// The policy of a role that nobody may assume.
    #[expect(clippy::missing_panics_doc, reason = "the constant is a policy")]
    pub fn of_nobody() -> Self {
        Self::parse(r#"{"Statement": []}"#).expect("the text is a policy")
    }
}

impl KeyPolicy {
    /// The policy that a key gets when its creator gives none: the account's root may do everything, and thereby
    /// identity policies may allow everything
    /// ([default key policy](https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html)).
    #[expect(
        clippy::missing_panics_doc,
        reason = "an account id is twelve digits, so the text is a policy"
    )]
    pub fn default_for(account: &AccountId) -> Self {
        let root = Arn::iam_root(account).to_string();
        let text = format!(
            "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {{\n    \
             \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \
             \"AWS\" : \"{root}\"\n    }},\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  }} ]\n}}"
        );
        Self::parse(&text).expect("the text is a policy, with an account's ARN in it")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Document {
    text: String,
    statements: Vec<Statement>,
}

impl Document {
    fn read(text: &str, holder: Holder) -> Result<Self, AuthError> {
        let statements = grammar::statements(text, holder)?;
        Ok(Self { text: text.to_owned(), statements })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key policy of one statement made of these members.
    fn key_policy(members: &str) -> Result<KeyPolicy, AuthError> {
        KeyPolicy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {{{members}}}}}"#))
    }

    fn check_refused(members: &str, expected: &str) {
        let text = key_policy(members).unwrap_err().to_string();
        assert!(text.contains(expected), "{members}: {text:?} does not say {expected:?}");
    }

    #[test]
    fn the_default_policy_is_the_one_its_text_says() {
        let account: AccountId = "111122223333".parse().unwrap();
        let policy = KeyPolicy::default_for(&account);
        assert_eq!(KeyPolicy::parse(policy.as_str()).unwrap(), policy);
        assert!(
            policy
                .as_str()
                .starts_with("{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\"")
        );
    }

    #[test]
    fn single_elements_and_lists_are_the_same() {
        let one = key_policy(
            r#""Sid": "a b", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*""#,
        )
        .unwrap();
        let many = KeyPolicy::parse(
            r#"{"Statement": [{"Sid": "a b", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["kms:*"],
                "Resource": ["*"]}]}"#,
        )
        .unwrap();
        assert_eq!(one.statements(), many.statements());
    }

    #[test]
    fn nothing_in_a_statement_is_ignored() {
        let rest = r#""Effect": "Deny", "Principal": "*", "Action": "*""#;
        let conditional =
            |condition: &str| format!(r#"{rest}, "Resource": "*", "Condition": {condition}"#);
        assert!(key_policy(&conditional("{}")).is_ok());
        for (condition, expected) in [
            (r#"{"Equals": {"aws:userid": "a"}}"#, "Condition has no operator \"Equals\""),
            (r#"{"Bool": {"aws:SecureTransport": "no"}}"#, "must be true or false"),
            (r#"{"StringEquals": {"a": "b", "A": "c"}}"#, "duplicate element \"A\""),
            (r#"{"Bool": {}, "Bool": {}}"#, "duplicate element \"Bool\""),
            (r#"{"StringEquals": {"a": {"b": "c"}}}"#, "expected a string, a flag"),
            (r#"{"StringEquals": "a"}"#, "expected an object"),
            (r#"{"NumericEquals": {"a": 1.5}}"#, "one element or a list"),
        ] {
            check_refused(&conditional(condition), expected);
        }
        for scalar in [r#"{"Bool": {"a": true}}"#, r#"{"NumericEquals": {"a": [7, "8", -1]}}"#] {
            assert!(key_policy(&conditional(scalar)).is_ok(), "{scalar}");
        }
        check_refused(
            r#""Effect": "Deny", "NotPrincipal": {"AWS": "*"}"#,
            "all but everybody is nobody",
        );
        check_refused(
            r#""Effect": "Deny", "Principal": "*", "NotPrincipal": {"AWS": "111122223333"}"#,
            "exclude each other",
        );
        check_refused(
            &format!(r#"{rest}, "Resource": "arn:aws:kms:::key/${{aws:username""#),
            "is never closed",
        );
        check_refused(&format!(r#"{rest}, "Resources": "*""#), "unknown field `Resources`");
        check_refused(
            &format!(r#"{rest}, "Resource": "*", "Effect": "Allow""#),
            "duplicate field `Effect`",
        );
        let old = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:kms:::key/${aws:username}"}}"#;
        let refused = IdentityPolicy::parse(old).unwrap_err().to_string();
        assert!(refused.contains("policy variables need"), "{refused}");
    }

    #[test]
    fn malformed_elements_are_refused() {
        let allow = r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#;
        check_refused(allow, "a key policy needs a Principal");
        check_refused(&format!(r#"{allow}, "Principal": "alice""#), "can only be \"*\"");
        check_refused(&format!(r#"{allow}, "Principal": {{}}"#), "must name somebody");
        for principal in [
            "alice",
            "11112222333",
            "arn:aws:iam::111122223333:group/admins",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam::1:root",
            "arn:aws:iam::111122223333:root/x",
        ] {
            check_refused(
                &format!(r#"{allow}, "Principal": {{"AWS": "{principal}"}}"#),
                "must be *, an account id",
            );
        }
        check_refused(r#""Effect": "allow""#, "unknown variant `allow`");
        check_refused(r#""Principal": "*""#, "missing field `Effect`");
        let everyone = r#""Effect": "Allow", "Principal": "*""#;
        for action in ["kms", "kms:", ":Encrypt", "kms:En crypt", "k*:Encrypt", ""] {
            check_refused(
                &format!(r#"{everyone}, "Action": "{action}", "Resource": "*""#),
                "must be * or service:name",
            );
        }
        check_refused(
            &format!(r#"{everyone}, "Action": "*", "Resource": "key/1""#),
            "must be * or an ARN",
        );
        check_refused(
            &format!(r#"{everyone}, "Action": "*", "NotAction": "*""#),
            "exclude each other",
        );
    }

    #[test]
    fn documents_have_a_version_and_a_limit() {
        let version = KeyPolicy::parse(r#"{"Version": "2013-01-01", "Statement": []}"#);
        assert_eq!(version.unwrap_err(), AuthError::PolicyVersion);
        let long = format!(r#"{{"Statement": []{}}}"#, " ".repeat(POLICY_BYTES_MAX));
        assert!(
            matches!(KeyPolicy::parse(&long), Err(AuthError::PolicyTooLong { bytes }) if bytes > POLICY_BYTES_MAX)
        );
        assert!(matches!(KeyPolicy::parse("[]"), Err(AuthError::PolicySyntax { .. })));
    }

    #[test]
    fn identity_policies_name_no_principal_but_an_action_and_a_resource() {
        let parse =
            |members: &str| IdentityPolicy::parse(&format!(r#"{{"Statement": {{{members}}}}}"#));
        assert!(parse(r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#).is_ok());
        for members in [
            r#""Effect": "Allow", "Action": "kms:*""#,
            r#""Effect": "Allow", "Resource": "*""#,
            r#""Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": "*""#,
        ] {
            assert!(
                matches!(parse(members), Err(AuthError::PolicyStatement { statement: 1, .. })),
                "{members}"
            );
        }
    }

    #[test]
    fn trust_policies_name_principals_and_actions_of_sts_and_no_resource() {
        let parse = |members: &str| {
            TrustPolicy::parse(&format!(r#"{{"Statement": {{"Effect": "Allow", {members}}}}}"#))
        };
        let everyone = r#""Principal": {"AWS": "*", "Service": "ec2.amazonaws.com"}"#;
        for action in ["sts:AssumeRole", "sts:*", "STS:TagSession"] {
            assert!(parse(&format!(r#"{everyone}, "Action": "{action}""#)).is_ok(), "{action}");
        }
        for (members, expected) in [
            (r#""Action": "sts:AssumeRole""#.to_owned(), "a trust policy needs a Principal"),
            (everyone.to_owned(), "a trust policy needs an Action"),
            (
                format!(r#"{everyone}, "NotAction": "sts:TagSession""#),
                "a trust policy needs an Action",
            ),
            (format!(r#"{everyone}, "Action": ["sts:AssumeRole", "*"]"#), "only actions of STS"),
            (format!(r#"{everyone}, "Action": "kms:Decrypt""#), "only actions of STS"),
            (
                format!(r#"{everyone}, "Action": "sts:*", "Resource": "*""#),
                "must not have a Resource",
            ),
        ] {
            let text = parse(&members).unwrap_err().to_string();
            assert!(text.contains(expected), "{members}: {text}");
        }
    }

    #[test]
    fn services_and_sessions_are_named_in_full() {
        let allow = r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#;
        for (principal, expected) in [
            (r#"{"Service": "backup"}"#, "must be named as in backup.amazonaws.com"),
            (r#"{"Service": "*"}"#, "must be named as in backup.amazonaws.com"),
            (
                r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/app"}"#,
                "must be *, an account id",
            ),
            (
                r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/app/"}"#,
                "must be *, an account id",
            ),
            (
                r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/app/*"}"#,
                "must be *, an account id",
            ),
        ] {
            check_refused(&format!(r#"{allow}, "Principal": {principal}"#), expected);
        }
        let session = r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/app/run1"}"#;
        assert!(key_policy(&format!(r#"{allow}, "Principal": {session}"#)).is_ok());
    }

    /// One statement with a bit of everything.
    const WHOLE: &str = r#"{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"s","Effect":"Deny","NotPrincipal":{"AWS":["111122223333"],"Service":"s3.amazonaws.com"},"NotAction":["kms:De*"],"NotResource":"arn:aws:kms:*:*:key/${aws:username, 'x'}","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*","${*}"]},"NumericLessThan":{"kms:RotationPeriodInDays":7},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01"},"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/?"},"Bool":{"aws:SecureTransport":true},"Null":{"aws:userid":"false"},"BinaryEquals":{"a":"YQ=="}}}]}"#;

    proptest! {
        /// Whatever is written over a policy, it is refused or it is a policy that keeps its text; nothing panics.
        #[test]
        fn no_text_breaks_the_parser(
            at in 0..WHOLE.len(),
            length in 0_usize..12,
            instead in "[\\x00-\\x7f€]{0,6}",
        ) {
            let end = (at + length).min(WHOLE.len());
            let text = format!("{}{instead}{}", &WHOLE[..at], &WHOLE[end..]);
            if let Ok(policy) = KeyPolicy::parse(&text) {
                prop_assert_eq!(policy.as_str(), &text);
            }
            let _ = (IdentityPolicy::parse(&text), TrustPolicy::parse(&text));
        }
    }

    #[test]
    fn a_truncated_document_is_never_a_policy() {
        assert!(KeyPolicy::parse(WHOLE).is_ok_and(|policy| policy.needs_context()));
        for end in 0..WHOLE.len() {
            assert!(KeyPolicy::parse(&WHOLE[..end]).is_err(), "{end}");
        }
        let text = KeyPolicy::default_for(&"111122223333".parse().unwrap()).as_str().to_owned();
        for end in 0..text.len() {
            assert!(KeyPolicy::parse(&text[..end]).is_err(), "{end}");
        }
    }
}
