//! Writing a message: one pass over the data, in the memory of one frame.

use std::error::Error;
use std::io::{Read, Write};

use zeroize::Zeroizing;

use crate::body::{BodyCipher, FINAL_FRAME, IV_LEN, Kind, TAG_LEN, nonce};
use crate::header::{self, MESSAGE_ID_LEN};
use crate::keys::MessageKeys;
use crate::signature::Signer;
use crate::{DataKey, EncryptedDataKey, EncryptionContext, EnvelopeError, FRAME_BYTES_MAX, Suite};

/// Bytes in a frame where nothing else is asked for, as in AWS's SDKs.
pub const FRAME_LENGTH_DEFAULT: u32 = 4096;

/// Bytes before the ciphertext of a frame, and of the final one.
const FRAME_HEAD: usize = 4 + IV_LEN;
const FINAL_HEAD: usize = 4 + FRAME_HEAD + 4;

/// How a message is to be written.
#[derive(Debug, Clone)]
pub struct EncryptOptions {
    /// One with key commitment.
    pub suite: Suite,
    /// What is bound to the message. A signed one has the public key besides.
    pub context: EncryptionContext,
    /// Bytes in each frame but the last.
    pub frame_length: u32,
    /// 32 random bytes. A message key comes from these and the data key, so they must not be used twice with one data key.
    pub message_id: [u8; MESSAGE_ID_LEN],
}

