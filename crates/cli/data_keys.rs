//! Data keys for encrypted messages, from the engine in this process: `GenerateDataKey`, Encrypt and Decrypt, each on
//! record with the message's encryption context.
//!
//! The engine is closed as soon as the key is there: the data directory is locked for a moment, and not for as long as it takes
//! to read a file.

use anyhow::bail;
use keytrail_envelope::{DataKey, EncryptedDataKey, EncryptionContext, Suite};
use keytrail_kms::{Caller, Engine, ErrorCode};

use crate::data::DataDirectory;
use crate::kms;

/// AWS's name for KMS as the provider of a data key; its info is the ARN of the key.
const PROVIDER: &str = "aws-kms";

/// Whom to ask, and as whom.
pub(crate) struct KeyHolder<'a> {
    pub(crate) data: &'a DataDirectory,
    pub(crate) principal: Option<&'a str>,
    /// As typed: ids, ARNs or aliases.
    pub(crate) keys: &'a [String],
}

impl KeyHolder<'_> {
    /// A new data key, made by the first key and encrypted by every other.
    pub(crate) fn generate(
        &self,
        suite: Suite,
        context: &EncryptionContext,
    ) -> anyhow::Result<(DataKey, Vec<EncryptedDataKey>)> {
        let [first, others @ ..] = self.keys else { bail!("name a key with --key") };
        let (engine, caller) = self.open()?;
        let context: Vec<_> = context.pairs().collect();
        let bytes = u32::try_from(suite.data_key_bytes())?;
        let made = engine.generate_data_key(&caller, first, bytes, &context);
        let made = made.map_err(|error| refused("GenerateDataKey", &error))?;
        let mut encrypted = vec![encrypted_data_key(&made.key_id, made.ciphertext_blob)];
        for key in others {
            let sealed = engine.encrypt(&caller, key, &made.plaintext, &context);
            let sealed = sealed.map_err(|error| refused("Encrypt", &error))?;
            encrypted.push(encrypted_data_key(&sealed.key_id, sealed.ciphertext_blob));
        }
        engine.close()?;
        Ok((DataKey::new(made.plaintext), encrypted))
    }

    /// The data key, from the first key that gives it. Without keys of our own, each that the message names is asked; a
    /// refusal is on record, and the next one is asked.
    pub(crate) fn decrypt(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> anyhow::Result<DataKey> {
        let (engine, caller) = self.open()?;
        let context: Vec<_> = context.pairs().collect();
        let mut refusals = Vec::new();
        for data_key in encrypted {
            let Some(arn) = key_arn(data_key) else { continue };
            for key in asked(self.keys, arn) {
                match engine.decrypt_with_key(&caller, key, &data_key.ciphertext, &context) {
                    Ok(decrypted) => {
                        engine.close()?;
                        return Ok(DataKey::new(decrypted.plaintext));
                    }
                    // An alias may be of another key than this data key's.
                    Err(error) if error.code() == ErrorCode::IncorrectKeyException => {}
                    Err(error) => refusals.push(kms::in_words("Decrypt", &error)),
                }
            }
        }
        engine.close()?;
        if refusals.is_empty() {
            let keys: Vec<String> = encrypted.iter().map(name).collect();
            bail!("the message opens with other keys: {}", keys.join(", "))
        }
        bail!(refusals.join("; "))
    }

    fn open(&self) -> anyhow::Result<(Engine, Caller)> {
        let engine = self.data.open_engine()?;
        let caller = kms::caller(&engine, self.principal)?;
        Ok((engine, caller))
    }
}

fn refused(operation: &str, error: &keytrail_kms::KmsError) -> anyhow::Error {
    anyhow::Error::msg(kms::in_words(operation, error))
}

fn encrypted_data_key(arn: &str, ciphertext: Vec<u8>) -> EncryptedDataKey {
    let (provider, provider_info) = (PROVIDER.to_owned(), arn.as_bytes().to_vec());
    EncryptedDataKey { provider, provider_info, ciphertext }
}

/// The key that a data key is encrypted under, if it is one of KMS.
fn key_arn(data_key: &EncryptedDataKey) -> Option<&str> {
    let arn = std::str::from_utf8(&data_key.provider_info).ok()?;
    (data_key.provider == PROVIDER).then_some(arn)
}

/// A data key's key for people: its ARN, or whatever another provider calls it.
pub(crate) fn name(data_key: &EncryptedDataKey) -> String {
    let info = String::from_utf8_lossy(&data_key.provider_info);
    match key_arn(data_key) {
        Some(arn) => arn.to_owned(),
        None => format!("{} {info:?}", data_key.provider),
    }
}

/// What to ask for a data key under the key `arn`: that key if none was typed; else those typed that may be it. Whether an
/// alias is, only the engine knows.
fn asked<'a>(typed: &'a [String], arn: &'a str) -> Vec<&'a str> {
    if typed.is_empty() {
        return vec![arn];
    }
    let may_be = |key: &&str| {
        let id = arn.rsplit_once("key/").map(|(_, id)| id);
        *key == arn || id == Some(*key) || key.contains("alias/")
    };
    typed.iter().map(String::as_str).filter(may_be).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_may_hold_a_data_key_are_asked() {
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
        assert_eq!(asked(&[], arn), [arn]);
        let typed = ["1234abcd", "5678", "alias/payments", arn, "abcd"].map(str::to_owned);
        assert_eq!(asked(&typed, arn), ["1234abcd", "alias/payments", arn]);
        let other = ["arn:aws:kms:eu-west-1:111122223333:key/1234abcd".to_owned()];
        assert_eq!(asked(&other, arn), [] as [&str; 0]);
    }
}
