//! The `Condition` of a statement: when it applies, beyond who, what and where.
//!
//! ```text
//! "Condition": { "StringEquals": { "kms:ViaService": ["s3.us-east-1.amazonaws.com", "…"] }, "Bool": { … } }
//!                 operator          key               values
//! ```
//!
//! All operators and all keys must hold (and); one of the values is enough (or; for a negated operator: none of them).
//! What a missing key means depends on the operator
//! ([operators](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html),
//! [several values](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html)):
//!
//! | operator | key has no value |
//! |---|---|
//! | `StringEquals`, … | does not hold |
//! | `StringNotEquals` and the other negated ones | holds |
//! | `…IfExists`, `ForAllValues:…` | holds |
//! | `ForAnyValue:…` | does not hold |
//!
//! A key that has several values under an operator without `ForAnyValue:` or `ForAllValues:` is what AWS leaves open (two
//! pairs of an encryption context may differ in case only, and are then two values of one key). Here an `Allow` needs the
//! condition to hold for each value, and for a `Deny` one value is enough: neither can be got around with a second value.

mod context;
mod operand;
mod operator;
mod template;

use std::fmt;

use crate::policy::Effect;
use operand::Operand;
use operator::{Operator, Order, Scope};

pub use context::{ConditionKey, ContextValue, RequestContext};
pub(crate) use template::{Template, Variables};

/// One operator with one key: the smallest thing that holds or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    operator: Operator,
    /// As written, for explanations.
    key: String,
    /// In lower case, as contexts have it.
    key_to_find: String,
    operands: Vec<Operand>,
}

impl Condition {
    /// Reads one condition. The error says what is wrong, and what would be right.
    pub(crate) fn parse(
        operator: &str,
        key: &str,
        values: &[String],
        variables: Variables,
    ) -> Result<Self, String> {
        let parsed = Operator::parse(operator)?;
        let place = |detail: String| format!("Condition {operator} {key}: {detail}");
        let key_to_find = key.to_lowercase();
        if key_to_find.is_empty() {
            return Err(place("the key must have a name".to_owned()));
        }
        // "All values that the request has" holds for a request that has none: an Allow would be open to whoever leaves
        // the pair or tag out. AWS refuses it as OverlyPermissiveCondition.
        let single = ["kms:encryptioncontext:", "aws:requesttag/"];
        if parsed.scope == Scope::ForAllValues
            && single.iter().any(|start| key_to_find.starts_with(start))
        {
            let detail = "ForAllValues also holds where the key is missing; leave it out, or use ForAnyValue";
            return Err(place(detail.to_owned()));
        }
        if values.is_empty() {
            return Err(place("at least one value is needed".to_owned()));
        }
        let operand = |value: &String| Operand::parse(parsed.test, value, variables);
        let operands = values.iter().map(operand).collect::<Result<_, _>>().map_err(place)?;
        Ok(Self { operator: parsed, key: key.to_owned(), key_to_find, operands })
    }

    /// Whether the request fulfils it, in a statement with this effect.
    pub(crate) fn holds(&self, effect: Effect, context: &RequestContext) -> bool {
        let values = context.values(&self.key_to_find).unwrap_or_default();
        let Operator { scope, negated, if_exists, .. } = self.operator;
        if self.operator.is_null_test() {
            let missing = if values.is_empty() { "true" } else { "false" };
            return self.operands.iter().any(|operand| operand.matches(missing, context));
        }
        let matches = |value: &String| {
            self.operands.iter().any(|operand| operand.matches(value, context)) != negated
        };
        match (scope, effect) {
            _ if values.is_empty() && if_exists => true,
            (Scope::Single, _) if values.is_empty() => negated,
            (Scope::ForAllValues, _) | (Scope::Single, Effect::Allow) => values.iter().all(matches),
            (Scope::ForAnyValue, _) | (Scope::Single, Effect::Deny) => values.iter().any(matches),
        }
    }
}

/// Operator and key as written, for explanations.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator, self.key)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use Effect::{Allow, Deny};

    const KEY: &str = "kms:ViaService";

    fn check(operator: &str, values: &[&str], given: &[&str], effect: Effect, expected: bool) {
        let values = values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let condition = Condition::parse(operator, KEY, &values, Variables::Known).unwrap();
        let context = given.iter().fold(RequestContext::default(), |context, value| {
            context.with(&ConditionKey::ViaService, *value)
        });
        let holds = condition.holds(effect, &context);
        assert_eq!(holds, expected, "{operator} {values:?} of {given:?} in {effect:?}");
    }

    #[test]
    fn one_of_the_values_is_enough_and_none_of_them_for_a_negated_operator() {
        check("StringEquals", &["a", "b"], &["b"], Allow, true);
        check("StringEquals", &["a", "b"], &["c"], Allow, false);
        check("StringNotEquals", &["a", "b"], &["b"], Allow, false);
        check("StringNotEquals", &["a", "b"], &["c"], Allow, true);
    }

    #[test]
    fn a_missing_key_means_what_the_table_says() {
        check("StringEquals", &["a"], &[], Allow, false);
        check("StringNotEquals", &["a"], &[], Allow, true);
        check("StringEqualsIfExists", &["a"], &[], Allow, true);
        check("StringNotEqualsIfExists", &["a"], &[], Allow, true);
        check("ForAllValues:StringEquals", &["a"], &[], Allow, true);
        check("ForAnyValue:StringEquals", &["a"], &[], Allow, false);
        check("ForAnyValue:StringNotEquals", &["a"], &[], Allow, false);
        check("ForAnyValue:StringEqualsIfExists", &["a"], &[], Allow, true);
        check("Null", &["true"], &[], Allow, true);
        check("Null", &["true"], &["a"], Allow, false);
        check("Null", &["false"], &["a"], Allow, true);
    }

    #[test]
    fn set_operators_look_at_each_value_of_the_request() {
        check("ForAllValues:StringEquals", &["a", "b"], &["a", "b"], Allow, true);
        check("ForAllValues:StringEquals", &["a", "b"], &["a", "c"], Allow, false);
        check("ForAnyValue:StringEquals", &["a", "b"], &["a", "c"], Allow, true);
        check("ForAnyValue:StringEquals", &["a", "b"], &["c", "d"], Allow, false);
        check("ForAllValues:StringNotEquals", &["a"], &["b", "c"], Allow, true);
        check("ForAllValues:StringNotEquals", &["a"], &["a", "c"], Allow, false);
        check("ForAnyValue:StringNotEquals", &["a"], &["a", "c"], Allow, true);
    }

    #[test]
    fn a_second_value_gets_nobody_in_and_nobody_past() {
        check("StringEquals", &["a"], &["a", "evil"], Allow, false);
        check("StringEquals", &["evil"], &["a", "evil"], Deny, true);
        check("StringNotEquals", &["a"], &["a", "evil"], Deny, true);
        check("StringNotEquals", &["evil"], &["a", "evil"], Allow, false);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |operator: &str, key: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
            Condition::parse(operator, key, &values, Variables::Known).unwrap_err()
        };
        let open = refused("ForAllValues:StringEquals", "kms:EncryptionContext:Dept", &["a"]);
        assert!(open.contains("ForAllValues also holds where the key is missing"), "{open}");
        refused("ForAllValues:StringLike", "AWS:RequestTag/team", &["a"]);
        refused("StringEquals", KEY, &[]);
        refused("StringEquals", "", &["a"]);
    }
}
