//! Reading a request: the API's JSON, member by member, with AWS's validation texts.
//!
//! A reader asks for each member by name and constraint, and ends with [`Input::finish`]: what did not fit was noted on
//! the way, and all of it is refused at once, as AWS does (`2 validation errors detected: …; …`). Until then a value that
//! did not fit is a default, so `finish` is the only way to get a request out.
//!
//! Texts of the JSON parser never leave this module: they quote the input, which may hold a plaintext. Blobs are decoded
//! straight from the request's bytes into memory that is wiped, and no text ever shows their value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_event::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::context::EncryptionContext;
use crate::error::{ErrorCode, Refusal};

/// The longest request body. The longest sensible one, `PutKeyPolicy` with 32 KiB of policy in escapes, has 200 KB.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How much of a refused value a validation text shows.
const SHOWN_CHARS_MAX: usize = 256;

/// How many problems a validation text tells. All are counted; but a list may have hundreds of thousands, and a request of
/// 1 MiB would be answered with a hundred times as much. Whoever sends the most tags that a key can have, all of them wrong,
/// is told of each.
const PROBLEMS_TOLD_MAX: usize = 128;

/// A request's members, and what is wrong with those that were read.
pub(crate) struct Input<'a> {
    members: Sent<'a>,
    /// The first [`PROBLEMS_TOLD_MAX`].
    problems: Vec<String>,
    problem_count: usize,
    malformed: bool,
}

