//! Operations with Rust types instead of JSON, for callers in this process.
//!
//! Each method builds the API's JSON and goes through [`Engine::call`]: there is one path to an operation, and it is the
//! audited one. Texts of errors and records are therefore the same, whichever way a call comes in.

mod cryptography;
mod principals;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_auth::{AccessKey, AccessKeyId, SecretAccessKey};
use keytrail_event::{AccountId, Json, Timestamp};
use serde::{Deserialize, Deserializer, de::Error as _};
use zeroize::Zeroizing;

use crate::reply::Reply;
use crate::{Answer, Caller, Engine, KmsError};

pub use cryptography::{DataKeyPair, Message, PublicKey};
pub use principals::{
    AssumeRoleRequest, CreateRoleRequest, PrincipalTag, RoleDescription, ServiceAccessKey,
    SessionCredentials,
};

/// What `CreateKey` takes; `..CreateKeyRequest::default()` is a key under the default policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateKeyRequest<'a> {
    /// `SYMMETRIC_DEFAULT` if `None`.
    pub key_spec: Option<&'a str>,
    /// `ENCRYPT_DECRYPT` if `None`, which only a symmetric key may leave to the default.
    pub key_usage: Option<&'a str>,
    /// At most 8192 characters.
    pub description: &'a str,
    /// The key policy's JSON; the default policy if `None`.
    pub policy: Option<&'a str>,
    /// Allows a policy that its writer could not change again.
    pub bypass_policy_lockout_safety_check: bool,
    /// Pairs of tag key and tag value.
    pub tags: &'a [(&'a str, &'a str)],
}

/// `KeyMetadata` of the API, as far as it differs between keys here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct KeyMetadata {
    /// The key's id.
    pub key_id: String,
    /// The key's ARN.
    pub arn: String,
    /// When it was created, to the millisecond.
    #[serde(deserialize_with = "epoch_seconds")]
    pub creation_date: Timestamp,
    /// Whether `key_state` is `Enabled`.
    pub enabled: bool,
    /// Its description.
    pub description: String,
    /// `Enabled`, `Disabled` or `PendingDeletion`.
    pub key_state: String,
    /// When it is deleted, if it is pending deletion.
    #[serde(default, deserialize_with = "maybe_epoch_seconds")]
    pub deletion_date: Option<Timestamp>,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048`, …
    pub key_spec: String,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY`, `GENERATE_VERIFY_MAC` or `KEY_AGREEMENT`.
    pub key_usage: String,
    /// The material that encrypts now: 64 hexadecimal digits; `None` of keys that are not symmetric.
    pub current_key_material_id: Option<String>,
}

/// What Encrypt answers. No secret, but nothing to be printed by accident either: it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Encrypted {
    /// The ciphertext; it names its key.
    #[serde(deserialize_with = "base64_bytes")]
    pub ciphertext_blob: Vec<u8>,
    /// ARN of the key.
    pub key_id: String,
}

/// What Decrypt answers. Holds a secret: neither shown nor copied, wiped when dropped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Decrypted {
    /// The plaintext.
    #[serde(deserialize_with = "base64_secret")]
    pub plaintext: Zeroizing<Vec<u8>>,
    /// ARN of the key.
    pub key_id: String,
    /// The material that it was encrypted with.
    pub key_material_id: String,
}

/// What `GenerateDataKey` answers. Holds a secret: neither shown nor copied, wiped when dropped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DataKey {
    /// The data key, for use now.
    #[serde(deserialize_with = "base64_secret")]
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The data key encrypted, to be kept.
    #[serde(deserialize_with = "base64_bytes")]
    pub ciphertext_blob: Vec<u8>,
    /// ARN of the key that encrypts it.
    pub key_id: String,
}

/// A user, as `ListUsers` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct UserDescription {
    /// The user's name.
    pub user_name: String,
    /// The unique id, `AIDA…`.
    pub user_id: String,
    /// The user's ARN.
    pub arn: String,
    /// When the user was created, to the millisecond.
    #[serde(deserialize_with = "epoch_seconds")]
    pub create_date: Timestamp,
    /// The user's access keys.
    pub access_key_ids: Vec<String>,
    /// The names of the user's policies.
    pub policy_names: Vec<String>,
    /// The user's tags.
    pub tags: Vec<PrincipalTag>,
}

