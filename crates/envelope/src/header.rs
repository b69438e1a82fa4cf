//! The header: which suite, which context, which keys, which body.
//!
//! ```text
//! version 2 = 0x02 ‖ suite u16 ‖ message id[32] ‖ context ‖ keys ‖ content ‖ frame length u32 ‖ commitment[32] ‖ tag[16]
//! version 1 = 0x01 ‖ 0x80 ‖ suite u16 ‖ message id[16] ‖ context ‖ keys ‖ content
//!             ‖ 0 u32 ‖ 12 u8 ‖ frame length u32 ‖ nonce[12] ‖ tag[16]
//! context   = length u16 ‖ ( pairs u16 ‖ (key length u16 ‖ key ‖ value length u16 ‖ value)* )?
//! keys      = count u16 ‖ (length u16 ‖ provider ‖ length u16 ‖ provider info ‖ length u16 ‖ ciphertext)*
//! content   = 1 (single block, frame length 0) | 2 (frames)
//! ```
//!
//! The tag is over everything before it (in version 1 before the nonce), under the message key.

use crate::body::{self, IV_LEN, TAG_LEN};
use crate::keys::{COMMITMENT_LEN, MessageKeys};
use crate::source::{Bytes, Source};
use crate::{EncryptedDataKey, EncryptionContext, EnvelopeError, Suite};

/// Encrypted data keys in one header. Each may cost a call of its provider, so a message must not have any number of them.
pub const ENCRYPTED_DATA_KEYS_MAX: usize = 256;

/// Bytes of the message id, in version 2 and in version 1.
pub(crate) const MESSAGE_ID_LEN: usize = 32;
const MESSAGE_ID_LEN_V1: usize = 16;
/// `0x80`, "customer authenticated encrypted data", the only type there is.
const TYPE_V1: u8 = 0x80;
/// Four bytes of nothing, and the length of nonces.
const RESERVED_V1: [u8; 5] = [0, 0, 0, 0, 12];

/// How the body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    SingleBlock,
    /// Bytes of each frame but the last.
    Frames(u32),
}

impl Body {
    const fn code(self) -> u8 {
        match self {
            Self::SingleBlock => 1,
            Self::Frames(_) => 2,
        }
    }
}

/// A header that was read. Nothing in it is proven before [`Header::is_authentic`] says so.
pub(crate) struct Header {
    pub(crate) suite: Suite,
    pub(crate) message_id: Vec<u8>,
    pub(crate) context: EncryptionContext,
    pub(crate) keys: Vec<EncryptedDataKey>,
    pub(crate) body: Body,
    pub(crate) commitment: Option<[u8; COMMITMENT_LEN]>,
    /// All of it, as it stands in the message.
    pub(crate) bytes: Vec<u8>,
    /// How many of the bytes the tag is over.
    tagged: usize,
    iv: [u8; IV_LEN],
    tag: [u8; TAG_LEN],
}

impl Header {
    pub(crate) fn read(source: &mut Source<'_>) -> Result<Self, EnvelopeError> {
        let mut read = Reading { source, bytes: Vec::new() };
        let suite = read.suite()?;
        let message_id = match suite.version() {
            1 => read.array::<MESSAGE_ID_LEN_V1>("the message id")?.to_vec(),
            _ => read.array::<MESSAGE_ID_LEN>("the message id")?.to_vec(),
        };
        let context = read.context()?;
        let keys = read.keys()?;
        let [content] = read.array("the content type")?;
        if suite.version() == 1 && read.array("the reserved bytes")? != RESERVED_V1 {
            return Err(read.malformed("reserved bytes are not 0, or nonces not of 12 bytes"));
        }
        let body = match (content, u32::from_be_bytes(read.array("the frame length")?)) {
            (1, 0) => Body::SingleBlock,
            (2, frame_length) if frame_length > 0 => Body::Frames(frame_length),
            (1 | 2, _) => {
                return Err(read.malformed("the frame length does not fit the content type"));
            }
            _ => return Err(read.malformed("the content type is neither 1 nor 2")),
        };
        let commitment = match suite.version() {
            1 => None,
            _ => Some(read.array("the commitment")?),
        };
        let tagged = read.bytes.len();
        let iv = match suite.version() {
            1 => read.array("the header's nonce")?,
            _ => body::nonce(0),
        };
        let tag = read.array("the header's tag")?;
        let bytes = read.bytes;
        Ok(Self { suite, message_id, context, keys, body, commitment, bytes, tagged, iv, tag })
    }

    /// Whether the tag is under this key.
    pub(crate) fn is_authentic(&self, keys: &MessageKeys) -> bool {
        let tagged = self.bytes.get(..self.tagged).unwrap_or_default();
        body::is_header_tag(&keys.message_key, tagged, self.iv, &self.tag)
    }
}