impl<'a> Input<'a> {
    /// Takes the body apart. It must be one JSON object without duplicate members; unknown members are left alone.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        if body.len() > BODY_BYTES_MAX {
            let text = format!("The request body has more than {BODY_BYTES_MAX} bytes.");
            return Err(Refusal::validation(text));
        }
        let Members(members) = serde_json::from_slice(body).map_err(|_| malformed())?;
        let members = Sent(Rc::new(members));
        Ok(Self { members, problems: Vec::new(), problem_count: 0, malformed: false })
    }

    /// The members as they were sent.
    pub(crate) fn sent(&self) -> Sent<'a> {
        self.members.clone()
    }

    /// Gives the request out if all that was read was well.
    pub(crate) fn finish<T>(self, request: T) -> Result<T, Refusal> {
        if self.malformed {
            return Err(malformed());
        }
        let mut text = match self.problem_count {
            0 => return Ok(request),
            1 => "1 validation error detected: ".to_owned(),
            several => format!("{several} validation errors detected: "),
        };
        text.push_str(&self.problems.join("; "));
        Err(Refusal::validation(text))
    }

    /// A string that must be there, with a length in characters.
    pub(crate) fn text(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        let text = self.optional_text(name, length);
        self.required(name, text)
    }

    /// A string that may be there.
    pub(crate) fn optional_text(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Option<String> {
        let text: String = self.member(name)?;
        let shown = shown(&text);
        self.check_length(name, &format!("Value '{shown}'"), text.chars().count(), &length);
        Some(text)
    }

    /// A string of 1 to `longest` characters that satisfy `allowed`; `pattern` is how AWS writes that.
    pub(crate) fn text_of(
        &mut self,
        name: &str,
        longest: usize,
        pattern: &str,
        allowed: fn(char) -> bool,
    ) -> String {
        let text = self.text(name, 1..=longest);
        if !text.is_empty() && !text.chars().all(allowed) {
            let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
            self.problem(name, &format!("Value '{}'", shown(&text)), &constraint);
        }
        text
    }

    /// A string within a list, which must not be null there. `place` is spelled as validation texts do: `tags.1.member.tagKey`.
    pub(crate) fn item(
        &mut self,
        place: &str,
        text: Option<String>,
        length: RangeInclusive<usize>,
    ) -> String {
        match &text {
            Some(text) => {
                let shown = shown(text);
                self.check_length(
                    place,
                    &format!("Value '{shown}'"),
                    text.chars().count(),
                    &length,
                );
            }
            None => self.problem(place, "Value null", "Member must not be null"),
        }
        text.unwrap_or_default()
    }

    /// One of the API's words for a type, if it is there.
    pub(crate) fn optional_word<T: Word>(&mut self, name: &str) -> Option<T> {
        let words = T::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>();
        let word = self.choice(name, &words)?;
        T::ALL.iter().copied().find(|value| value.as_str() == word)
    }

    /// One of the API's words for a type. What it is before [`Self::finish`] has refused its absence does not matter.
    pub(crate) fn word<T: Word>(&mut self, name: &str) -> T {
        let word = self.optional_word(name);
        self.required(name, word.map(Some)).unwrap_or(T::ALL[0])
    }

    /// A list of the API's words for a type; empty when it is not there.
    pub(crate) fn words<T: Word>(&mut self, name: &str) -> Vec<T> {
        let words = T::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(", ");
        let find = |word: &String| T::ALL.iter().copied().find(|value| value.as_str() == word);
        let sent = self.member::<Vec<String>>(name).unwrap_or_default();
        let found = sent.iter().filter_map(find).collect::<Vec<_>>();
        if found.len() != sent.len() {
            let constraint = format!(
                "Member must satisfy constraint: [Member must satisfy enum value set: [{words}]]"
            );
            self.problem(
                name,
                &format!("Value '{}'", shown(&format!("[{}]", sent.join(", ")))),
                &constraint,
            );
        }
        found
    }

    /// One of `values` that must be there.
    pub(crate) fn required_choice(&mut self, name: &str, values: &[&'static str]) -> &'static str {
        let word = self.choice(name, values);
        self.required(name, word)
    }

    /// One of `values`; the given spelling is returned as the constant it equals.
    pub(crate) fn choice(&mut self, name: &str, values: &[&'static str]) -> Option<&'static str> {
        let text: String = self.member(name)?;
        let found = values.iter().find(|value| **value == text);
        if found.is_none() {
            let constraint = format!("Member must satisfy enum value set: [{}]", values.join(", "));
            self.problem(name, &format!("Value '{}'", shown(&text)), &constraint);
        }
        found.copied()
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number: i64 = self.member(name)?;
        let value = format!("Value '{number}'");
        if number < i64::from(*range.start()) {
            let constraint =
                format!("Member must have value greater than or equal to {}", range.start());
            self.problem(name, &value, &constraint);
        } else if number > i64::from(*range.end()) {
            let constraint =
                format!("Member must have value less than or equal to {}", range.end());
            self.problem(name, &value, &constraint);
        }
        u32::try_from(number).ok()
    }

    /// A point in time: seconds since 1970, to the millisecond. One before 1970 is 1970.
    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let seconds: f64 = self.member(name)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates, and never below 0"
        )]
        let millis = (seconds * 1000.0).round() as u64;
        Some(Timestamp::from_unix_nanos(millis.saturating_mul(1_000_000)))
    }

    /// A boolean; false when it is not there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.member(name).unwrap_or_default()
    }

    /// Base64 of 1 to `longest` bytes that must be there. The text of a problem never shows it.
    pub(crate) fn blob(&mut self, name: &str, longest: usize) -> Zeroizing<Vec<u8>> {
        if !self.has(name) {
            return self.required(name, None);
        }
        self.optional_blob(name, longest).unwrap_or_default()
    }

    /// The same of a member that the API calls sensitive: AWS does not even say that it is null.
    pub(crate) fn sensitive_blob(&mut self, name: &str, longest: usize) -> Zeroizing<Vec<u8>> {
        if !self.has(name) {
            self.problem(name, "Value", "Member must not be null");
        }
        self.optional_blob(name, longest).unwrap_or_default()
    }

    /// Base64 of 1 to `longest` bytes that may be there.
    pub(crate) fn optional_blob(
        &mut self,
        name: &str,
        longest: usize,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let raw = self.raw(name)?;
        if let Some(bytes) = decode(raw.get()) {
            self.check_length(name, "Value", bytes.len(), &(1..=longest));
            Some(bytes)
        } else {
            self.malformed = true;
            None
        }
    }

    /// An encryption context; empty when it is not there.
    pub(crate) fn context(&mut self, name: &str) -> EncryptionContext {
        let pairs = self.member::<Distinct>(name).unwrap_or_default().0;
        let context = EncryptionContext::new(pairs);
        if context.is_none() {
            let longest = crate::context::ENCRYPTION_CONTEXT_BYTES_MAX;
            self.problem(
                name,
                "Value",
                &format!("Member must have length less than or equal to {longest}"),
            );
        }
        context.unwrap_or_default()
    }

    /// Any other member, by its type.
    pub(crate) fn member<T: Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        let raw = self.raw(name)?;
        let value = serde_json::from_str(raw.get()).ok();
        self.malformed |= value.is_none();
        value
    }

    /// Any other member, which must be there.
    pub(crate) fn required_member<T: Deserialize<'a> + Default>(&mut self, name: &str) -> T {
        let value = self.member(name);
        self.required(name, value)
    }

    /// Notes it if the member is not there.
    pub(crate) fn require(&mut self, name: &str) {
        self.required::<()>(name, None);
    }

    /// Whether the member is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Notes what is wrong with a member. `value` begins with `Value`, and shows it if it may be shown.
    pub(crate) fn problem(&mut self, name: &str, value: &str, constraint: &str) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(format!(
                "{value} at '{}' failed to satisfy constraint: {constraint}",
                lower_first(name)
            ));
        }
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.raw(name)
    }

    fn required<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        if value.is_none() && !self.has(name) {
            self.problem(name, "Value null", "Member must not be null");
        }
        value.unwrap_or_default()
    }

    fn check_length(
        &mut self,
        name: &str,
        value: &str,
        length: usize,
        allowed: &RangeInclusive<usize>,
    ) {
        if length < *allowed.start() {
            let constraint =
                format!("Member must have length greater than or equal to {}", allowed.start());
            self.problem(name, value, &constraint);
        } else if length > *allowed.end() {
            let constraint =
                format!("Member must have length less than or equal to {}", allowed.end());
            self.problem(name, value, &constraint);
        }
    }
}

