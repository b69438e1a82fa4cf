//! The JSON that we write ourselves: a small value type, one compact form, one way to escape.
//!
//! [`Json`] is for building members of a record, never for reading one: records that come in stay text, and are taken
//! apart by [`split`](crate::split()). It has no floating point, because nothing in a record needs it and its text would
//! not be deterministic between writers.

use std::fmt;

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

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    escape_into(out, text);
    out.push('"');
}

/// Appends `text` with the fewest escapes that RFC 8259 §7 allows. This is the canonical form: a string in a record whose
/// text differs from `escape(unescape(it))` keeps its own text beside the cell.
///
/// `"` `\` and the control characters with a short form take it (`\b \t \n \f \r`); the other control characters are
/// `\u00xx` with lower-case digits; everything else, `/` and non-ASCII included, stands for itself.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = tail.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(control) => {
                let code = control as usize;
                out.push_str("\\u00");
                out.push(HEX[code >> 4 & 15]);
                out.push(HEX[code & 15]);
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
