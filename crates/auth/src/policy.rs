//! Policy documents: the JSON grammar of IAM, as far as it can be held to.
//!
//! Two kinds, which never stand in for each other: a [`KeyPolicy`] lies on a key and names principals, an
//! [`IdentityPolicy`] lies on a user and names resources. Both keep their text as written, because `GetKeyPolicy` and the
//! record of `PutKeyPolicy` give exactly that back.
//!
//! Grammar: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>. Unknown elements and
//! duplicate ones are refused. `Condition`, `NotPrincipal` and `${variables}` are refused by name: evaluated wrongly, the
//! first would allow too much or deny too little.

use std::fmt;

use keytrail_event::{AccountId, Arn};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::{AuthError, Principal, pattern};

/// The longest policy document, 32 KiB: AWS's limit for key policies
/// ([KMS quotas](https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html)).
pub const POLICY_BYTES_MAX: usize = 32_768;

/// A policy that lies on a key. Every key has one, and nothing is allowed that it does not allow or delegate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPolicy(Document);

/// A policy that lies on a user. It counts only for keys whose key policy delegates to the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityPolicy(Document);

impl KeyPolicy {
    /// Reads a key policy. Each statement needs a `Principal`; one without `Action` or `Resource` is accepted and has no
    /// effect, as with AWS.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        Document::parse(text, Holder::Key).map(Self)
    }

    /// The policy that a key gets when its creator gives none: the account's root may do everything, and thereby
    /// identity policies may allow everything
    /// ([default key policy](https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html)).
    pub fn default_for(account: &AccountId) -> Self {
        let root = Arn::iam_root(account).to_string();
        let text = format!(
            "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {{\n    \
             \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \
             \"AWS\" : \"{root}\"\n    }},\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  }} ]\n}}"
        );
        let statement = Statement {
            effect: Effect::Allow,
            principals: Principals::Listed(vec![root]),
            actions: Patterns::Matching(vec!["kms:*".to_owned()]),
            resources: Patterns::Matching(vec!["*".to_owned()]),
        };
        Self(Document { text, statements: vec![statement] })
    }

    /// The document exactly as written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.0.statements
    }
}

impl IdentityPolicy {
    /// Reads an identity policy. A statement with a `Principal` is refused; `Action` and `Resource` must be there.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        Document::parse(text, Holder::Identity).map(Self)
    }

    /// The document exactly as written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.0.statements
    }
}

impl TryFrom<String> for KeyPolicy {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        Self::parse(&text)
    }
}

impl From<KeyPolicy> for String {
    fn from(policy: KeyPolicy) -> Self {
        policy.0.text
    }
}

impl TryFrom<String> for IdentityPolicy {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        Self::parse(&text)
    }
}

impl From<IdentityPolicy> for String {
    fn from(policy: IdentityPolicy) -> Self {
        policy.0.text
    }
}

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// One statement, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    principals: Principals,
    actions: Patterns,
    resources: Patterns,
}

/// How the `Principal` of a statement meets a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its own ARN, or by `*`.
    Directly,
    /// Only by its account: an allowance is then for identity policies to use.
    ByAccount,
    /// Not at all.
    Not,
}

impl Statement {
    /// Whether the statement speaks about this action on this resource. Actions ignore case.
    pub(crate) fn covers(&self, action: &str, resource: &str) -> bool {
        self.actions.accept(action, pattern::matches_ignoring_case)
            && self.resources.accept(resource, pattern::matches)
    }

