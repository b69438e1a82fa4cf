//! The ways in which reading or writing a message fails, grouped by what one can do about them.

use std::error::Error;
use std::io;

use crate::Suite;

/// Why a message could not be written or read. Where it says `offset`, that is a byte of the message, counted from 0.
///
/// After an error of [`open`](crate::open()) nothing was handed out. After one of
/// [`Opened::write_to`](crate::Opened::write_to), what was written so far has to be thrown away if the message is signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The caller's: the encryption context has a key that AWS keeps for itself.
    #[error("keys of an encryption context must not begin with \"aws-crypto-\", as {key:?} does")]
    ReservedContextKey {
        /// The key.
        key: String,
    },
    /// The caller's: the encryption context has a key twice.
    #[error("the encryption context has the key {key:?} twice")]
    RepeatedContextKey {
        /// The key.
        key: String,
    },
    /// The caller's: the encryption context is above the format's limit.
    #[error("the encryption context is longer than 65535 bytes")]
    ContextTooLong,
    /// The caller's: a frame length of 0, or above the limit of what is read again.
    #[error("a frame holds 1 to {limit} bytes, not {frame_length}")]
    FrameLength {
        /// The length asked for, in bytes.
        frame_length: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// The caller's: this suite is read, but not written.
    #[error("suite {suite} has no key commitment, and is only read")]
    NotWritten {
        /// The suite.
        suite: Suite,
    },
    /// The caller's: more data than the frame length can count.
    #[error("the data has more than 4294967294 frames of {frame_length} bytes: take longer frames")]
    TooManyFrames {
        /// Bytes in a frame.
        frame_length: u32,
    },
    /// The key holder's: a data key of the wrong length for the suite.
    #[error("suite {suite} takes a data key of {expected} bytes, and was given one of {found}")]
    DataKeyLength {
        /// The suite.
        suite: Suite,
        /// What the suite takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The key holder's: encrypted data keys that no header can hold.
    #[error("a header holds 1 to {limit} encrypted data keys, of at most 65535 bytes a field")]
    EncryptedDataKeys {
        /// The most keys.
        limit: usize,
    },
    /// The key holder's: no data key was given.
    #[error("no data key")]
    DataKey(#[source] Box<dyn Error + Send + Sync>),

    /// The message's: it begins like no message.
    #[error("this is no message of the AWS Encryption SDK{hint}")]
    NotAMessage {
        /// What it looks like instead; empty if like nothing known.
        hint: &'static str,
    },
    /// The message's: it ends too early.
    #[error("the message is cut off: it ends within {part}, which begins at byte {offset}")]
    Truncated {
        /// The part that is not whole.
        part: &'static str,
        /// Where that part begins.
        offset: u64,
    },
    /// The message's: a field has a value that the format does not allow.
    #[error("the message is malformed at byte {offset}: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where, or close behind it.
        offset: u64,
    },
    /// The message's: a suite id that is not known.
    #[error("the message has the algorithm suite {id:#06x}, which is not known")]
    UnknownSuite {
        /// The id.
        id: u16,
    },
    /// The message's: it has no key commitment, and that was demanded.
    #[error(
        "the message has suite {suite}, without key commitment: it could open to another text under another key"
    )]
    NotCommitted {
        /// The suite.
        suite: Suite,
    },
    /// The message's: a pair of the encryption context that was demanded is not there.
    #[error("the message's encryption context does not have {key}={value}")]
    ContextMissing {
        /// The key demanded.
        key: String,
        /// The value demanded.
        value: String,
    },
    /// The message's: a length above a limit of ours.
    #[error("{what} of {length} bytes at byte {offset} is above the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How long it says it is, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
        /// Where the length stands.
        offset: u64,
    },
    /// The message's: it was not written with this data key.
    #[error("the message is not committed to this data key")]
    Commitment,
    /// The message's: its header was changed, or the data key is another.
    #[error("the header was changed, or the data key is not the message's")]
    HeaderNotAuthentic,
    /// The message's: a frame was changed.
    #[error("frame {frame} at byte {offset} was changed")]
    FrameNotAuthentic {
        /// Its number, from 1. A body without frames is one.
        frame: u32,
        /// Where it begins.
        offset: u64,
    },
    /// The message's: a frame stands in the place of another.
    #[error("frame {found} at byte {offset} stands where frame {expected} belongs")]
    FrameOrder {
        /// The number that belongs here.
        expected: u32,
        /// The number found.
        found: u32,
        /// Where the frame begins.
        offset: u64,
    },
    /// The message's: it is whole, and its signature is not of its writer.
    #[error("the signature at byte {offset} is not the message's: the data must not be used")]
    Signature {
        /// Where the signature begins.
        offset: u64,
    },
    /// The message's: something follows its end.
    #[error("the message ends at byte {offset}, and something follows it")]
    Trailing {
        /// Where the message ends.
        offset: u64,
    },

    /// The environment's: the input could not be read.
    #[error("cannot read the input at byte {offset}")]
    Read {
        /// How far it was read.
        offset: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The environment's: the output could not be written.
    #[error("cannot write the output")]
    Write {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Ours, or the machine's: the cryptographic library refused to work.
    #[error("the cryptographic library failed to {action}")]
    Cryptography {
        /// What was being done.
        action: &'static str,
    },
}
