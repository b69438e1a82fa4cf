//! The encryption context: pairs of text that are authenticated with a message, and that anybody can read in its header.
//!
//! ```text
//! section = length u16 ‖ ( pairs u16 ‖ (key length u16 ‖ key ‖ value length u16 ‖ value)* )?
//! ```
//!
//! Sorted by key, UTF-8, big-endian; `length` counts what follows it, and is 0 when there are no pairs. One key is the
//! format's own: `aws-crypto-public-key` holds the key that a signed message is verified with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::EnvelopeError;
use crate::source::Bytes;

/// Bytes of the whole section: its length field has two bytes.
pub const CONTEXT_BYTES_MAX: usize = u16::MAX as usize;

/// Where a signed message keeps the public key of its signature: base64 of the compressed point.
pub(crate) const PUBLIC_KEY: &str = "aws-crypto-public-key";

/// The prefix that AWS keeps for keys like that one.
const RESERVED_PREFIX: &str = "aws-crypto-";

/// An encryption context. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// The pairs that a caller wants bound to a message.
    ///
    /// # Errors
    /// [`EnvelopeError::ReservedContextKey`] for keys that begin with `aws-crypto-`,
    /// [`EnvelopeError::RepeatedContextKey`] for a key that comes twice, and
    /// [`EnvelopeError::ContextTooLong`] for more than [`CONTEXT_BYTES_MAX`] bytes with their lengths.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, EnvelopeError> {
        let mut context = Self::default();
        for (key, value) in pairs {
            if key.starts_with(RESERVED_PREFIX) {
                return Err(EnvelopeError::ReservedContextKey { key });
            }
            match context.0.entry(key) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    return Err(EnvelopeError::RepeatedContextKey { key: entry.key().clone() });
                }
            };
        }
        context.section()?; // the limit
        Ok(context)
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The same pairs and the public key of the signature.
    pub(crate) fn with_public_key(mut self, public_key: String) -> Self {
        self.0.insert(PUBLIC_KEY.to_owned(), public_key);
        self
    }

    /// The section of a header, with its length in front.
    pub(crate) fn section(&self) -> Result<Vec<u8>, EnvelopeError> {
        let mut pairs = Vec::new();
        if !self.0.is_empty() {
            push_u16(&mut pairs, self.0.len())?;
        }
        for text in self.0.iter().flat_map(|(key, value)| [key, value]) {
            push_u16(&mut pairs, text.len())?;
            pairs.extend_from_slice(text.as_bytes());
        }
        let mut section = Vec::with_capacity(2 + pairs.len());
        push_u16(&mut section, pairs.len())?;
        section.extend_from_slice(&pairs);
        Ok(section)
    }

    /// Reads a section's content, its length taken off. An SDK may have sorted in another way, so any order is read.
    pub(crate) fn parse(mut bytes: Bytes<'_>) -> Result<Self, EnvelopeError> {
        let mut context = Self::default();
        if bytes.is_empty() {
            return Ok(context);
        }
        let count = bytes.u16("the number of pairs")?;
        if count == 0 {
            return Err(bytes.malformed("an encryption context of no pairs has no length either"));
        }
        for _ in 0..count {
            let key = bytes.text("a key of the encryption context")?;
            let value = bytes.text("a value of the encryption context")?;
            if context.0.insert(key, value).is_some() {
                return Err(bytes.malformed("a key of the encryption context comes twice"));
            }
        }
        bytes.end("the encryption context is shorter than its length says")?;
        Ok(context)
    }
}

fn push_u16(out: &mut Vec<u8>, number: usize) -> Result<(), EnvelopeError> {
    let number = u16::try_from(number).map_err(|_| EnvelopeError::ContextTooLong)?;
    out.extend_from_slice(&number.to_be_bytes());
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(pairs: &[(&str, &str)]) -> Result<EncryptionContext, EnvelopeError> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        EncryptionContext::new(pairs)
    }

    fn parse(section: &[u8]) -> Result<EncryptionContext, EnvelopeError> {
        EncryptionContext::parse(Bytes::new(section, 0))
    }

    #[test]
    fn the_section_is_the_documented_one() {
        let section = context(&[("b", ""), ("a", "xy")]).unwrap().section().unwrap();
        assert_eq!(section, b"\0\x0e\0\x02\0\x01a\0\x02xy\0\x01b\0\0");
        assert_eq!(EncryptionContext::default().section().unwrap(), [0, 0]);
    }

    #[test]
    fn what_no_message_may_carry_is_refused_by_name() {
        let reserved = context(&[("aws-crypto-anything", "")]);
        assert!(matches!(reserved, Err(EnvelopeError::ReservedContextKey { .. })));
        let repeated = context(&[("a", "1"), ("a", "1")]);
        assert!(matches!(repeated, Err(EnvelopeError::RepeatedContextKey { .. })));
        // 2 bytes of count, 2 + 1 of key, 2 of value length.
        let longest = CONTEXT_BYTES_MAX - 7;
        assert!(context(&[("k", &"v".repeat(longest))]).is_ok());
        let longer = context(&[("k", &"v".repeat(longest + 1))]);
        assert!(matches!(longer, Err(EnvelopeError::ContextTooLong)));
        let longest_value = context(&[("k", &"v".repeat(CONTEXT_BYTES_MAX + 1))]);
        assert!(matches!(longest_value, Err(EnvelopeError::ContextTooLong)));
    }

    #[test]
    fn sections_that_mean_nothing_are_malformed() {
        for section in [
            &b"\0\0"[..],
            b"\0",
            b"\0\x01\0\x01a",
            b"\0\x01\0\x01a\0\x05b",
            b"\0\x01\0\x01a\0\x01b\0",
            b"\0\x01\0\x01\xff\0\x01b",
            b"\0\x02\0\x01a\0\x01b\0\x01a\0\x01c",
            b"\xff\xff\0\x01a\0\x01b",
        ] {
            assert!(matches!(parse(section), Err(EnvelopeError::Malformed { .. })), "{section:?}");
        }
    }

    #[test]
    fn the_order_of_another_writer_is_read() {
        let unsorted = parse(b"\0\x02\0\x01b\0\x01x\0\x01a\0\x01y").unwrap();
        assert_eq!(unsorted, context(&[("a", "y"), ("b", "x")]).unwrap());
    }

    proptest! {
        #[test]
        fn every_context_comes_back(
            pairs in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..5),
        ) {
            let context = EncryptionContext::new(pairs).unwrap();
            prop_assert_eq!(parse(&context.section().unwrap()[2..]).unwrap(), context);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }
    }
}
