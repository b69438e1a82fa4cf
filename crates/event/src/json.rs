//! The JSON that we write ourselves: a small value type, one compact form, one way to escape.
//!
//! [`Json`] is for building members of a record, never for reading one: records that come in stay
//! text, and are taken apart by [`split`](crate::split()). It has no floating point, because
//! nothing in a record needs it and its text would not be deterministic between writers.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::scan::find_special;

/// A JSON value under construction. Members keep the order in which they were added.
///
/// Its depth is the depth of the code that builds it (a handful), so writing it may recurse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string, unescaped.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; the caller keeps names distinct.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An empty object, to be filled with [`Json::with`].
    pub const fn object() -> Self {
        Self::Object(Vec::new())
    }

    /// Adds a member at the end of an object; anything else becomes an object with this one member.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        let member = (name.into(), value.into());
        match &mut self {
            Self::Object(members) => members.push(member),
            other => *other = Self::Object(vec![member]),
        }
        self
    }

    /// Adds a member if there is a value for it: the usual way to leave optional members out.
    #[must_use]
    pub fn with_some(self, name: impl Into<String>, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Appends the compact text: no white space, minimal escapes, members in order.
    pub fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Text(text) => push_text(out, text),
            Self::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    push_text(out, name);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// The members of one object, written straight into a text in the order of the calls.
///
/// For the members whose names are known: [`Json`] would allocate each name only to write it once.
pub(crate) struct Members<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl Members<'_> {
    /// Appends an object with the members that `write` writes.
    pub(crate) fn write(out: &mut String, write: impl FnOnce(&mut Members<'_>)) {
        out.push('{');
        write(&mut Members { out, is_first: true });
        out.push('}');
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        push_text(self.out, value);
    }

    pub(crate) fn maybe_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A value that prints without anything to escape, as a string: ids and times.
    pub(crate) fn quoted(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        // Writing to a String cannot fail; the Result belongs to the trait.
        let _ = write!(self.out, "\"{value}\"");
    }

    pub(crate) fn maybe_quoted(&mut self, name: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.quoted(name, value);
        }
    }

    pub(crate) fn bool(&mut self, name: &str, value: bool) {
        self.json(name, &Json::Bool(value));
    }

    pub(crate) fn json(&mut self, name: &str, value: &Json) {
        self.name(name);
        value.write_to(self.out);
    }

    /// A member whose value is an object.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Members<'_>)) {
        self.name(name);
        Members::write(self.out, write);
    }

    /// A member whose value is an array of objects.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        items: &[T],
        write: impl Fn(&T, &mut Members<'_>),
    ) {
        self.name(name);
        self.out.push('[');
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            Members::write(self.out, |members| write(item, members));
        }
        self.out.push(']');
    }

    /// The value, or AWS's marker in its place if its text is longer than `limit` bytes:
    /// `{"reason":"requestParameters too large","omitted":true,"originalSize":149893}`.
    pub(crate) fn limited(&mut self, name: &str, value: &Json, limit: usize) {
        self.name(name);
        let start = self.out.len();
        value.write_to(self.out);
        let size = self.out.len() - start;
        if size > limit {
            self.out.truncate(start);
            Json::object()
                .with("reason", format!("{name} too large"))
                .with("omitted", true)
                .with("originalSize", i64::try_from(size).unwrap_or(i64::MAX))
                .write_to(self.out);
        }
    }

    fn name(&mut self, name: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        push_text(self.out, name);
        self.out.push(':');
    }
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    escape_with(text, &mut |piece| out.push_str(piece));
    out.push('"');
}

/// Hands out `text` in pieces, with the fewest escapes that RFC 8259 §7 allows. This is the
/// canonical form: a string of a record that is not `escape(unescape(it))` keeps its own text
/// beside the cell.
///
/// `"` and `\` and the control characters with a short form take it (`\b \t \n \f \r`); the other
/// control characters are `\u00xx` with lower-case digits; all else, `/` and non-ASCII included,
/// stands for itself.
#[inline]
pub(crate) fn escape_with(text: &str, push: &mut impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let at = find_special(bytes, start);
        push(&text[start..at]);
        let Some(byte) = bytes.get(at) else { return };
        match byte {
            b'"' => push("\\\""),
            b'\\' => push("\\\\"),
            b'\x08' => push("\\b"),
            b'\t' => push("\\t"),
            b'\n' => push("\\n"),
            b'\x0c' => push("\\f"),
            b'\r' => push("\\r"),
            control => push(&format!("\\u{control:04x}")),
        }
        start = at + 1;
    }
}