impl Engine {
    /// `CreateKey`.
    pub fn create_key(
        &self,
        caller: &Caller,
        request: &CreateKeyRequest<'_>,
    ) -> Result<KeyMetadata, KmsError> {
        let CreateKeyRequest { key_spec, key_usage, description, policy, .. } = *request;
        let tag = |(key, value): &(&str, &str)| {
            Json::object().with("TagKey", *key).with("TagValue", *value)
        };
        let tags =
            (!request.tags.is_empty()).then(|| request.tags.iter().map(tag).collect::<Vec<_>>());
        let input = Json::object()
            .with("Description", description)
            .with("BypassPolicyLockoutSafetyCheck", request.bypass_policy_lockout_safety_check)
            .with_some("KeySpec", key_spec)
            .with_some("KeyUsage", key_usage)
            .with_some("Policy", policy)
            .with_some("Tags", tags);
        self.metadata(caller, "CreateKey", &input)
    }

    /// `DescribeKey`, by key id, ARN or alias.
    pub fn describe_key(&self, caller: &Caller, key: &str) -> Result<KeyMetadata, KmsError> {
        self.metadata(caller, "DescribeKey", &named(key))
    }

    /// Encrypt: at most 4096 bytes. The same pairs must be given to decrypt.
    pub fn encrypt(
        &self,
        caller: &Caller,
        key: &str,
        plaintext: &[u8],
        context: &[(&str, &str)],
    ) -> Result<Encrypted, KmsError> {
        let input = Reply::object(plaintext.len())
            .json("KeyId", key)
            .blob("Plaintext", plaintext)
            .json("EncryptionContext", object(context))
            .finish();
        typed(&self.call(caller, "Encrypt", input.as_bytes())?)
    }

    /// Decrypt: the ciphertext names its key.
    pub fn decrypt(
        &self,
        caller: &Caller,
        ciphertext: &[u8],
        context: &[(&str, &str)],
    ) -> Result<Decrypted, KmsError> {
        let input = Reply::object(ciphertext.len())
            .blob("CiphertextBlob", ciphertext)
            .json("EncryptionContext", object(context))
            .finish();
        typed(&self.call(caller, "Decrypt", input.as_bytes())?)
    }

    /// Decrypt, and only with this key: `IncorrectKeyException` if the ciphertext names another.
    pub fn decrypt_with_key(
        &self,
        caller: &Caller,
        key: &str,
        ciphertext: &[u8],
        context: &[(&str, &str)],
    ) -> Result<Decrypted, KmsError> {
        let input = Reply::object(ciphertext.len())
            .json("KeyId", key)
            .blob("CiphertextBlob", ciphertext)
            .json("EncryptionContext", object(context))
            .finish();
        typed(&self.call(caller, "Decrypt", input.as_bytes())?)
    }

    /// `GenerateDataKey` of 1 to 1024 bytes.
    pub fn generate_data_key(
        &self,
        caller: &Caller,
        key: &str,
        bytes: u32,
        context: &[(&str, &str)],
    ) -> Result<DataKey, KmsError> {
        let input =
            named(key).with("NumberOfBytes", bytes).with("EncryptionContext", object(context));
        typed(&self.call(caller, "GenerateDataKey", input.to_string().as_bytes())?)
    }

    /// `EnableKey`.
    pub fn enable_key(&self, caller: &Caller, key: &str) -> Result<(), KmsError> {
        self.call(caller, "EnableKey", named(key).to_string().as_bytes()).map(drop)
    }

    /// `DisableKey`.
    pub fn disable_key(&self, caller: &Caller, key: &str) -> Result<(), KmsError> {
        self.call(caller, "DisableKey", named(key).to_string().as_bytes()).map(drop)
    }

