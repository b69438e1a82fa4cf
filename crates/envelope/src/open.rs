//! Reading a message: first the header, which says what the rest will be, then the body in one pass.

use std::error::Error;
use std::io::{Read, Write};

use zeroize::Zeroizing;

use crate::body::{BodyCipher, FINAL_FRAME, IV_LEN, Kind, TAG_LEN};
use crate::context::PUBLIC_KEY;
use crate::header::{Body, Header};
use crate::keys::MessageKeys;
use crate::signature::Verifier;
use crate::source::{Bytes, Source};
use crate::{DataKey, EncryptedDataKey, EncryptionContext, EnvelopeError, Suite};

/// Bytes of a frame, or of a body without frames: each is in memory whole, because nothing of it may be used before its tag
/// was checked. AWS's SDKs write frames of 4096 bytes, and none without frames for years.
pub const FRAME_BYTES_MAX: u32 = 256 << 20;

/// What a reader demands of a message before it asks for a data key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// Whether messages without key commitment are refused.
    pub commitment: Commitment,
    /// Pairs that the encryption context must have; it may have more.
    pub context: Vec<(String, String)>,
}

/// Whether messages without key commitment are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Commitment {
    /// They are, as with AWS's `REQUIRE_ENCRYPT_REQUIRE_DECRYPT`.
    #[default]
    Required,
    /// They are read, as with AWS's `REQUIRE_ENCRYPT_ALLOW_DECRYPT`.
    Optional,
}

/// When decrypted data may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// As it comes: each frame is proven for itself.
    PerFrame,
    /// Only after the signature at the end was verified.
    AtTheEnd,
}

/// A message whose header is proven: its context and its suite are those that it was written with.
pub struct Opened<'a> {
    source: Source<'a>,
    header: Header,
    keys: MessageKeys,
    verifier: Option<Verifier>,
}

/// What a whole message was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// Bytes of the data.
    pub plaintext_bytes: u64,
    /// Bytes of the message.
    pub message_bytes: u64,
    /// How many frames it has; a body without frames is one.
    pub frames: u32,
}

/// Reads a message's header and proves it.
///
/// `data_key` is asked once, if the message meets the demands: it decrypts one of the encrypted data keys under the context.
/// It is asked before anything is proven, because only the data key can prove it.
///
/// # Errors
/// Those of [`EnvelopeError`] that blame the message, the key holder or the environment.
pub fn open<'a, E: Into<Box<dyn Error + Send + Sync>>>(
    message: &'a mut dyn Read,
    demands: &Demands,
    data_key: impl FnOnce(&[EncryptedDataKey], &EncryptionContext) -> Result<DataKey, E>,
) -> Result<Opened<'a>, EnvelopeError> {
    let mut source = Source::new(message);
    let header = Header::read(&mut source)?;
    check(&header, demands)?;
    let verifier = verifier(&header)?;
    let data_key = data_key(&header.keys, &header.context)
        .map_err(|error| EnvelopeError::DataKey(error.into()))?;
    let keys = MessageKeys::derive(header.suite, &data_key, &header.message_id)?;
    if !keys.is_committed_to(header.commitment.as_ref()) {
        return Err(EnvelopeError::Commitment);
    }
    if !header.is_authentic(&keys) {
        return Err(EnvelopeError::HeaderNotAuthentic);
    }
    Ok(Opened { source, header, keys, verifier })
}

fn check(header: &Header, demands: &Demands) -> Result<(), EnvelopeError> {
    let suite = header.suite;
    if demands.commitment == Commitment::Required && !suite.is_committed() {
        return Err(EnvelopeError::NotCommitted { suite });
    }
    for (key, value) in &demands.context {
        if header.context.value(key) != Some(value) {
            let (key, value) = (key.clone(), value.clone());
            return Err(EnvelopeError::ContextMissing { key, value });
        }
    }
    if let Body::Frames(length) = header.body {
        check_length("a frame", length.into(), header.bytes.len() as u64)?;
    }
    Ok(())
}

/// A message has a public key exactly if it is signed: a signature cannot be taken off by naming another suite.
fn verifier(header: &Header) -> Result<Option<Verifier>, EnvelopeError> {
    let offset = header.bytes.len() as u64;
    let malformed = |what| EnvelopeError::Malformed { what, offset };
    match (header.suite.curve(), header.context.value(PUBLIC_KEY)) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(malformed("it has a public key, and its suite no signature")),
        (Some(_), None) => Err(malformed("its suite has a signature, and it has no public key")),
        (Some(curve), Some(key)) => {
            let verifier = Verifier::new(curve, key);
            let mut verifier = verifier.ok_or(malformed("its public key is not base64"))?;
            verifier.update(&header.bytes);
            Ok(Some(verifier))
        }
    }
}

fn check_length(what: &'static str, length: u64, offset: u64) -> Result<(), EnvelopeError> {
    let limit = FRAME_BYTES_MAX.into();
    if length > limit {
        return Err(EnvelopeError::TooLarge { what, length, limit, offset });
    }
    Ok(())
}

