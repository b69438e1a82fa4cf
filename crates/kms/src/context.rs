//! The encryption context: pairs of strings that are authenticated with a ciphertext, and that a record shows in the clear.
//!
//! It is no secret. It must be given exactly again to decrypt: same pairs, same case, in any order
//! ([encryption context](https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html)).

use std::collections::BTreeMap;

use keytrail_event::Json;

/// Bytes of all keys and values together. AWS allows 8 KB.
pub const ENCRYPTION_CONTEXT_BYTES_MAX: usize = 8192;

/// An encryption context, sorted, within its limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// Accepts pairs of at most [`ENCRYPTION_CONTEXT_BYTES_MAX`] bytes together.
    pub(crate) fn new(pairs: BTreeMap<String, String>) -> Option<Self> {
        let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        (bytes <= ENCRYPTION_CONTEXT_BYTES_MAX).then_some(Self(pairs))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the one encoding of these pairs:
    ///
    /// ```text
    /// count u32 ‖ (key length u32 ‖ key ‖ value length u32 ‖ value)*      sorted by key, big-endian, UTF-8
    /// ```
    ///
    /// Injective, because every length is written: `{a: bc}` and `{ab: c}` differ, which joined texts would not.
    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        let length = |out: &mut Vec<u8>, length: usize| {
            let length = u32::try_from(length).expect("a context has at most 8192 bytes");
            out.extend_from_slice(&length.to_be_bytes());
        };
        length(out, self.0.len());
        for text in self.0.iter().flat_map(|(key, value)| [key, value]) {
            length(out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// As the record shows it.
    pub(crate) fn to_json(&self) -> Json {
        self.0.iter().fold(Json::object(), |object, (key, value)| object.with(key, value.as_str()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        let pairs =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        EncryptionContext::new(pairs).unwrap()
    }

    fn encoded(context: &EncryptionContext) -> Vec<u8> {
        let mut out = Vec::new();
        context.encode_to(&mut out);
        out
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let bytes = encoded(&context(&[("b", ""), ("a", "xy")]));
        assert_eq!(bytes, b"\0\0\0\x02\0\0\0\x01a\0\0\0\x02xy\0\0\0\x01b\0\0\0\0");
        assert_eq!(encoded(&EncryptionContext::default()), [0; 4]);
    }

    #[test]
    fn joined_texts_that_look_alike_differ() {
        assert_ne!(encoded(&context(&[("a", "bc")])), encoded(&context(&[("ab", "c")])));
        assert_ne!(
            encoded(&context(&[("a", "b"), ("c", "d")])),
            encoded(&context(&[("a", "bcd")]))
        );
        assert_ne!(encoded(&context(&[("a", "")])), encoded(&context(&[])));
    }

    #[test]
    fn the_limit_counts_keys_and_values() {
        let pairs = |length| BTreeMap::from([("k".to_owned(), "v".repeat(length))]);
        assert!(EncryptionContext::new(pairs(ENCRYPTION_CONTEXT_BYTES_MAX - 1)).is_some());
        assert!(EncryptionContext::new(pairs(ENCRYPTION_CONTEXT_BYTES_MAX)).is_none());
    }

    proptest! {
        #[test]
        fn different_pairs_have_different_encodings(
            one in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..4),
            other in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..4),
        ) {
            let [one, other] = [one, other].map(|pairs| EncryptionContext::new(pairs).unwrap());
            prop_assert_eq!(encoded(&one) == encoded(&other), one == other);
        }
    }
}
