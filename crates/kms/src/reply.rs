//! Answers to calls: the API's JSON, in memory that is wiped, because Decrypt and `GenerateDataKey` answer with secrets.

use std::fmt::Write as _;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_event::{Guid, Json, Timestamp};
use zeroize::Zeroizing;

/// What a successful call gives back: the API's JSON, and where its record is.
///
/// Derefs to the JSON text. It has no `Debug`, `Display` or `Clone`, and is wiped when dropped: it may hold a plaintext.
pub struct Answer {
    pub(crate) reply: Reply,
    pub(crate) request_id: Guid,
    pub(crate) event_id: Guid,
    pub(crate) sequence: u64,
}

impl Answer {
    /// The JSON text; `{}` of operations that answer nothing.
    pub fn json(&self) -> &str {
        &self.reply.0
    }

    /// `requestID` of the record, and `x-amzn-RequestId` of an HTTP response.
    pub fn request_id(&self) -> Guid {
        self.request_id
    }

    /// `eventID` of the record.
    pub fn event_id(&self) -> Guid {
        self.event_id
    }

    /// Where the record lies in the ledger; it is durable and signed.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Deref for Answer {
    type Target = str;

    fn deref(&self) -> &str {
        self.json()
    }
}

/// The JSON object of an answer while it is written.
pub(crate) struct Reply(Zeroizing<String>);

impl Reply {
    /// The answer of an operation that has nothing to tell.
    pub(crate) fn empty() -> Self {
        Self(Zeroizing::new("{}".to_owned()))
    }

    /// Begins an object. `bytes` is room enough for all blobs, because growing would leave copies of them behind.
    pub(crate) fn object(bytes: usize) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(512 + bytes.div_ceil(3) * 4));
        text.push('{');
        Self(text)
    }

    pub(crate) fn json(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.name(name);
        value.into().write_to(&mut self.0);
        self
    }

    /// Seconds since 1970 with milliseconds, as a JSON number.
    pub(crate) fn time(mut self, name: &str, time: Timestamp) -> Self {
        self.name(name);
        push_time(&mut self.0, time);
        self
    }

    /// Bytes in base64.
    pub(crate) fn blob(mut self, name: &str, bytes: &[u8]) -> Self {
        self.name(name);
        self.0.push('"');
        STANDARD.encode_string(bytes, &mut self.0);
        self.0.push('"');
        self
    }

    /// A secret of letters, digits, `+` and `/`, which need no escapes; written without a copy in between.
    pub(crate) fn secret_text(mut self, name: &str, secret: &str) -> Self {
        self.name(name);
        self.0.push('"');
        self.0.push_str(secret);
        self.0.push('"');
        self
    }

    /// A list of objects.
    pub(crate) fn list(mut self, name: &str, items: impl IntoIterator<Item = Self>) -> Self {
        self.name(name);
        self.0.push('[');
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.0.push(',');
            }
            self.0.push_str(&item.finish().0);
        }
        self.0.push(']');
        self
    }

    /// An object within the object.
    pub(crate) fn nested(mut self, name: &str, object: Self) -> Self {
        self.name(name);
        self.0.push_str(&object.finish().0);
        self
    }

    /// A member for which there may be nothing to tell.
    pub(crate) fn maybe<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => write(self, value),
            None => self,
        }
    }

    pub(crate) fn finish(mut self) -> Self {
        self.0.push('}');
        self
    }

    /// The text, of a finished object that is a request and not an answer.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        Json::from(name).write_to(&mut self.0);
        self.0.push(':');
    }
}

fn push_time(out: &mut String, time: Timestamp) {
    let millis = time.unix_nanos() / 1_000_000;
    write!(out, "{}.{:03}", millis / 1000, millis % 1000).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_its_members_in_order() {
        let inner = |name: &str| Reply::object(0).json("KeyId", name);
        let reply = Reply::object(8)
            .json("Text", "a\"b")
            .time("CreationDate", Timestamp::from_unix_nanos(1_556_582_400_042_999_999))
            .blob("Plaintext", b"hello")
            .list("Keys", [inner("1"), inner("2")])
            .nested("Inner", inner("3"))
            .maybe(None::<&str>, |reply, text| reply.json("Absent", text))
            .finish();
        let expected = r#"{"Text":"a\"b","CreationDate":1556582400.042,"Plaintext":"aGVsbG8=","Keys":[{"KeyId":"1"},{"KeyId":"2"}],"Inner":{"KeyId":"3"}}"#;
        assert_eq!(*reply.0, expected);
        assert_eq!(*Reply::empty().0, "{}");
    }
}