impl Opened<'_> {
    /// The message's suite.
    pub fn suite(&self) -> Suite {
        self.header.suite
    }

    /// The message's encryption context, the public key of a signature with it.
    pub fn context(&self) -> &EncryptionContext {
        &self.header.context
    }

    /// When that which [`Opened::write_to`] writes may be used.
    pub fn release(&self) -> Release {
        if self.verifier.is_some() { Release::AtTheEnd } else { Release::PerFrame }
    }

    /// Decrypts the body. Every byte that is written was authenticated with its frame; but with [`Release::AtTheEnd`] only an
    /// `Ok` says that the message is its writer's, and what was written before an error must not be used.
    ///
    /// # Errors
    /// Those of [`EnvelopeError`] that blame the message or the environment.
    pub fn write_to(mut self, plaintext: &mut dyn Write) -> Result<Contents, EnvelopeError> {
        let mut body = BodyReader {
            cipher: BodyCipher { key: &self.keys.message_key, message_id: &self.header.message_id },
            source: &mut self.source,
            verifier: self.verifier.as_mut(),
            buffer: Zeroizing::new(Vec::new()),
        };
        let (plaintext_bytes, frames) = match self.header.body {
            Body::SingleBlock => (body.single_block(plaintext)?, 1),
            Body::Frames(frame_length) => body.frames(frame_length, plaintext)?,
        };
        if let Some(verifier) = self.verifier.take() {
            check_signature(&mut self.source, verifier)?;
        }
        let message_bytes = self.source.offset();
        if !self.source.is_at_end()? {
            return Err(EnvelopeError::Trailing { offset: message_bytes });
        }
        plaintext.flush().map_err(|source| EnvelopeError::Write { source })?;
        Ok(Contents { plaintext_bytes, message_bytes, frames })
    }
}

/// The footer: `length u16 ‖ signature`, over everything before it.
fn check_signature(source: &mut Source<'_>, verifier: Verifier) -> Result<(), EnvelopeError> {
    let offset = source.offset();
    let mut footer = Vec::new();
    source.append(&mut footer, 2, "the signature")?;
    let length = Bytes::new(&footer, offset).u16("the signature")?;
    footer.clear();
    source.append(&mut footer, length.into(), "the signature")?;
    if verifier.verify(&footer) { Ok(()) } else { Err(EnvelopeError::Signature { offset }) }
}

struct BodyReader<'b, 's> {
    source: &'b mut Source<'s>,
    cipher: BodyCipher<'b>,
    verifier: Option<&'b mut Verifier>,
    /// One frame. It only grows while it holds ciphertext, so no plaintext is left behind where it was.
    buffer: Zeroizing<Vec<u8>>,
}

impl BodyReader<'_, '_> {
    /// All frames; bytes of data, and how many frames.
    fn frames(
        &mut self,
        frame_length: u32,
        plaintext: &mut dyn Write,
    ) -> Result<(u64, u32), EnvelopeError> {
        let mut written = 0;
        for expected in 1..=u32::MAX {
            let offset = self.source.offset();
            let mut found = self.number("a frame")?;
            let is_final = found == FINAL_FRAME;
            if is_final {
                found = self.number("the final frame")?;
            }
            if found != expected {
                return Err(EnvelopeError::FrameOrder { expected, found, offset });
            }
            let iv = self.array("a frame's nonce")?;
            let (kind, length) = if is_final {
                (Kind::FinalFrame, self.final_length(frame_length)?)
            } else {
                (Kind::Frame, frame_length)
            };
            self.part(kind, expected, iv, length, offset, plaintext)?;
            written += u64::from(length);
            if is_final {
                return Ok((written, expected));
            }
        }
        Err(EnvelopeError::TooManyFrames { frame_length })
    }

    fn final_length(&mut self, frame_length: u32) -> Result<u32, EnvelopeError> {
        let offset = self.source.offset();
        let length = self.number("the final frame")?;
        if length > frame_length {
            let what = "the final frame is longer than a frame";
            return Err(EnvelopeError::Malformed { what, offset });
        }
        Ok(length)
    }

    fn single_block(&mut self, plaintext: &mut dyn Write) -> Result<u64, EnvelopeError> {
        let begin = self.source.offset();
        let iv = self.array("the nonce of the body")?;
        let offset = self.source.offset();
        let length = u64::from_be_bytes(self.array("the length of the body")?);
        check_length("a body without frames", length, offset)?;
        let limited = u32::try_from(length).unwrap_or(FRAME_BYTES_MAX);
        self.part(Kind::SingleBlock, 1, iv, limited, begin, plaintext)?;
        Ok(length)
    }

    /// Ciphertext and tag of one part. `length` is within the limit.
    fn part(
        &mut self,
        kind: Kind,
        sequence: u32,
        iv: [u8; IV_LEN],
        length: u32,
        offset: u64,
        plaintext: &mut dyn Write,
    ) -> Result<(), EnvelopeError> {
        let forged = || EnvelopeError::FrameNotAuthentic { frame: sequence, offset };
        let length = usize::try_from(length).map_err(|_| forged())?;
        self.source.replace(&mut self.buffer, length + TAG_LEN, "a frame")?;
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&self.buffer);
        }
        let (text, tag) = self.buffer.split_at_mut(length);
        self.cipher.open(kind, sequence, iv, text, tag).map_err(|_| forged())?;
        plaintext.write_all(text).map_err(|source| EnvelopeError::Write { source })
    }

    fn number(&mut self, part: &'static str) -> Result<u32, EnvelopeError> {
        self.array(part).map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], EnvelopeError> {
        let mut array = [0; N];
        self.source.exact(&mut array, part)?;
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&array);
        }
        Ok(array)
    }
}