    /// How the statement names the caller. The root user *is* its account: the account's ARN names it directly.
    pub(crate) fn names(&self, caller: &Principal, caller_arn: &str) -> Named {
        let Principals::Listed(listed) = &self.principals else {
            return if self.principals == Principals::Any { Named::Directly } else { Named::Not };
        };
        if listed.iter().any(|name| name == caller_arn) {
            return Named::Directly;
        }
        let account = caller.account();
        let root = Arn::iam_root(account).to_string();
        match listed.iter().any(|name| name == account.as_str() || *name == root) {
            true if caller.is_root() => Named::Directly,
            true => Named::ByAccount,
            false => Named::Not,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Principals {
    /// `"*"` or `{"AWS": "*"}`.
    Any,
    /// ARNs and account ids. Services and federated providers are accepted in a document and match nobody here.
    Listed(Vec<String>),
    /// An identity policy: it speaks about its holder and says so nowhere.
    Unnamed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Patterns {
    /// `Action`, `Resource`.
    Matching(Vec<String>),
    /// `NotAction`, `NotResource`.
    AllBut(Vec<String>),
    /// The element is missing: a statement of a key policy without effect.
    Nothing,
}

impl Patterns {
    fn accept(&self, text: &str, matches: impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Self::Matching(patterns) => patterns.iter().any(|pattern| matches(pattern, text)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| matches(pattern, text)),
            Self::Nothing => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Document {
    text: String,
    statements: Vec<Statement>,
}

/// What the policy lies on; it decides which elements a statement must have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Key,
    Identity,
}

impl Document {
    fn parse(text: &str, holder: Holder) -> Result<Self, AuthError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(AuthError::PolicyTooLong { bytes: text.len() });
        }
        let written: WrittenPolicy = serde_json::from_str(text)
            .map_err(|error| AuthError::PolicySyntax { detail: error.to_string() })?;
        if !matches!(written.version.as_deref(), None | Some("2012-10-17" | "2008-10-17")) {
            return Err(AuthError::PolicyVersion);
        }
        let numbered = written.statements.0.into_iter().zip(1..);
        let statements = numbered
            .map(|(statement, number)| {
                statement
                    .check(holder)
                    .map_err(|detail| AuthError::PolicyStatement { statement: number, detail })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), statements })
    }
}

/// The document as it is written, before its values are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    #[serde(rename = "Version")]
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    #[serde(rename = "Statement")]
    statements: OneOrMany<WrittenStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct WrittenStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    principal: Option<WrittenPrincipal>,
    not_principal: Option<IgnoredAny>,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    condition: Option<IgnoredAny>,
}

impl WrittenStatement {
    fn check(self, holder: Holder) -> Result<Statement, String> {
        if self.condition.is_some() {
            return Err("Condition is not supported yet; remove it or split the policy".to_owned());
        }
        if self.not_principal.is_some() {
            return Err("NotPrincipal is not supported yet; list the principals instead".to_owned());
        }
        let actions = patterns("Action", self.action, self.not_action, check_action)?;
        let resources = patterns("Resource", self.resource, self.not_resource, check_resource)?;
        let principals = match (holder, self.principal) {
            (Holder::Key, Some(principal)) => principal.check()?,
            (Holder::Key, None) => return Err("a key policy needs a Principal".to_owned()),
            (Holder::Identity, None) => Principals::Unnamed,
            (Holder::Identity, Some(_)) => {
                return Err("an identity policy must not have a Principal".to_owned());
            }
        };
        let whole = actions != Patterns::Nothing && resources != Patterns::Nothing;
        if holder == Holder::Identity && !whole {
            return Err("an identity policy needs an Action and a Resource".to_owned());
        }
        Ok(Statement { effect: self.effect, principals, actions, resources })
    }
}

fn patterns(
    element: &str,
    matching: Option<OneOrMany<String>>,
    all_but: Option<OneOrMany<String>>,
    check: fn(&str) -> Result<(), String>,
) -> Result<Patterns, String> {
    let patterns = match (matching, all_but) {
        (None, None) => return Ok(Patterns::Nothing),
        (Some(_), Some(_)) => return Err(format!("{element} and Not{element} exclude each other")),
        (Some(OneOrMany(list)), None) => Patterns::Matching(list),
        (None, Some(OneOrMany(list))) => Patterns::AllBut(list),
    };
    let (Patterns::Matching(list) | Patterns::AllBut(list)) = &patterns else {
        return Ok(patterns);
    };
    list.iter().try_for_each(|pattern| check(pattern))?;
    Ok(patterns)
}

/// `*`, or `service:name` with wildcards in the name.
fn check_action(action: &str) -> Result<(), String> {
    let letters =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let named = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*' || byte == b'?')
    };
    match action.split_once(':') {
        None if action == "*" => Ok(()),
        Some((service, name))
            if !service.is_empty() && letters(service) && !name.is_empty() && named(name) =>
        {
            Ok(())
        }
        _ => Err(format!("action {action:?} must be * or service:name, as in kms:Encrypt")),
    }
}

