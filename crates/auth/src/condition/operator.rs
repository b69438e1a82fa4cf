//! The operators: `StringEquals`, `ForAnyValue:ArnLikeIfExists`, …

use std::fmt;

/// An operator taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) scope: Scope,
    name: &'static str,
    pub(super) test: Test,
    pub(super) negated: bool,
    pub(super) if_exists: bool,
}

/// What is asked of a key that may have several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Single,
    ForAnyValue,
    ForAllValues,
}

/// How one value of the request is compared with one of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Text,
    TextIgnoringCase,
    TextLike,
    Number(Order),
    Date(Order),
    Flag,
    /// Base64 of the same bytes, which is the same text.
    Binary,
    Network,
    Arn,
    Null,
}

/// How two numbers or dates must lie: the request's, then the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub(super) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// All operators of IAM: name, test, whether it is negated.
const OPERATORS: &[(&str, Test, bool)] = &[
    ("StringEquals", Test::Text, false),
    ("StringNotEquals", Test::Text, true),
    ("StringEqualsIgnoreCase", Test::TextIgnoringCase, false),
    ("StringNotEqualsIgnoreCase", Test::TextIgnoringCase, true),
    ("StringLike", Test::TextLike, false),
    ("StringNotLike", Test::TextLike, true),
    ("NumericEquals", Test::Number(Order::Equal), false),
    ("NumericNotEquals", Test::Number(Order::Equal), true),
    ("NumericLessThan", Test::Number(Order::Less), false),
    ("NumericLessThanEquals", Test::Number(Order::LessOrEqual), false),
    ("NumericGreaterThan", Test::Number(Order::Greater), false),
    ("NumericGreaterThanEquals", Test::Number(Order::GreaterOrEqual), false),
    ("DateEquals", Test::Date(Order::Equal), false),
    ("DateNotEquals", Test::Date(Order::Equal), true),
    ("DateLessThan", Test::Date(Order::Less), false),
    ("DateLessThanEquals", Test::Date(Order::LessOrEqual), false),
    ("DateGreaterThan", Test::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Test::Date(Order::GreaterOrEqual), false),
    ("Bool", Test::Flag, false),
    ("BinaryEquals", Test::Binary, false),
    ("IpAddress", Test::Network, false),
    ("NotIpAddress", Test::Network, true),
    ("ArnEquals", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    // With AWS, too, these two are the same as the two above.
    ("ArnLike", Test::Arn, false),
    ("ArnNotLike", Test::Arn, true),
    ("Null", Test::Null, false),
];

impl Operator {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scope, rest) = match text.split_once(':') {
            None => (Scope::Single, text),
            Some(("ForAnyValue", rest)) => (Scope::ForAnyValue, rest),
            Some(("ForAllValues", rest)) => (Scope::ForAllValues, rest),
            Some(_) => return Err(unknown(text)),
        };
        let (base, if_exists) =
            rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
        let (name, test, negated) =
            *OPERATORS.iter().find(|(name, ..)| *name == base).ok_or_else(|| unknown(text))?;
        // Whether the key exists is Null's own question, and a key that has no value has no set of them.
        if test == Test::Null && (if_exists || scope != Scope::Single) {
            return Err(unknown(text));
        }
        Ok(Self { scope, name, test, negated, if_exists })
    }

    pub(super) fn is_null_test(self) -> bool {
        self.test == Test::Null
    }
}

fn unknown(text: &str) -> String {
    format!("Condition has no operator {text:?}; it must be one such as StringEquals")
}

/// As written.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scope {
            Scope::Single => "",
            Scope::ForAnyValue => "ForAnyValue:",
            Scope::ForAllValues => "ForAllValues:",
        })?;
        f.write_str(self.name)?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_is_read_in_all_its_forms_and_shown_as_written() {
        for (name, test, _) in OPERATORS {
            for (start, end) in
                [("", ""), ("", "IfExists"), ("ForAnyValue:", ""), ("ForAllValues:", "IfExists")]
            {
                let text = format!("{start}{name}{end}");
                let parsed = Operator::parse(&text).map(|operator| operator.to_string());
                let plain = start.is_empty() && end.is_empty();
                assert_eq!(parsed.ok(), (plain || *test != Test::Null).then_some(text));
            }
        }
    }

    #[test]
    fn unknown_operators_are_refused() {
        for text in [
            "",
            "stringequals",
            "StringEqual",
            "IfExists",
            "ForAnyValue:",
            "ForSomeValues:StringEquals",
            "ForAnyValue:ForAllValues:StringEquals",
            "NullIfExists",
            "ForAnyValue:Null",
            "StringEqualsIfExistsIfExists",
        ] {
            assert!(Operator::parse(text).is_err(), "{text}");
        }
    }
}