/// The members of a request as they were sent: for decisions, whose conditions may ask for any of them after the operation
/// has read and checked its own.
#[derive(Clone, Default)]
pub(crate) struct Sent<'a>(Rc<BTreeMap<Cow<'a, str>, &'a RawValue>>);

impl<'a> Sent<'a> {
    /// A member, if it is there and of this type.
    pub(crate) fn member<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|raw| raw.get() != "null")
    }
}

/// A type whose values the API has words for.
pub(crate) trait Word: Copy + 'static {
    /// All values, in the order in which AWS lists them when it refuses another word.
    const ALL: &'static [Self];

    /// The word.
    fn as_str(self) -> &'static str;
}

/// `KeyId` → `keyId`: how validation texts and records spell the API's names.
pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_lowercase(), letters.as_str())
    })
}

fn malformed() -> Refusal {
    Refusal::bare(ErrorCode::SerializationException)
}

/// The beginning of a value, with control characters escaped so that a log line stays one.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(SHOWN_CHARS_MAX) {
        if letter.is_control() {
            write!(shown, "{}", letter.escape_default()).unwrap_or_default();
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A JSON string of base64. Nearly always it has no escapes and is decoded in place.
fn decode(json: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let unescaped = if inner.contains('\\') { Some(unescape(inner)?) } else { None };
    let text = unescaped.as_ref().map_or(inner, |text| text.as_str());
    // Sized before decoding: growing would leave copies of a plaintext in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    STANDARD.decode_vec(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Takes back the escapes that base64 can be written with: many an encoder writes `\/`, and any character may be `\uXXXX`.
/// Done here and not by the parser, whose buffer would keep a plaintext in freed memory. The JSON around it is well-formed.
fn unescape(inner: &str) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (letter, behind) = if let Some(behind) = escape.strip_prefix('/') {
            ('/', behind)
        } else {
            let (digits, behind) = escape.strip_prefix('u')?.split_at_checked(4)?;
            (char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, behind)
        };
        text.push(letter);
        rest = behind;
    }
    text.push_str(rest);
    Some(text)
}

/// Bytes from base64, of a value that is no secret.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name<'a>(Cow<'a, str>);

        impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|name| Self(Cow::Owned(name)))
            }
        }

        struct Object<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Object<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'a>, &'a RawValue>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("duplicate member"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}