/// `*`, or an ARN with wildcards. A variable taken literally would match nothing, which turns a Deny off.
fn check_resource(resource: &str) -> Result<(), String> {
    if resource.contains("${") {
        return Err(format!("resource {resource:?}: policy variables are not supported yet"));
    }
    if resource == "*" || (resource.starts_with("arn:") && resource.split(':').count() >= 6) {
        return Ok(());
    }
    Err(format!("resource {resource:?} must be * or an ARN with six parts"))
}

/// `"*"` or an object of lists by kind.
enum WrittenPrincipal {
    Any,
    Kinds(WrittenPrincipalKinds),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrincipalKinds {
    #[serde(rename = "AWS")]
    aws: Option<OneOrMany<String>>,
    #[serde(rename = "Service")]
    service: Option<OneOrMany<String>>,
    #[serde(rename = "Federated")]
    federated: Option<OneOrMany<String>>,
    #[serde(rename = "CanonicalUser")]
    canonical_user: Option<OneOrMany<String>>,
}

impl WrittenPrincipal {
    fn check(self) -> Result<Principals, String> {
        let Self::Kinds(kinds) = self else { return Ok(Principals::Any) };
        let OneOrMany(names) = kinds.aws.unwrap_or(OneOrMany(Vec::new()));
        if names.iter().any(|name| name == "*") {
            return Ok(Principals::Any);
        }
        names.iter().try_for_each(|name| check_principal(name))?;
        Ok(Principals::Listed(names))
    }
}

/// An account id, or the ARN of a root user, user, role or session. Wildcards are allowed alone only, groups never
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
fn check_principal(name: &str) -> Result<(), String> {
    if AccountId::parse(name).is_ok() {
        return Ok(());
    }
    let known = |arn: Arn| {
        let (service, resource) = (arn.service(), arn.resource());
        let kind = resource.split('/').next().unwrap_or_default();
        AccountId::parse(arn.account()).is_ok()
            && matches!(
                (service, kind),
                ("iam", "root" | "user" | "role") | ("sts", "assumed-role" | "federated-user")
            )
            && (kind == "root") == (resource == "root")
    };
    if !name.contains(['*', '?']) && Arn::parse(name).is_ok_and(known) {
        return Ok(());
    }
    Err(format!(
        "principal {name:?} must be *, an account id, or the ARN of a root, user, role or session"
    ))
}

/// IAM lets a list of one be written without its brackets.
struct OneOrMany<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one element or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let text = serde::de::value::StrDeserializer::new(text);
                Ok(OneOrMany(vec![T::deserialize(text)?]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(OneOrMany(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
            }
        }

        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for WrittenPrincipal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = WrittenPrincipal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "\"*\" or an object such as {\"AWS\": \"arn:aws:iam::111122223333:root\"}",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match text {
                    "*" => Ok(WrittenPrincipal::Any),
                    _ => Err(E::custom("a Principal written as a string can only be \"*\"")),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let kinds = WrittenPrincipalKinds::deserialize(MapAccessDeserializer::new(map))?;
                let named = kinds.aws.is_some()
                    || kinds.service.is_some()
                    || kinds.federated.is_some()
                    || kinds.canonical_user.is_some();
                if !named {
                    return Err(A::Error::custom("a Principal must name somebody"));
                }
                Ok(WrittenPrincipal::Kinds(kinds))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

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
            r#""Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*""#,
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
    fn what_is_not_evaluated_is_refused_by_name() {
        let rest = r#""Effect": "Deny", "Principal": "*", "Action": "*""#;
        check_refused(
            &format!(r#"{rest}, "Resource": "*", "Condition": {{}}"#),
            "Condition is not supported",
        );
        check_refused(
            r#""Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}"#,
            "NotPrincipal is not supported",
        );
        check_refused(
            &format!(r#"{rest}, "Resource": "arn:aws:kms:::key/${{aws:username}}""#),
            "policy variables",
        );
        check_refused(&format!(r#"{rest}, "Resources": "*""#), "unknown field `Resources`");
        check_refused(
            &format!(r#"{rest}, "Resource": "*", "Effect": "Allow""#),
            "duplicate field `Effect`",
        );
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
    fn a_truncated_document_is_never_a_policy() {
        let text = KeyPolicy::default_for(&"111122223333".parse().unwrap()).as_str().to_owned();
        for end in 0..text.len() {
            assert!(KeyPolicy::parse(&text[..end]).is_err(), "{end}");
        }
    }
}
