//! Values: what cases write for them, filled in, compared, picked out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What earlier cases saved, by name.
pub(crate) type Saved = BTreeMap<String, String>;

/// A value with all `${…}` in its texts replaced.
pub(crate) fn replaced(value: &Value, saved: &Saved) -> Value {
    match value {
        Value::String(text) => filled_in(text, saved).into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, saved)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (filled_in(name, saved), replaced(member, saved)))
            .collect(),
        other => other.clone(),
    }
}

/// A text with all `${…}` replaced: `${name}` by what was saved, `${A x 9}` by nine letters A.
pub(crate) fn filled_in(text: &str, saved: &Saved) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or_else(|| panic!("{text}: no }}"));
        match (saved.get(name), name.split_once(" x ")) {
            (Some(value), _) => filled += value,
            (None, Some((letter, times))) => filled += &letter.repeat(times.parse().unwrap()),
            (None, None) => panic!("{text}: {name} was not saved by an earlier case"),
        }
        filled += rest;
    }
    filled
}

/// The first thing in which a value differs from what is expected of it; `place` says where the value stands.
pub(crate) fn difference(place: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(wanted), Value::Array(items)) => difference_of_list(place, wanted, items),
        (Value::Object(members), Value::Object(_)) => members.iter().find_map(|(name, member)| {
            difference(&format!("{place}.{name}"), member, &found[name])
        }),
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            let pairs = wanted.iter().zip(items).enumerate();
            pairs.into_iter().find_map(|(position, (wanted, item))| {
                difference(&format!("{place}.{position}"), wanted, item)
            })
        }
        (Value::String(pattern), found) if fits(pattern, found) => None,
        (expected, found) if expected == found && !expected.is_string() => None,
        _ => Some(format!("{place} is {found}, not {expected}")),
    }
}

fn difference_of_list(
    place: &str,
    wanted: &serde_json::Map<String, Value>,
    items: &[Value],
) -> Option<String> {
    wanted.iter().find_map(|(name, wanted)| match (name.as_str(), wanted) {
        ("length", length) => {
            let found = items.len();
            (*length != found).then(|| format!("{place} has {found} items, not {length}"))
        }
        ("contains", Value::Array(wanted)) => wanted.iter().find_map(|wanted| {
            let found = items.iter().any(|item| difference("", wanted, item).is_none());
            (!found).then(|| format!("{place} has no {wanted}: {items:?}"))
        }),
        (name, _) => Some(format!("{place} is a list and has no {name}")),
    })
}

/// Whether a value is what a pattern or plain text says.
fn fits(pattern: &str, found: &Value) -> bool {
    if pattern == "null" {
        return found.is_null();
    }
    // The CLI prints times as numbers.
    if found.is_number() {
        return ["<number>", "<time>"].contains(&pattern);
    }
    let Some(text) = found.as_str() else { return false };
    let hex = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter);
    match pattern {
        "*" => !text.is_empty(),
        "<hex64>" => text.len() == 64 && text.chars().all(hex),
        "<uuid>" => {
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            lengths == [8, 4, 4, 4, 12] && text.chars().all(|letter| letter == '-' || hex(letter))
        }
        "<time>" => text.parse::<jiff::Timestamp>().is_ok(),
        _ => {
            if let Some(other) = inside(pattern, "<not ") {
                return text != other;
            }
            if let Some(length) = inside(pattern, "<bytes ") {
                let bytes = STANDARD.decode(text).map(|bytes| bytes.len());
                return bytes == Ok(length.parse().unwrap());
            }
            match pattern.strip_suffix('…') {
                Some(start) => text.starts_with(start),
                None => text == pattern,
            }
        }
    }
}

fn inside<'a>(pattern: &'a str, start: &str) -> Option<&'a str> {
    pattern.strip_prefix(start)?.strip_suffix('>')
}

/// What is expected in general, with what is expected in particular in its place.
pub(crate) fn overlaid(general: &Value, particular: &Value) -> Value {
    let (Value::Object(general), Value::Object(particular)) = (general, particular) else {
        return particular.clone();
    };
    let mut members = general.clone();
    for (name, value) in particular {
        let member = members.entry(name).or_insert(Value::Null);
        *member = overlaid(member, value);
    }
    Value::Object(members)
}

/// The text at a path: `Keys.0.KeyId`.
pub(crate) fn member<'a>(answer: &'a Value, path: &str) -> Option<&'a str> {
    let step = |value: &'a Value, name: &str| match name.parse::<usize>() {
        Ok(position) => &value[position],
        Err(_) => &value[name],
    };
    path.split('.').fold(answer, step).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_fit_what_they_say_and_nothing_else() {
        for (expected, fitting, other) in [
            (json!("*"), json!("x"), json!("")),
            (json!("null"), json!(null), json!("null")),
            (json!("Key…"), json!("Keys"), json!("Ke")),
            (json!("<hex64>"), json!("0a".repeat(32)), json!("0A".repeat(32))),
            (
                json!("<uuid>"),
                json!("1234abcd-12ab-34cd-56ef-1234567890ab"),
                json!("1234abcd12ab34cd56ef1234567890ab"),
            ),
            (json!("<bytes 2>"), json!("AAA="), json!("AAAA")),
            (json!("<time>"), json!("2026-11-24T10:00:00+00:00"), json!("yesterday")),
            (json!("<number>"), json!(1.5), json!("1.5")),
            (json!("<not a>"), json!("b"), json!("a")),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), json!({"b": 2})),
            (json!([1, 2]), json!([1, 2]), json!([1])),
            (json!({"contains": [{"a": 1}]}), json!([2, {"a": 1}]), json!([{"a": 2}])),
            (json!({"length": 1}), json!([7]), json!([])),
            (json!({"lenght": 1}), json!({"lenght": 1}), json!([7])),
            (json!(true), json!(true), json!(false)),
        ] {
            assert_eq!(difference("it", &expected, &fitting), None, "{expected}");
            assert!(difference("it", &expected, &other).is_some(), "{expected}");
        }
    }

    #[test]
    fn texts_are_filled_in() {
        let saved = Saved::from([("key".to_owned(), "k1".to_owned())]);
        assert_eq!(filled_in("a ${key} b ${- x 3}", &saved), "a k1 b ---");
    }
}