/// A new header of version 2, with its tag.
pub(crate) fn write(
    suite: Suite,
    message_id: &[u8; MESSAGE_ID_LEN],
    context: &EncryptionContext,
    encrypted: &[EncryptedDataKey],
    frame_length: u32,
    keys: &MessageKeys,
) -> Result<Vec<u8>, EnvelopeError> {
    let mut bytes = vec![suite.version()];
    bytes.extend_from_slice(&suite.id().to_be_bytes());
    bytes.extend_from_slice(message_id);
    bytes.extend_from_slice(&context.section()?);
    push_keys(&mut bytes, encrypted)?;
    let body = Body::Frames(frame_length);
    bytes.push(body.code());
    bytes.extend_from_slice(&frame_length.to_be_bytes());
    bytes.extend_from_slice(keys.commitment.as_ref().map_or(&[], |commitment| commitment));
    let tag = body::header_tag(&keys.message_key, &bytes)?;
    bytes.extend_from_slice(&tag);
    Ok(bytes)
}

fn push_keys(bytes: &mut Vec<u8>, keys: &[EncryptedDataKey]) -> Result<(), EnvelopeError> {
    let limit = ENCRYPTED_DATA_KEYS_MAX;
    let refused = || EnvelopeError::EncryptedDataKeys { limit };
    if !(1..=limit).contains(&keys.len()) {
        return Err(refused());
    }
    let number = |number: usize| u16::try_from(number).map(u16::to_be_bytes).map_err(|_| refused());
    bytes.extend_from_slice(&number(keys.len())?);
    for EncryptedDataKey { provider, provider_info, ciphertext } in keys {
        for field in [provider.as_bytes(), provider_info, ciphertext] {
            bytes.extend_from_slice(&number(field.len())?);
            bytes.extend_from_slice(field);
        }
    }
    Ok(())
}

/// A header that is being read: its bytes are kept, because tag and signature are over them.
struct Reading<'s, 'r> {
    source: &'s mut Source<'r>,
    bytes: Vec<u8>,
}

impl Reading<'_, '_> {
    /// Version, type and suite, which belong together.
    fn suite(&mut self) -> Result<Suite, EnvelopeError> {
        // A file that is too short to be a message is no message cut off.
        let [version, next] = match self.array("the version") {
            Err(EnvelopeError::Truncated { .. }) => {
                return Err(EnvelopeError::NotAMessage { hint: ": it is shorter than any" });
            }
            other => other?,
        };
        let id = match (version, next) {
            (1, TYPE_V1) => u16::from_be_bytes(self.array("the algorithm suite")?),
            (2, high) => {
                let [low] = self.array("the algorithm suite")?;
                u16::from_be_bytes([high, low])
            }
            // 01 80 and 02 05 in base64.
            (b'A', b'Y' | b'g') => {
                return Err(EnvelopeError::NotAMessage {
                    hint: ": it looks like one in base64, decode it first",
                });
            }
            _ => return Err(EnvelopeError::NotAMessage { hint: "" }),
        };
        match Suite::of_id(id) {
            Some(suite) if suite.version() == version => Ok(suite),
            Some(_) => {
                Err(self.malformed("the algorithm suite belongs to another version of the format"))
            }
            None => Err(EnvelopeError::UnknownSuite { id }),
        }
    }

    fn context(&mut self) -> Result<EncryptionContext, EnvelopeError> {
        let length = u16::from_be_bytes(self.array("the encryption context")?);
        let offset = self.source.offset();
        let section = self.next(length.into(), "the encryption context")?;
        EncryptionContext::parse(Bytes::new(section, offset))
    }

    fn keys(&mut self) -> Result<Vec<EncryptedDataKey>, EnvelopeError> {
        let part = "the encrypted data keys";
        let count = usize::from(u16::from_be_bytes(self.array(part)?));
        if count == 0 {
            return Err(self.malformed("there is no encrypted data key"));
        }
        if count > ENCRYPTED_DATA_KEYS_MAX {
            return Err(self.malformed("there are more than 256 encrypted data keys"));
        }
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            let provider = String::from_utf8(self.field(part)?)
                .map_err(|_| self.malformed("the provider of a data key is not UTF-8"))?;
            let (provider_info, ciphertext) = (self.field(part)?, self.field(part)?);
            keys.push(EncryptedDataKey { provider, provider_info, ciphertext });
        }
        Ok(keys)
    }

    /// Bytes with their length of two bytes in front.
    fn field(&mut self, part: &'static str) -> Result<Vec<u8>, EnvelopeError> {
        let length = u16::from_be_bytes(self.array(part)?);
        Ok(self.next(length.into(), part)?.to_vec())
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], EnvelopeError> {
        let offset = self.source.offset();
        let bytes = self.next(N, part)?;
        bytes.try_into().map_err(|_| EnvelopeError::Truncated { part, offset })
    }

    fn next(&mut self, length: usize, part: &'static str) -> Result<&[u8], EnvelopeError> {
        let start = self.bytes.len();
        self.source.append(&mut self.bytes, length, part)?;
        Ok(self.bytes.get(start..).unwrap_or_default())
    }

    fn malformed(&self, what: &'static str) -> EnvelopeError {
        EnvelopeError::Malformed { what, offset: self.source.offset() }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_layout_is_the_documented_one() {
        let document = include_str!("../../../schemas/encrypted-message.md");
        let module = include_str!("header.rs").replace("//! ", "");
        let drawn = module.split("```").nth(1).unwrap_or_default();
        assert!(drawn.starts_with("text\nversion 2 = 0x02") && document.contains(drawn), "{drawn}");
    }
}
