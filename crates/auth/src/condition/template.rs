//! Texts of a policy in which variables may stand: `arn:aws:kms:*:*:key/${aws:PrincipalTag/key}`.
//!
//! `${key}` is the request's value of a condition key, `${key, 'text'}` the same with a text for when there is none, and
//! `${*}`, `${?}`, `${$}` are these three characters themselves
//! ([policy variables](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html)). A value that is
//! put in is literal: a `*` in a tag opens nothing. A variable without a value makes its text match nothing.

use std::borrow::Cow;

use super::RequestContext;
use crate::pattern::{self, Token};

/// A text taken apart at its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As written; `*` and `?` are wildcards where wildcards are.
    Pattern(String),
    /// A character that is never a wildcard.
    Literal(char),
    /// A condition key in lower case.
    Variable { key: String, default: Option<String> },
}

/// Whether the document's version has variables. In the old one `${…}` is plain text, which nobody means: it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variables {
    Known,
    Unknown,
}

impl Template {
    /// Takes a text apart. The error says what is wrong with it.
    pub(crate) fn parse(text: &str, variables: Variables) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once("${") {
            if variables == Variables::Unknown {
                return Err(format!("{text:?}: policy variables need \"Version\": \"2012-10-17\""));
            }
            let (inner, after) =
                opened.split_once('}').ok_or_else(|| format!("{text:?}: ${{ is never closed"))?;
            if !before.is_empty() {
                parts.push(Part::Pattern(before.to_owned()));
            }
            parts.push(Part::parse(inner).ok_or_else(|| {
                format!("{text:?}: ${{{inner}}} must be ${{key}} or ${{key, 'default'}}")
            })?);
            rest = after;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Pattern(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether a request's values are needed.
    pub(crate) fn has_variables(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Variable { .. }))
    }

    /// Whether the text, read as a pattern, matches. `*` and `?` are wildcards.
    pub(crate) fn is_like(&self, text: &str, context: &RequestContext) -> bool {
        match self.0.as_slice() {
            [Part::Pattern(pattern)] => pattern::matches(pattern, text),
            _ => self.tokens(context).is_some_and(|tokens| pattern::matches_tokens(&tokens, text)),
        }
    }

    /// The text with its values, wildcards being plain characters; `None` if a value is missing.
    pub(crate) fn text<'a>(&'a self, context: &'a RequestContext) -> Option<Cow<'a, str>> {
        if let [Part::Pattern(text)] = self.0.as_slice() {
            return Some(Cow::Borrowed(text));
        }
        let mut whole = String::new();
        for part in &self.0 {
            match part {
                Part::Pattern(text) => whole.push_str(text),
                Part::Literal(letter) => whole.push(*letter),
                Part::Variable { .. } => whole.push_str(part.value(context)?),
            }
        }
        Some(Cow::Owned(whole))
    }

    /// The text with its values as a pattern; `None` if a value is missing.
    pub(crate) fn tokens(&self, context: &RequestContext) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        for part in &self.0 {
            match part {
                Part::Pattern(text) => tokens.extend(text.bytes().map(Token::of)),
                Part::Literal(letter) => {
                    tokens.extend(letter.encode_utf8(&mut [0; 4]).bytes().map(Token::Exactly));
                }
                Part::Variable { .. } => {
                    tokens.extend(part.value(context)?.bytes().map(Token::Exactly));
                }
            }
        }
        Some(tokens)
    }
}

impl Part {
    fn parse(inner: &str) -> Option<Self> {
        let name = |text: &str| {
            let text = text.trim();
            let written = |letter: char| letter.is_alphanumeric() || ":/_-.@+= ".contains(letter);
            (!text.is_empty() && text.chars().all(written)).then(|| text.to_lowercase())
        };
        match inner {
            "*" | "?" | "$" => inner.chars().next().map(Self::Literal),
            _ => match inner.split_once(',') {
                None => Some(Self::Variable { key: name(inner)?, default: None }),
                Some((key, default)) => {
                    let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
                    Some(Self::Variable { key: name(key)?, default: Some(default.to_owned()) })
                }
            },
        }
    }

    /// A variable's value. A key with several values has none that could be put in.
    fn value<'a>(&'a self, context: &'a RequestContext) -> Option<&'a str> {
        let Self::Variable { key, default } = self else { return None };
        match context.values(key) {
            Some([value]) => Some(value),
            Some([]) | None => default.as_deref(),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::ConditionKey;

    fn context() -> RequestContext {
        RequestContext::default()
            .with(&ConditionKey::Username, "ali*ce")
            .with(&ConditionKey::TagKeys, "a")
            .with(&ConditionKey::TagKeys, "b")
    }

    fn check(template: &str, text: &str, expected: bool) {
        let template = Template::parse(template, Variables::Known).unwrap();
        assert_eq!(template.is_like(text, &context()), expected, "{template:?} and {text:?}");
    }

    #[test]
    fn values_are_put_in_and_stay_literal() {
        check("user/${aws:username}", "user/ali*ce", true);
        check("user/${AWS:UserName}", "user/ali*ce", true);
        check("user/${aws:username}", "user/aliiice", false);
        check("*/${aws:username}/*", "x/ali*ce/y", true);
        check("${*}${?}${$}", "*?$", true);
        check("${*}", "x", false);
    }

    #[test]
    fn a_variable_without_one_value_matches_nothing_unless_it_has_a_default() {
        check("${aws:userid}", "", false);
        check("${aws:userid}*", "x", false);
        check("${aws:userid, 'nobody'}", "nobody", true);
        check("${aws:TagKeys}", "a", false);
        check("${aws:TagKeys, 'a'}", "a", false);
    }

    #[test]
    fn malformed_variables_are_refused() {
        for text in ["${", "a${b", "${}", "${a, b}", "${ , 'b'}", "${a'b}"] {
            assert!(Template::parse(text, Variables::Known).is_err(), "{text}");
        }
        let old = Template::parse("${aws:username}", Variables::Unknown).unwrap_err();
        assert!(old.contains("need \"Version\": \"2012-10-17\""), "{old}");
        assert!(Template::parse("$ {x} $}", Variables::Unknown).is_ok());
    }
}