/// What a string's content means, and whether it was written in the canonical form.
#[derive(Debug)]
pub(crate) struct Unescaped<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) canonical: bool,
}

/// Undoes the escapes of a string's content, whose grammar the scanner has checked.
///
/// Total: half of a surrogate pair, which the grammar allows and no text can hold, becomes U+FFFD
/// and makes the content not canonical.
pub(crate) fn unescape(content: &str) -> Unescaped<'_> {
    if !content.contains('\\') {
        return Unescaped { text: Cow::Borrowed(content), canonical: true };
    }
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some((plain, tail)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some('b') => text.push('\u{8}'),
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('f') => text.push('\u{c}'),
            Some('r') => text.push('\r'),
            Some('u') => {
                let (character, after) = code_point(tail.as_str());
                text.push(character);
                tail = after.chars();
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        rest = tail.as_str();
    }
    text.push_str(rest);
    let mut escaped = String::with_capacity(content.len());
    escape_with(&text, &mut |piece| escaped.push_str(piece));
    Unescaped { canonical: escaped == content, text: Cow::Owned(text) }
}

/// The character of the four digits behind `\u`, or of a pair of such escapes, and what follows.
fn code_point(digits: &str) -> (char, &str) {
    let unit = |digits: &str| digits.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let Some(first) = unit(digits) else { return (char::REPLACEMENT_CHARACTER, digits) };
    let after = &digits[4..];
    let second = after.strip_prefix("\\u").and_then(unit);
    let mut decoded = char::decode_utf16([first].into_iter().chain(second));
    match decoded.next() {
        Some(Ok(character)) if character.len_utf16() == 2 => (character, &after[6..]),
        Some(Ok(character)) => (character, after),
        _ => (char::REPLACEMENT_CHARACTER, after),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_compact_and_in_order() {
        let value = Json::object()
            .with("z", 1)
            .with("a", vec!["x", "y"])
            .with_some("absent", None::<i64>)
            .with("n", Json::Null)
            .with("t", true)
            .with("deep", Json::object().with("min", i64::MIN));
        let expected =
            r#"{"z":1,"a":["x","y"],"n":null,"t":true,"deep":{"min":-9223372036854775808}}"#;
        assert_eq!(value.to_string(), expected);
        assert_eq!(Json::Null.with("a", false).to_string(), r#"{"a":false}"#);
    }

    #[test]
    fn escapes_mean_what_they_say_and_only_the_fewest_are_canonical() {
        let check = |content: &str, text: &str, canonical| {
            let unescaped = unescape(content);
            assert_eq!((&*unescaped.text, unescaped.canonical), (text, canonical), "{content}");
        };
        check("plain ü / 😀", "plain ü / 😀", true);
        check(r#"\"\\\b\t\n\f\r\u0000\u001f"#, "\"\\\u{8}\t\n\u{c}\r\0\u{1f}", true);
        check(r"\/", "/", false);
        check(r"\u001F", "\u{1f}", false);
        check(r"\u000a", "\n", false);
        check(r"\u007f", "\u{7f}", false);
        check(r"\ud83d\ude00", "😀", false);
        for half in
            [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\ude00", r"\ud83d\u0041", r"\ud83d\ud83d"]
        {
            let Unescaped { text, canonical } = unescape(half);
            assert!(text.starts_with('\u{fffd}') && !canonical, "{half}: {text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_goes_both_ways_as_serde_json_writes_it(text in any::<String>()) {
            let written = Json::from(text.as_str()).to_string();
            prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap_or_default());
            let unescaped = unescape(&written[1..written.len() - 1]);
            prop_assert!(unescaped.canonical);
            prop_assert_eq!(&*unescaped.text, &*text);
        }

        /// Whatever follows the backslashes, grammar or not.
        #[test]
        fn unescaping_is_total(content in r#"([\\u"d8cfe0-9üx]|\\u[dD][8-9a-fA-F]){0,12}"#) {
            let _ = unescape(&content);
        }
    }
}
