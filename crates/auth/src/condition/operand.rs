//! The values of a condition, read once when the policy is written.
//!
//! What an operator cannot compare is refused then (`NumericEquals` with `"seven"`), not met in silence at every request.
//! The request's value is read when it is compared; one that cannot be read equals nothing.

use std::net::IpAddr;

use super::operator::Test;
use super::template::{Template, Variables};
use super::{Order, RequestContext};
use crate::pattern::{self, Token};

/// One value of a policy, for one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Text(Template),
    TextIgnoringCase(Template),
    TextLike(Template),
    Arn(Template),
    Number(Order, Number),
    Date(Order, jiff::Timestamp),
    Flag(bool),
    Binary(String),
    Network(Network),
}

impl Operand {
    pub(super) fn parse(test: Test, text: &str, variables: Variables) -> Result<Self, String> {
        let must_be = |what: &str| format!("{text:?} must be {what}");
        Ok(match test {
            Test::Text => Self::Text(Template::parse(text, variables)?),
            Test::TextIgnoringCase => Self::TextIgnoringCase(Template::parse(text, variables)?),
            Test::TextLike => Self::TextLike(Template::parse(text, variables)?),
            Test::Arn if text == "*" || text.split(':').count() >= ARN_PARTS => {
                Self::Arn(Template::parse(text, variables)?)
            }
            Test::Arn => return Err(must_be("* or an ARN with six parts")),
            Test::Number(order) => {
                let number = Number::parse(text).ok_or_else(|| must_be("a number"))?;
                Self::Number(order, number)
            }
            Test::Date(order) => {
                let what = "a date such as 2026-01-31T00:00:00Z, or seconds since 1970";
                Self::Date(order, date(text).ok_or_else(|| must_be(what))?)
            }
            Test::Flag | Test::Null => {
                Self::Flag(flag(text).ok_or_else(|| must_be("true or false"))?)
            }
            Test::Binary if is_base64(text) => Self::Binary(text.to_owned()),
            Test::Binary => return Err(must_be("base64")),
            Test::Network => {
                let what = "an address or a range such as 203.0.113.0/24";
                Self::Network(Network::parse(text).ok_or_else(|| must_be(what))?)
            }
        })
    }

    /// Whether a value of the request is the one that is meant.
    pub(super) fn matches(&self, value: &str, context: &RequestContext) -> bool {
        match self {
            Self::Text(wanted) => wanted.text(context).is_some_and(|wanted| wanted == value),
            Self::TextIgnoringCase(wanted) => wanted
                .text(context)
                .is_some_and(|wanted| wanted.to_lowercase() == value.to_lowercase()),
            Self::TextLike(wanted) => wanted.is_like(value, context),
            Self::Arn(wanted) => {
                wanted.tokens(context).is_some_and(|wanted| arn_matches(&wanted, value))
            }
            Self::Number(order, wanted) => {
                Number::parse(value).is_some_and(|value| order.holds(value.cmp(wanted)))
            }
            Self::Date(order, wanted) => {
                date(value).is_some_and(|value| order.holds(value.cmp(wanted)))
            }
            Self::Flag(wanted) => flag(value) == Some(*wanted),
            Self::Binary(wanted) => wanted == value,
            Self::Network(wanted) => {
                value.parse().is_ok_and(|address: IpAddr| wanted.contains(address))
            }
        }
    }
}

/// Partition, service, region, account and resource behind `arn`.
const ARN_PARTS: usize = 6;

/// Each of the six parts matches by itself: a `*` does not run over a colon into the next part, except in the resource.
fn arn_matches(wanted: &[Token], value: &str) -> bool {
    if wanted == [Token::Run] {
        return true;
    }
    let mut wanted = wanted.splitn(ARN_PARTS, |token| *token == Token::Exactly(b':'));
    let mut given = value.splitn(ARN_PARTS, ':');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if pattern::matches_tokens(wanted, given) => {}
            _ => return false,
        }
    }
}

/// A decimal number of up to nine places, exactly: in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(i128);

impl Number {
    const PLACES: usize = 9;

    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // 18 and 9 digits together stay far below 2¹²⁷.
        let short = whole.len() <= 18 && places.len() <= Self::PLACES;
        if !short || !all_digits(whole) || !all_digits(places) {
            return None;
        }
        let billionths = format!("{whole}{places:0<9}").parse::<i128>().ok()?;
        Some(Self(sign * billionths))
    }
}

/// A date with or without time, in any of W3C's profiles of ISO 8601, or seconds since 1970.
fn date(text: &str) -> Option<jiff::Timestamp> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return jiff::Timestamp::from_second(text.parse().ok()?).ok();
    }
    let whole = if text.len() == "2026-01-31".len() {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    whole.parse().ok()
}

