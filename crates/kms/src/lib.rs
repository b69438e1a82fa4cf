//! The embedded key engine: states, material, operations, and the only audited path.
//!
//! An [`Engine`] owns a data directory and speaks the AWS KMS API. [`Engine::call`] takes an operation's name and JSON; the
//! typed methods ([`Engine::encrypt`], …) do the same with Rust types. Every call, whatever comes of it, is one CloudTrail
//! record in the engine's ledger, and its answer leaves only when that record is durable and signed. A change of key state
//! rides, sealed, in the same ledger frame: the state is a view that is rebuilt from the ledger. [`AsyncEngine`] is the same
//! for callers on a tokio runtime.
//!
//! Keys of all specs but SM2 are made and used (`algorithms`).
//!
//! # What it is not
//!
//! Not here: HTTP, signature verification, federation, and managed policies.
//!
//! ```
//! use keytrail_kms::{Config, CreateKeyRequest, Engine, Environment, OsRandom, RootKey};
//! use keytrail_ledger::{Origin, Reader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = tempfile::tempdir()?;
//! let config = Config {
//!     account: "111122223333".parse()?,
//!     regions: vec!["us-east-1".parse()?],
//!     origin: Origin::new("example.org/keytrail")?,
//! };
//! let root_key = RootKey::generate(&OsRandom);
//! let (engine, _access_key) = Engine::create(data.path(), config, root_key, Environment::system())?;
//! let root = engine.root_caller()?;
//!
//! // A key, and a ciphertext under it that is bound to its purpose.
//! let key = engine.create_key(&root, &CreateKeyRequest::default())?;
//! let context = [("purpose", "demo")];
//! let encrypted = engine.encrypt(&root, &key.key_id, b"attack at dawn", &context)?;
//! let decrypted = engine.decrypt(&root, &encrypted.ciphertext_blob, &context)?;
//! assert_eq!(decrypted.plaintext.as_slice(), b"attack at dawn");
//!
//! // All of it is on record by now: the last entry of the ledger says who decrypted, with which key, and why.
//! let last = engine.ledger().size() - 1;
//! let frame = Reader::open(&data.path().join("ledger"))?.frames(last).next().ok_or("empty")??;
//! let record = String::from_utf8(frame.payload)?;
//! assert!(record.contains(r#""eventName":"Decrypt""#) && record.contains(&key.arn));
//! assert!(record.contains(r#""encryptionContext":{"purpose":"demo"}"#));
//! assert!(!record.contains("attack at dawn"));
//! # Ok(())
//! # }
//! ```

mod algorithms;
mod async_engine;
mod aws_managed;
mod blob;
mod caller;
mod context;
mod engine;
mod environment;
mod error;
mod facts;
mod files;
mod grant_token;
mod iam;
mod identity_facts;
mod import;
mod input;
mod material;
mod material_keys;
mod metadata;
mod names;
mod ops;
mod organizations;
mod parameters;
mod passphrase;
mod reply;
mod root_key;
mod sealing;
mod session;
mod signing_key;
mod state;
mod store_key;
mod sts;
mod tags;
mod typed;
mod uses;

pub use async_engine::AsyncEngine;
pub use blob::PLAINTEXT_BYTES_MAX;
pub use caller::Caller;
pub use context::ENCRYPTION_CONTEXT_BYTES_MAX;
pub use engine::{Config, Consideration, Engine, PolicyAnswer, PolicyQuestion, Source};
pub use engine::{MaterialUses, Quotas};
pub use environment::{Clock, Environment, OsRandom, SystemClock};
pub use error::{EngineError, ErrorCode, KmsError};
pub use keytrail_ledger::Random;
pub use passphrase::{PASSPHRASE_BYTES_MIN, Stretching};
pub use reply::Answer;
pub use root_key::{RootKey, RootKeyFile};
pub use signing_key::catalog_signing_key;
pub use typed::{
    AssumeRoleRequest, CreateKeyRequest, CreateRoleRequest, DataKey, DataKeyPair, Decrypted,
    Encrypted, KeyMetadata, Message, PrincipalTag, PublicKey, RoleDescription, ServiceAccessKey,
    SessionCredentials, UserDescription,
};

/// The README's example, compiled and run with this crate's own.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
