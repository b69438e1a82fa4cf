//! The grammar itself: from a policy's text to statements that can be matched, or to the first thing that is wrong.
//!
//! Two steps. The JSON is read into elements whose types are right (unknown and duplicate ones end it there, with line and
//! column); then their values are checked, and the error names the statement.

use std::collections::BTreeSet;
use std::fmt;

use keytrail_event::{AccountId, Arn};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};

use super::POLICY_BYTES_MAX;
use super::statement::{Effect, Patterns, PrincipalList, Principals, Resources, Statement};
use crate::condition::{Condition, Template, Variables};
use crate::{AuthError, ServiceName};

/// The kind of document; it decides which elements a statement must have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Key,
    Identity,
    Trust,
}

impl Holder {
    const fn noun(self) -> &'static str {
        match self {
            Self::Key => "a key policy",
            Self::Identity => "an identity policy",
            Self::Trust => "a trust policy",
        }
    }
}

/// Reads a document's statements.
pub(super) fn statements(text: &str, holder: Holder) -> Result<Vec<Statement>, AuthError> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(AuthError::PolicyTooLong { bytes: text.len() });
    }
    let written: WrittenPolicy = serde_json::from_str(text)
        .map_err(|error| AuthError::PolicySyntax { detail: error.to_string() })?;
    let variables = match written.version.as_deref() {
        Some("2012-10-17") => Variables::Known,
        None | Some("2008-10-17") => Variables::Unknown,
        Some(_) => return Err(AuthError::PolicyVersion),
    };
    let check = |(statement, number): (WrittenStatement, usize)| {
        let wrong = |detail| AuthError::PolicyStatement { statement: number, detail };
        statement.check(holder, variables).map_err(wrong)
    };
    written.statements.0.into_iter().zip(1..).map(check).collect()
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
    sid: Option<String>,
    effect: Effect,
    principal: Option<WrittenPrincipal>,
    not_principal: Option<WrittenPrincipal>,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    condition: Option<Distinct<Distinct<OneOrMany<Scalar>>>>,
}

