//! Data keys for encrypted messages, from the engine in this process: `GenerateDataKey`, Encrypt and Decrypt, each on
//! record with the message's encryption context.
//!
//! The engine is closed as soon as the key is there: the data directory is locked for a moment, and not for as long as it takes
//! to read a file.

use anyhow::bail;
use keytrail_envelope::{DataKey, EncryptedDataKey, EncryptionContext, Suite};
use keytrail_event::{Arn, Region};
use keytrail_kms::{Caller, Engine, ErrorCode};

use crate::data::DataDirectory;
use crate::kms;

/// AWS's name for KMS as the provider of a data key; its info is the ARN of the key.
const PROVIDER: &str = "aws-kms";

/// Whom to ask, and as whom.
pub(crate) struct KeyHolder<'a> {
    pub(crate) data: &'a DataDirectory,
    pub(crate) principal: Option<&'a str>,
    /// Where keys are that are typed as ids or aliases, the data directory's first Region if `None`.
    pub(crate) region: Option<&'a Region>,
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
        let caller_for = |key| kms::in_region(caller.clone(), region_of(key).as_ref(), &engine);
        let context: Vec<_> = context.pairs().collect();
        let bytes = u32::try_from(suite.data_key_bytes())?;
        let made = engine.generate_data_key(&caller_for(first)?, first, bytes, &context);
        let made = made.map_err(|error| refused("GenerateDataKey", &error))?;
        let mut encrypted = vec![encrypted_data_key(&made.key_id, made.ciphertext_blob)];
        for key in others {
            let sealed = engine.encrypt(&caller_for(key)?, key, &made.plaintext, &context);
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
            for Question { key, region } in questions(self.keys, data_key, &engine.config().regions)
            {
                let caller = kms::in_region(caller.clone(), region.as_ref(), &engine)?;
                match engine.decrypt_with_key(&caller, &key, &data_key.ciphertext, &context) {
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
        let caller = kms::in_region(caller, self.region, &engine)?;
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

/// A key that may open a data key, and the Region to ask it in: the default one if `None`.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    key: String,
    region: Option<Region>,
}

/// Whom to ask for a data key: if nothing was typed, the key that it names, if that is in a Region of ours; else those keys
/// typed that may be it. A multi-Region key may be asked in another Region than the one where it encrypted.
fn questions(typed: &[String], data_key: &EncryptedDataKey, regions: &[Region]) -> Vec<Question> {
    let Some(arn) = key_arn(data_key).and_then(|text| Arn::parse(text).ok()) else {
        return Vec::new();
    };
    let Some(id) = arn.kms_key_id() else { return Vec::new() };
    let named = related(&arn, id, regions);
    if typed.is_empty() {
        return named;
    }
    let mut questions = Vec::new();
    for key in typed {
        let region = region_of(key);
        if key == id {
            questions.extend(related(&arn, id, regions));
        } else if key.contains("alias/") {
            // Whether it is an alias of this key, only the engine knows.
            let region = region.or_else(|| named.first()?.region.clone());
            questions.push(Question { key: key.clone(), region });
        } else if named.iter().any(|question| question.key == *key) {
            questions.push(Question { key: key.clone(), region });
        }
    }
    questions
}

/// The key in those Regions of ours where it may be, its own first.
fn related(arn: &Arn, id: &str, regions: &[Region]) -> Vec<Question> {
    let is_multi_region = id.starts_with("mrk-");
    let mut questions = Vec::new();
    for region in regions {
        let region_name = region.as_str();
        let is_own = region_name == arn.region();
        if is_own || is_multi_region {
            let (partition, account) = (arn.partition(), arn.account());
            let key = format!("arn:{partition}:kms:{region_name}:{account}:key/{id}");
            let place = if is_own { 0 } else { questions.len() };
            questions.insert(place, Question { key, region: Some(region.clone()) });
        }
    }
    questions
}

/// The Region that an ARN names; none in an id or an alias.
fn region_of(key: &str) -> Option<Region> {
    Region::parse(Arn::parse(key).ok()?.region()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn arn(region: &str, id: &str) -> String {
        format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
    }

    /// The keys that are asked, each with its Region.
    fn asked(typed: &[&str], named: &str) -> Vec<(String, String)> {
        let typed: Vec<String> = typed.iter().map(|key| (*key).to_owned()).collect();
        let regions = ["us-east-1", "eu-west-1"].map(|region| Region::parse(region).ok());
        let regions: Vec<Region> = regions.into_iter().flatten().collect();
        let region =
            |region: Option<Region>| region.map_or("default".to_owned(), |it| it.to_string());
        questions(&typed, &encrypted_data_key(named, Vec::new()), &regions)
            .into_iter()
            .map(|question| (question.key, region(question.region)))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, region)| ((*key).to_owned(), (*region).to_owned())).collect()
    }

    #[test]
    fn only_keys_that_may_hold_a_data_key_are_asked() {
        let [here, there, elsewhere] =
            ["us-east-1", "eu-west-1", "ap-south-1"].map(|region| arn(region, "1234"));
        assert_eq!(asked(&[], &there), pairs(&[(&there, "eu-west-1")]));
        assert_eq!(asked(&[], &elsewhere), []);
        assert_eq!(asked(&["1234", "5678"], &there), pairs(&[(&there, "eu-west-1")]));
        assert_eq!(asked(&[&there, &here], &here), pairs(&[(&here, "us-east-1")]));
        assert_eq!(asked(&["alias/a"], &there), pairs(&[("alias/a", "eu-west-1")]));
        assert_eq!(asked(&["alias/a"], &elsewhere), pairs(&[("alias/a", "default")]));
        let alias = format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/a");
        assert_eq!(asked(&[&alias], &there), pairs(&[(&alias, "us-east-1")]));
        for foreign in ["", "hello", "arn:aws:s3:::bucket", &alias] {
            assert_eq!(asked(&["1234", "alias/a"], foreign), [], "{foreign}");
        }
    }

    #[test]
    fn a_multi_region_key_is_asked_where_it_is_near() {
        let [here, there, elsewhere] =
            ["us-east-1", "eu-west-1", "ap-south-1"].map(|region| arn(region, "mrk-1234"));
        let (first, second) = ((here.as_str(), "us-east-1"), (there.as_str(), "eu-west-1"));
        assert_eq!(asked(&[], &here), pairs(&[first, second]));
        assert_eq!(asked(&[], &there), pairs(&[second, first]));
        assert_eq!(asked(&[], &elsewhere), pairs(&[first, second]));
        assert_eq!(asked(&[&there], &here), pairs(&[second]));
        assert_eq!(asked(&["mrk-1234"], &there), pairs(&[second, first]));
    }
}