    /// `ScheduleKeyDeletion` in 7 to 30 days; gives the date back.
    pub fn schedule_key_deletion(
        &self,
        caller: &Caller,
        key: &str,
        days: u32,
    ) -> Result<Timestamp, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Scheduled {
            #[serde(deserialize_with = "epoch_seconds")]
            deletion_date: Timestamp,
        }
        let input = named(key).with("PendingWindowInDays", days).to_string();
        let scheduled: Scheduled =
            typed(&self.call(caller, "ScheduleKeyDeletion", input.as_bytes())?)?;
        Ok(scheduled.deletion_date)
    }

    /// `CancelKeyDeletion`; the key is disabled then.
    pub fn cancel_key_deletion(&self, caller: &Caller, key: &str) -> Result<(), KmsError> {
        self.call(caller, "CancelKeyDeletion", named(key).to_string().as_bytes()).map(drop)
    }

    /// `CreateAlias`; `name` begins with `alias/`.
    pub fn create_alias(&self, caller: &Caller, name: &str, key: &str) -> Result<(), KmsError> {
        let input = Json::object().with("AliasName", name).with("TargetKeyId", key);
        self.call(caller, "CreateAlias", input.to_string().as_bytes()).map(drop)
    }

    /// `GetKeyPolicy`: the policy's text as it was written.
    pub fn key_policy(&self, caller: &Caller, key: &str) -> Result<String, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Policy {
            policy: String,
        }
        let answer = self.call(caller, "GetKeyPolicy", named(key).to_string().as_bytes())?;
        typed(&answer).map(|Policy { policy }| policy)
    }

    /// `PutKeyPolicy`, with the lockout safety check.
    pub fn put_key_policy(&self, caller: &Caller, key: &str, policy: &str) -> Result<(), KmsError> {
        let input = named(key).with("Policy", policy);
        self.call(caller, "PutKeyPolicy", input.to_string().as_bytes()).map(drop)
    }

    fn metadata(
        &self,
        caller: &Caller,
        operation: &str,
        input: &Json,
    ) -> Result<KeyMetadata, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wrapped {
            key_metadata: KeyMetadata,
        }
        let answer = self.call(caller, operation, input.to_string().as_bytes())?;
        typed(&answer).map(|Wrapped { key_metadata }| key_metadata)
    }
}

/// The access key in the answer of `CreateAccessKey`.
pub(crate) fn access_key(answer: &Answer) -> Option<AccessKey> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wrapped<'a> {
        #[serde(borrow)]
        access_key: Inner<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inner<'a> {
        access_key_id: AccessKeyId,
        secret_access_key: &'a str,
    }
    let Wrapped { access_key } = serde_json::from_str(answer).ok()?;
    let mut secret = Zeroizing::new(String::with_capacity(access_key.secret_access_key.len()));
    secret.push_str(access_key.secret_access_key);
    Some(AccessKey { id: access_key.access_key_id, secret: SecretAccessKey::from_sealed(secret) })
}

/// The accounts in the answer of `ListAccounts`.
pub(crate) fn accounts(answer: &Answer) -> Option<Vec<AccountId>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wrapped {
        accounts: Vec<Account>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Account {
        id: AccountId,
    }
    let Wrapped { accounts } = serde_json::from_str(answer).ok()?;
    Some(accounts.into_iter().map(|account| account.id).collect())
}

/// The users in the answer of `ListUsers`.
pub(crate) fn users(answer: &Answer) -> Option<Vec<UserDescription>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wrapped {
        users: Vec<UserDescription>,
    }
    serde_json::from_str(answer).ok().map(|Wrapped { users }| users)
}

/// Our own answers always parse. If one did not, its call would still have been recorded.
fn typed<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, KmsError> {
    serde_json::from_str(answer).map_err(|_| KmsError::internal(answer.request_id()))
}

fn named(key: &str) -> Json {
    Json::object().with("KeyId", key)
}

fn object(pairs: &[(&str, &str)]) -> Json {
    pairs.iter().fold(Json::object(), |object, (key, value)| object.with(*key, *value))
}

fn epoch_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    // Milliseconds up to the year 2554 have 44 bits, and an f64 is exact to 53.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and never below 0"
    )]
    let millis = (seconds * 1000.0).round() as u64;
    Ok(Timestamp::from_unix_nanos(millis.saturating_mul(1_000_000)))
}

fn maybe_epoch_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    epoch_seconds(deserializer).map(Some)
}

fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))
}

fn base64_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Zeroizing<Vec<u8>>, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    STANDARD.decode_vec(text, &mut bytes).map_err(|_| D::Error::custom("not base64"))?;
    Ok(bytes)
}