impl EncryptOptions {
    /// AWS's defaults: committed and signed, frames of 4096 bytes.
    pub fn new(context: EncryptionContext, message_id: [u8; MESSAGE_ID_LEN]) -> Self {
        let (suite, frame_length) = (Suite::COMMITTED_AND_SIGNED, FRAME_LENGTH_DEFAULT);
        Self { suite, context, frame_length, message_id }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// Bytes of the data.
    pub plaintext_bytes: u64,
    /// Bytes of the message.
    pub message_bytes: u64,
    /// How many frames it has, at least 1.
    pub frames: u32,
    /// The context in the header.
    pub context: EncryptionContext,
    /// Who can open it.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
}

/// Reads the data to its end and writes it as one message.
///
/// `data_key` is asked once, with the context that the header will have: it gives a new data key, in the clear and encrypted
/// under that context by everybody who shall be able to open the message.
///
/// # Errors
/// Those of [`EnvelopeError`] that blame the caller, the key holder or the environment. What was written by then is no message.
pub fn encrypt<E: Into<Box<dyn Error + Send + Sync>>>(
    plaintext: &mut dyn Read,
    message: &mut dyn Write,
    options: EncryptOptions,
    data_key: impl FnOnce(&EncryptionContext) -> Result<(DataKey, Vec<EncryptedDataKey>), E>,
) -> Result<Sealed, EnvelopeError> {
    let EncryptOptions { suite, mut context, frame_length, message_id } = options;
    if !suite.is_committed() {
        return Err(EnvelopeError::NotWritten { suite });
    }
    if !(1..=FRAME_BYTES_MAX).contains(&frame_length) {
        return Err(EnvelopeError::FrameLength { frame_length, limit: FRAME_BYTES_MAX });
    }
    let signer = suite.is_signed().then(Signer::new).transpose()?;
    if let Some(signer) = &signer {
        context = context.with_public_key(signer.public_key()?);
        context.section()?; // the key may be what is too much
    }
    let (data_key, encrypted_data_keys) =
        data_key(&context).map_err(|error| EnvelopeError::DataKey(error.into()))?;
    let keys = MessageKeys::derive(suite, &data_key, &message_id)?;
    drop(data_key);

    let mut output = Output { writer: message, signer, bytes: 0 };
    output.write(&header::write(
        suite,
        &message_id,
        &context,
        &encrypted_data_keys,
        frame_length,
        &keys,
    )?)?;
    let cipher = BodyCipher { key: &keys.message_key, message_id: &message_id };
    let (plaintext_bytes, frames) = write_frames(plaintext, &mut output, &cipher, frame_length)?;
    let message_bytes = output.finish()?;
    Ok(Sealed { plaintext_bytes, message_bytes, frames, context, encrypted_data_keys })
}

/// The body. The final frame is the first one that the data does not fill: it may be empty, and never is full.
fn write_frames(
    plaintext: &mut dyn Read,
    output: &mut Output<'_>,
    cipher: &BodyCipher<'_>,
    frame_length: u32,
) -> Result<(u64, u32), EnvelopeError> {
    let capacity = usize::try_from(frame_length)
        .map_err(|_| EnvelopeError::FrameLength { frame_length, limit: FRAME_BYTES_MAX })?;
    // Room for the longer head; a frame's own head ends where the text begins. Holds plaintext, so it is wiped.
    let mut buffer = Zeroizing::new(vec![0; FINAL_HEAD + capacity + TAG_LEN]);
    let mut read = 0;
    for sequence in 1..FINAL_FRAME {
        let (head, rest) = buffer.split_at_mut(FINAL_HEAD);
        let (text, tag) = rest.split_at_mut(capacity);
        let length = fill(plaintext, text, read)?;
        read += length as u64;
        let is_final = length < capacity;
        let kind = if is_final { Kind::FinalFrame } else { Kind::Frame };
        let (text, _) = text.split_at_mut(length);
        tag.copy_from_slice(&cipher.seal(kind, sequence, text)?);
        if is_final {
            head.copy_from_slice(&final_head(sequence, u32::try_from(length).unwrap_or(u32::MAX)));
            output.write(head)?;
            output.write(text)?;
            output.write(tag)?;
            return Ok((read, sequence));
        }
        let (unused, head) = head.split_at_mut(FINAL_HEAD - FRAME_HEAD);
        head.copy_from_slice(&frame_head(sequence));
        let unused = unused.len();
        output.write(buffer.get(unused..).unwrap_or_default())?;
    }
    Err(EnvelopeError::TooManyFrames { frame_length })
}

fn frame_head(sequence: u32) -> [u8; FRAME_HEAD] {
    let mut head = [0; FRAME_HEAD];
    let (number, iv) = head.split_at_mut(4);
    number.copy_from_slice(&sequence.to_be_bytes());
    iv.copy_from_slice(&nonce(sequence));
    head
}

fn final_head(sequence: u32, length: u32) -> [u8; FINAL_HEAD] {
    let mut head = [0; FINAL_HEAD];
    let (mark, rest) = head.split_at_mut(4);
    let (frame, size) = rest.split_at_mut(FRAME_HEAD);
    mark.copy_from_slice(&FINAL_FRAME.to_be_bytes());
    frame.copy_from_slice(&frame_head(sequence));
    size.copy_from_slice(&length.to_be_bytes());
    head
}

/// Reads until the buffer is full or the data ends; how much that was.
fn fill(reader: &mut dyn Read, buffer: &mut [u8], offset: u64) -> Result<usize, EnvelopeError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(EnvelopeError::Read { offset: offset + filled as u64, source });
            }
        }
    }
    Ok(filled)
}

/// Where the message goes: everything is signed on its way.
struct Output<'a> {
    writer: &'a mut dyn Write,
    signer: Option<Signer>,
    bytes: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        if let Some(signer) = &mut self.signer {
            signer.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(|source| EnvelopeError::Write { source })
    }

    /// Writes the signature, if there is one; the message's length. Without this, a signed message is not whole.
    fn finish(mut self) -> Result<u64, EnvelopeError> {
        if let Some(signer) = self.signer.take() {
            let signature = signer.sign()?;
            let length = u16::try_from(signature.len())
                .map_err(|_| EnvelopeError::Cryptography { action: "sign" })?;
            self.write(&length.to_be_bytes())?;
            self.write(&signature)?;
        }
        self.writer.flush().map_err(|source| EnvelopeError::Write { source })?;
        Ok(self.bytes)
    }
}