/// A map of strings that refuses duplicate keys: which of the two would be authenticated?
#[derive(Default)]
struct Distinct(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Distinct;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if pairs.insert(key, value).is_some() {
                        return Err(A::Error::custom("duplicate key"));
                    }
                }
                Ok(Distinct(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// Reads `body` as a request with one member of each kind, and compares the refusal.
    fn check(body: &str, expected: Result<(), &str>) {
        let read = |body: &str| {
            let mut input = Input::parse(body.as_bytes())?;
            input.text("KeyId", 1..=10);
            input.choice("KeySpec", &["AES_128", "AES_256"]);
            input.integer("NumberOfBytes", 1..=1024);
            input.flag("DryRun");
            input.blob("Plaintext", 6);
            input.context("EncryptionContext");
            input.text_of("AliasName", 8, "^[a-z]+$", |letter| letter.is_ascii_lowercase());
            input.finish(())
        };
        let answer = read(body).map_err(|refusal| match refusal.message {
            Some(message) => message,
            None => refusal.code.to_string(),
        });
        assert_eq!(answer, expected.map_err(str::to_owned), "{body}");
    }

    const GOOD: &str = r#"{"KeyId":"k","KeySpec":"AES_128","NumberOfBytes":1,"DryRun":true,"Plaintext":"aGVsbG8=",
        "EncryptionContext":{"a":"b"},"AliasName":"abc","Unknown":[1,{}]}"#;

    /// As `serde_json` reads it, which is what everything else is read by.
    #[test]
    fn base64_may_be_written_in_escapes() {
        for escaped in [
            r#""aGVs/+8=""#,
            r#""aGVs\/+8=""#,
            r#""\u0061GVs\u002f\u002B8=""#,
            r#""\/\/\/\/""#,
            r#""aGVs\n""#,
            r#""aGVs\\""#,
            r#""\ud83d\ude00""#,
            r#""\u00e9GVs""#,
            r#""aGVsb\u0047\u0038\u003d""#,
        ] {
            let text = serde_json::from_str::<String>(escaped).expect("it is JSON");
            assert_eq!(
                decode(escaped).map(|bytes| bytes.to_vec()),
                decode_base64(&text),
                "{escaped}"
            );
        }
    }

    #[test]
    fn good_requests_are_read_and_unknown_members_left_alone() {
        check(GOOD, Ok(()));
        check(&GOOD.replace("\"aGVsbG8=\"", r#""\u0061GVsbG8=""#), Ok(()));
        check(&GOOD.replace("true", "null"), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_told_in_the_words_of_aws() {
        let one = |text: &str| format!("1 validation error detected: {text}");
        let check_one =
            |from: &str, to: &str, text: &str| check(&GOOD.replace(from, to), Err(&one(text)));
        check_one(
            "\"KeyId\":\"k\",",
            "",
            "Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        );
        check_one(
            "\"KeyId\":\"k\"",
            "\"KeyId\":\"\"",
            "Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1",
        );
        check_one(
            "AES_128",
            "AES_512",
            "Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_128, \
             AES_256]",
        );
        check_one(
            "\"NumberOfBytes\":1",
            "\"NumberOfBytes\":1025",
            "Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to \
             1024",
        );
        check_one(
            "\"abc\"",
            "\"aBc\"",
            "Value 'aBc' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             ^[a-z]+$",
        );
        let two = "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be \
                   null; Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than \
                   or equal to 1";
        check(&GOOD.replace("\"KeyId\":\"k\",", "").replace("Bytes\":1", "Bytes\":0"), Err(two));
    }

    #[test]
    fn a_plaintext_is_never_shown() {
        let text = "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have \
                    length less than or equal to 6";
        check(&GOOD.replace("aGVsbG8=", "c2VjcmV0IQ=="), Err(text));
        for wrong in ["\"c2Vjc\"", "\"*\"", "17", "{\"a\":\"c2VjcmV0\"}", "\"\\ud800\""] {
            check(&GOOD.replace("\"aGVsbG8=\"", wrong), Err("SerializationException"));
        }
    }

    #[test]
    fn what_is_no_object_of_the_expected_types_is_refused_without_a_text() {
        for body in
            ["", "[]", "{", "null", "{\"KeyId\":\"a\",\"KeyId\":\"b\"}", "\u{0}", "{\"KeyId\":1}"]
        {
            check(body, Err("SerializationException"));
        }
        check(
            &GOOD.replace("{\"a\":\"b\"}", "{\"a\":\"b\",\"a\":\"c\"}"),
            Err("SerializationException"),
        );
        check(&GOOD.replace("{\"a\":\"b\"}", "{\"a\":1}"), Err("SerializationException"));
        check(
            &GOOD.replace("\"NumberOfBytes\":1", "\"NumberOfBytes\":1.5"),
            Err("SerializationException"),
        );
        for end in 0..GOOD.len() {
            assert!(Input::parse(&GOOD.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn depth_and_length_have_limits() {
        let deep = format!(r#"{{"Unknown":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(Input::parse(deep.as_bytes()).is_ok(), "skipped without recursion");
        let long = format!(r#"{{"KeyId":"{}"}}"#, "k".repeat(BODY_BYTES_MAX));
        assert_eq!(
            Input::parse(long.as_bytes()).err().unwrap().code,
            ErrorCode::ValidationException
        );
    }
}
