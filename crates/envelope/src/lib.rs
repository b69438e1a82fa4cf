//! Messages of the AWS Encryption SDK: data of any size, encrypted under a data key that somebody else keeps.
//!
//! [`encrypt()`] reads data and writes a message, [`open()`] reads a message and writes the data; both in one pass, in the memory
//! of one frame. Data keys come from the caller, who asks a key engine, a service or a test for them. AWS's own SDKs read what
//! is written here, and the other way round. The format is drawn in `schemas/encrypted-message.md`.
//!
//! | module | what it is |
//! |---|---|
//! | `suite` | which algorithms a message uses |
//! | `context` | the encryption context, and its bytes |
//! | `keys` | data keys, and what is derived from them |
//! | `header`, `body`, `signature` | the three sections of a message |
//! | `encrypt`, `open` | from the first byte to the last |
//! | `source` | reading without trusting a length |
//!
//! # What it is not
//!
//! No key store, no network, no files, no clock: it knows nothing of KMS but the name of a provider. Messages with the suites
//! of before 2020 are read on demand and never written; data keys are not cached, and each message has its own.
//!
//! # Why not AWS's crate
//!
//! `aws-esdk` 1.2.4 was looked at first. It takes and gives a message as one `Blob`, so a file has to fit into memory twice; its
//! data keys come from keyrings that hold an `aws_sdk_kms` client, so an engine in the same process would need a network stack,
//! or a keyring that hides that it has none; and it brings 171 crates, 39 of them new here (SDKs of KMS, `DynamoDB`, SSO and STS, a
//! run-time library of Dafny, a second build of AWS-LC) and 210,000 lines of translated code. The format is 1,200 lines.
//!
//! ```
//! use keytrail_envelope::{DataKey, Demands, EncryptOptions, EncryptedDataKey, EncryptionContext, encrypt, open};
//! use zeroize::Zeroizing;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Whoever keeps keys would make this one, and encrypt it under the context.
//! let data_key = || DataKey::new(Zeroizing::new(vec![7; 32]));
//! let encrypted = EncryptedDataKey {
//!     provider: "example".to_owned(),
//!     provider_info: b"key 1".to_vec(),
//!     ciphertext: b"only key 1 can read this".to_vec(),
//! };
//!
//! let context = EncryptionContext::new([("purpose".to_owned(), "demo".to_owned())])?;
//! let options = EncryptOptions::new(context, [1; 32]); // 32 random bytes
//! let mut message = Vec::new();
//! encrypt(&mut &b"attack at dawn"[..], &mut message, options, |_context| {
//!     Ok::<_, String>((data_key(), vec![encrypted]))
//! })?;
//!
//! let demands = Demands {
//!     context: vec![("purpose".to_owned(), "demo".to_owned())],
//!     ..Demands::default()
//! };
//! let mut plaintext = Vec::new();
//! open(&mut message.as_slice(), &demands, |_encrypted, _context| Ok::<_, String>(data_key()))?
//!     .write_to(&mut plaintext)?;
//! assert_eq!(plaintext, b"attack at dawn");
//! # Ok(())
//! # }
//! ```

mod body;
mod context;
mod encrypt;
mod error;
mod header;
mod keys;
mod open;
mod signature;
mod source;
mod suite;

pub use context::{CONTEXT_BYTES_MAX, EncryptionContext};
pub use encrypt::{EncryptOptions, FRAME_LENGTH_DEFAULT, Sealed, encrypt};
pub use error::EnvelopeError;
pub use header::ENCRYPTED_DATA_KEYS_MAX;
pub use keys::{DataKey, EncryptedDataKey};
pub use open::{Commitment, Contents, Demands, FRAME_BYTES_MAX, Opened, Release, open};
pub use suite::Suite;