fn flag(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// RFC 4648 with padding: then equal bytes are equal texts.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len() - digits.len() <= 2 && text.len().is_multiple_of(4) && digits.bytes().all(known)
}

/// A range of addresses (RFC 4632). An IPv4 address in IPv6's clothes (`::ffff:…`) is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.parse::<IpAddr>().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits.parse().ok().filter(|_| {
                digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
            })?,
        };
        (prefix <= longest).then_some(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use Test::{Arn, Binary, Date, Flag, Network, Number, Text, TextIgnoringCase, TextLike};

    fn check(test: Test, wanted: &str, value: &str, expected: bool) {
        let operand = Operand::parse(test, wanted, Variables::Known).unwrap();
        let matches = operand.matches(value, &RequestContext::default());
        assert_eq!(matches, expected, "{test:?} {wanted:?} {value:?}");
    }

    #[test]
    fn texts_are_compared_exactly_or_without_case_or_by_wildcards() {
        check(Text, "a*", "a*", true);
        check(Text, "a*", "ab", false);
        check(Text, "A", "a", false);
        check(TextIgnoringCase, "ÄB", "äb", true);
        check(TextLike, "a*", "ab", true);
        check(TextLike, "a?", "abc", false);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        check(Number(Order::Equal), "7", "7.0", true);
        check(Number(Order::Equal), "0.1", "0.10", true);
        check(Number(Order::Less), "10", "9", true);
        check(Number(Order::Less), "10", "10", false);
        check(Number(Order::LessOrEqual), "10", "10", true);
        check(Number(Order::Greater), "-2", "-1.5", true);
        check(Number(Order::GreaterOrEqual), "3", "2", false);
        check(Number(Order::Equal), "7", "seven", false);
    }

    #[test]
    fn dates_are_compared_as_points_in_time() {
        check(Date(Order::Equal), "2026-01-01", "2026-01-01T00:00:00Z", true);
        check(Date(Order::Equal), "1767225600", "2026-01-01T00:00:00Z", true);
        check(Date(Order::Equal), "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z", true);
        check(Date(Order::Less), "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", true);
        check(Date(Order::Greater), "2026-01-01", "2025-12-31T23:59:59Z", false);
    }

    #[test]
    fn addresses_lie_in_ranges() {
        check(Network, "203.0.113.0/24", "203.0.113.7", true);
        check(Network, "203.0.113.0/24", "203.0.114.7", false);
        check(Network, "203.0.113.7", "203.0.113.7", true);
        check(Network, "0.0.0.0/0", "198.51.100.1", true);
        check(Network, "0.0.0.0/0", "2001:db8::1", false);
        check(Network, "2001:db8::/32", "2001:db8:ffff::1", true);
        check(Network, "2001:db8::/32", "2001:db9::1", false);
        check(Network, "::/0", "2001:db8::1", true);
        check(Network, "203.0.113.0/24", "::ffff:203.0.113.7", true);
        check(Network, "0.0.0.0/0", "AWS Internal", false);
    }

    #[test]
    fn arns_match_part_by_part() {
        let user = "arn:aws:iam::111122223333:user/alice";
        check(Arn, user, user, true);
        check(Arn, "arn:aws:iam::*:user/*", user, true);
        check(Arn, "arn:*:user/alice:a:b:c", user, false);
        check(Arn, "arn:aws:*:*:*:*", "arn:aws:s3:::bucket:with:colons", true);
        check(Arn, "arn:aws:iam:*:user/alice:*", user, false);
        check(Arn, "*", user, true);
        check(Arn, "arn:aws:iam::*:user/*", "alice", false);
    }

    #[test]
    fn flags_and_bytes() {
        check(Flag, "true", "True", true);
        check(Flag, "true", "false", false);
        check(Flag, "false", "0", false);
        check(Binary, "aGVsbG8=", "aGVsbG8=", true);
        check(Binary, "aGVsbG8=", "aGVsbG9=", false);
    }

    #[test]
    fn values_that_the_operator_cannot_compare_are_refused() {
        for (test, text) in [
            (Number(Order::Equal), "seven"),
            (Number(Order::Equal), ""),
            (Number(Order::Equal), "1e3"),
            (Number(Order::Equal), "1."),
            (Number(Order::Equal), "${aws:username}"),
            (Date(Order::Equal), "yesterday"),
            (Date(Order::Equal), "2026-02-30"),
            (Date(Order::Equal), "2026-02-30T00:00:00"),
            (Flag, "yes"),
            (Binary, "a"),
            (Binary, "a-b_"),
            (Network, "203.0.113.0/33"),
            (Network, "203.0.113.0/+8"),
            (Network, "203.0.113"),
            (Arn, "user/alice"),
        ] {
            assert!(Operand::parse(test, text, Variables::Known).is_err(), "{test:?} {text:?}");
        }
    }
}