impl WrittenStatement {
    fn check(self, holder: Holder, variables: Variables) -> Result<Statement, String> {
        let principals = principals(holder, self.principal, self.not_principal)?;
        let actions = match patterns("Action", self.action, self.not_action, check_action)? {
            None => Patterns::Nothing,
            Some(Listed::Matching(list)) => Patterns::Matching(list),
            Some(Listed::AllBut(list)) => Patterns::AllBut(list),
        };
        let resource = |text: &str| check_resource(text, variables);
        let resources = match patterns("Resource", self.resource, self.not_resource, resource)? {
            None if holder == Holder::Trust => Resources::Itself,
            None => Resources::Nothing,
            Some(list) => list.resources(variables)?,
        };
        check_whole(holder, &actions, &resources)?;
        let conditions = self.condition.map_or_else(Vec::new, |Distinct(written)| written);
        let conditions = conditions.into_iter().flat_map(|(operator, Distinct(keys))| {
            keys.into_iter().map(move |(key, OneOrMany(values))| {
                let values = values.into_iter().map(|Scalar(text)| text).collect::<Vec<_>>();
                Condition::parse(&operator, &key, &values, variables)
            })
        });
        Ok(Statement {
            sid: self.sid,
            effect: self.effect,
            principals,
            actions,
            resources,
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

/// Who a statement is about. Only an identity policy says so nowhere: it is about its holder.
fn principals(
    holder: Holder,
    principal: Option<WrittenPrincipal>,
    not_principal: Option<WrittenPrincipal>,
) -> Result<Principals, String> {
    match (holder, principal, not_principal) {
        (Holder::Identity, None, None) => Ok(Principals::Unnamed),
        (Holder::Identity, ..) => Err("an identity policy must not have a Principal".to_owned()),
        (_, Some(principal), None) => principal.check(),
        (_, None, Some(principal)) => principal.check()?.all_but(),
        (_, None, None) => Err(format!("{} needs a Principal", holder.noun())),
        (_, Some(_), Some(_)) => Err("Principal and NotPrincipal exclude each other".to_owned()),
    }
}

/// The elements that a kind of document must have, or must not. A key policy's statement without them has no effect.
fn check_whole(holder: Holder, actions: &Patterns, resources: &Resources) -> Result<(), String> {
    let without = *actions == Patterns::Nothing || *resources == Resources::Nothing;
    if holder == Holder::Identity && without {
        return Err("an identity policy needs an Action and a Resource".to_owned());
    }
    if holder != Holder::Trust {
        return Ok(());
    }
    if *resources != Resources::Itself {
        return Err("a trust policy must not have a Resource: that is the role itself".to_owned());
    }
    let Patterns::Matching(list) = actions else {
        return Err("a trust policy needs an Action".to_owned());
    };
    let is_of_sts = |action: &String| {
        action.get(..4).is_some_and(|service| service.eq_ignore_ascii_case("sts:"))
    };
    if list.iter().all(is_of_sts) {
        return Ok(());
    }
    Err("a trust policy may have only actions of STS".to_owned())
}

/// An element, or its negation.
enum Listed {
    Matching(Vec<String>),
    AllBut(Vec<String>),
}

impl Listed {
    fn resources(self, variables: Variables) -> Result<Resources, String> {
        let templates = |list: Vec<String>| {
            list.iter().map(|text| Template::parse(text, variables)).collect::<Result<_, _>>()
        };
        match self {
            Self::Matching(list) => templates(list).map(Resources::Matching),
            Self::AllBut(list) => templates(list).map(Resources::AllBut),
        }
    }
}

fn patterns(
    element: &str,
    matching: Option<OneOrMany<String>>,
    all_but: Option<OneOrMany<String>>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<Listed>, String> {
    let listed = match (matching, all_but) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(format!("{element} and Not{element} exclude each other")),
        (Some(OneOrMany(list)), None) => Listed::Matching(list),
        (None, Some(OneOrMany(list))) => Listed::AllBut(list),
    };
    let (Listed::Matching(list) | Listed::AllBut(list)) = &listed;
    list.iter().try_for_each(|pattern| check(pattern))?;
    Ok(Some(listed))
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

/// `*`, or an ARN with wildcards and variables.
fn check_resource(resource: &str, variables: Variables) -> Result<(), String> {
    Template::parse(resource, variables).map_err(|detail| format!("resource {detail}"))?;
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
        let list =
            |names: Option<OneOrMany<String>>| names.map_or_else(Vec::new, |OneOrMany(list)| list);
        let (aws, services) = (list(kinds.aws), list(kinds.service));
        for service in &services {
            ServiceName::parse(service).map_err(|error| error.to_string())?;
        }
        if aws.iter().any(|name| name == "*") {
            return Ok(Principals::Any);
        }
        aws.iter().try_for_each(|name| check_principal(name))?;
        Ok(Principals::Listed(PrincipalList { aws, services }))
    }
}

/// An account id, or the ARN of a root user, user, role or session. Wildcards are allowed alone only, groups never
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
pub(crate) fn check_principal(name: &str) -> Result<(), String> {
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
            && (kind != "assumed-role" || is_session(resource))
    };
    if !name.contains(['*', '?']) && Arn::parse(name).is_ok_and(known) {
        return Ok(());
    }
    Err(format!(
        "principal {name:?} must be *, an account id, or the ARN of a root, user, role or session"
    ))
}

/// `assumed-role/ROLE/SESSION`.
fn is_session(resource: &str) -> bool {
    let parts = resource.split('/').collect::<Vec<_>>();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty())
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

            fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(flag.into_deserializer())?]))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(number.into_deserializer())?]))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(number.into_deserializer())?]))
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

/// A condition's value: a string, or a flag or whole number that was written without quotes.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a flag or a whole number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar(flag.to_string()))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// An object's members in order. The same name twice is refused: a reader who keeps the last would decide otherwise.
struct Distinct<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Distinct<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Distinct<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = BTreeSet::new();
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if !names.insert(name.to_lowercase()) {
                        return Err(A::Error::custom(format!("duplicate element {name:?}")));
                    }
                    members.push((name, value));
                }
                Ok(Distinct(members))
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}
