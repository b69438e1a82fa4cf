//! The names that calls use: key ids, ARNs, aliases, and the four ways to say which key is meant.

use std::borrow::Borrow;
use std::fmt;

use keytrail_event::{Arn, Guid};
use serde::{Deserialize, Serialize};

use crate::Config;
use crate::error::{ErrorCode, Refusal};

/// A key's id: a version 4 UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct KeyId(Guid);

impl KeyId {
    pub(crate) fn from_random(random: [u8; 16]) -> Self {
        Self(Guid::from_random(random))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Guid::from_bytes(bytes))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Guid::parse(text).ok().map(Self)
    }

    /// The id in a key's ARN, of any account; `None` for an alias's.
    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        arn.split_once(":key/").and_then(|(_, id)| Self::parse(id))
    }

    pub(crate) fn arn(self, config: &Config) -> KeyArn {
        KeyArn(Arn::kms_key(&config.region, &config.account, &self.to_string()).to_string())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a key id is a UUID in lower case")
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// The ARN of a key or an alias of ours, as text because that is how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeyArn(String);

impl KeyArn {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An alias name, `alias/` included: at most 256 characters of `A-Z a-z 0-9 / _ -`, outside `alias/aws/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AliasName(String);

impl AliasName {
    /// Accepts the name of an alias that is to be created. Its length and characters were checked with the other
    /// parameters (`input`); what is left are the rules that have errors of their own.
    pub(crate) fn new(text: &str) -> Result<Self, Refusal> {
        let Some(rest) = text.strip_prefix("alias/") else {
            return Err(Refusal::validation(
                "Alias must start with the prefix \"alias/\". Please see \
                 https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            ));
        };
        if rest.starts_with("aws/") {
            return Err(Refusal::bare(ErrorCode::NotAuthorizedException));
        }
        if rest.is_empty() || rest.contains(':') {
            let message = format!("{text} contains invalid characters for an alias");
            return Err(Refusal::new(ErrorCode::InvalidAliasNameException, message));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn arn(&self, config: &Config) -> KeyArn {
        KeyArn(Arn::kms_alias(&config.region, &config.account, &self.0).to_string())
    }
}

impl Borrow<str> for AliasName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Which ways of naming a key an operation accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Key id or key ARN.
    KeyOnly,
    /// Key id, key ARN, alias name or alias ARN.
    KeyOrAlias,
}

/// A key as the caller named it. The text is kept, because the record shows it verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyReference {
    sent: String,
    target: Target,
}

/// What a reference points at, if it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Key(KeyId),
    /// An alias by its name; it may not exist, and need not be well formed.
    Alias(String),
}

impl KeyReference {
    /// Reads a reference. A text that can name nothing here is refused with the text AWS has for it.
    pub(crate) fn parse(text: &str, naming: Naming, config: &Config) -> Result<Self, Refusal> {
        let target = if text.starts_with("arn:") {
            Self::target_of_arn(text, naming, config)?
        } else {
            Self::target_of_name(text, naming, config)?
        };
        Ok(Self { sent: text.to_owned(), target })
    }

    pub(crate) fn sent(&self) -> &str {
        &self.sent
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    fn target_of_arn(text: &str, naming: Naming, config: &Config) -> Result<Target, Refusal> {
        let invalid =
            || Refusal::new(ErrorCode::InvalidArnException, format!("Invalid arn {text}"));
        let arn = Arn::parse(text).map_err(|_| invalid())?;
        if arn.service() != "kms" {
            return Err(invalid());
        }
        if arn.region() != config.region.as_str() {
            return Err(Refusal::not_found(format!("Invalid arn {}", arn.region())));
        }
        let ours = arn.account() == config.account.as_str();
        if let Some(id) = arn.kms_key_id() {
            let id = KeyId::parse(id).filter(|_| ours);
            return id.map(Target::Key).ok_or_else(|| no_such_key(text));
        }
        match arn.kms_alias_name() {
            Some(alias) if ours && naming == Naming::KeyOrAlias => {
                Ok(Target::Alias(alias.to_owned()))
            }
            Some(_) if naming == Naming::KeyOrAlias => Err(no_such_alias(text)),
            _ => Err(invalid()),
        }
    }

    fn target_of_name(text: &str, naming: Naming, config: &Config) -> Result<Target, Refusal> {
        if let Some(id) = KeyId::parse(text) {
            return Ok(Target::Key(id));
        }
        if text.starts_with("alias/") && naming == Naming::KeyOrAlias {
            return Ok(Target::Alias(text.to_owned()));
        }
        let digits = text.strip_prefix("mrk-").unwrap_or_default();
        // A multi-Region key's id is well formed, but none exists here.
        if digits.len() == 32
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            let arn = Arn::kms_key(&config.region, &config.account, text);
            return Err(no_such_key(&arn.to_string()));
        }
        Err(Refusal::not_found(format!("Invalid keyId '{text}'")))
    }
}

pub(crate) fn no_such_key(arn: &str) -> Refusal {
    Refusal::not_found(format!("Key '{arn}' does not exist"))
}

pub(crate) fn no_such_alias(arn: &str) -> Refusal {
    Refusal::not_found(format!("Alias {arn} is not found."))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use Naming::{KeyOnly, KeyOrAlias};

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn check(text: &str, naming: Naming, expected: Result<Target, &str>) {
        let config = Config::for_tests();
        let target = KeyReference::parse(text, naming, &config).map(|reference| reference.target);
        let target =
            target.map_err(|refusal| format!("{}: {}", refusal.code, refusal.message.unwrap()));
        assert_eq!(target, expected.map_err(str::to_owned), "{text}");
    }

    fn key() -> Target {
        Target::Key(KeyId::parse(ID).unwrap())
    }

    #[test]
    fn a_key_can_be_named_in_four_ways() {
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{ID}");
        let alias = || Ok(Target::Alias("alias/app".to_owned()));
        for naming in [KeyOnly, KeyOrAlias] {
            check(ID, naming, Ok(key()));
            check(&arn, naming, Ok(key()));
        }
        check("alias/app", KeyOrAlias, alias());
        check("arn:aws:kms:us-east-1:111122223333:alias/app", KeyOrAlias, alias());
    }

    #[test]
    fn what_names_nothing_is_refused_in_the_words_of_aws() {
        check("nonsense", KeyOrAlias, Err("NotFoundException: Invalid keyId 'nonsense'"));
        let upper = ID.to_uppercase();
        check(&upper, KeyOnly, Err(&format!("NotFoundException: Invalid keyId '{upper}'")));
        check("alias/app", KeyOnly, Err("NotFoundException: Invalid keyId 'alias/app'"));
        let elsewhere = format!("arn:aws:kms:eu-west-1:111122223333:key/{ID}");
        check(&elsewhere, KeyOnly, Err("NotFoundException: Invalid arn eu-west-1"));
        let foreign = format!("arn:aws:kms:us-east-1:444455556666:key/{ID}");
        check(
            &foreign,
            KeyOnly,
            Err(&format!("NotFoundException: Key '{foreign}' does not exist")),
        );
        let alias = "arn:aws:kms:us-east-1:444455556666:alias/app";
        check(alias, KeyOrAlias, Err(&format!("NotFoundException: Alias {alias} is not found.")));
        let multi = "mrk-1234abcd12ab34cd56ef1234567890ab";
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{multi}");
        check(multi, KeyOnly, Err(&format!("NotFoundException: Key '{arn}' does not exist")));
        for bad in
            ["arn:aws:kms", "arn:aws:s3:::bucket", "arn:aws:kms:us-east-1:111122223333:grant/1"]
        {
            check(bad, KeyOrAlias, Err(&format!("InvalidArnException: Invalid arn {bad}")));
        }
    }

    #[test]
    fn alias_names_have_their_prefix_and_no_reserved_start() {
        assert!(AliasName::new("alias/app/prod_1").is_ok());
        let code = |name| AliasName::new(name).unwrap_err().code;
        assert_eq!(code("app"), ErrorCode::ValidationException);
        assert_eq!(code("alias/aws/s3"), ErrorCode::NotAuthorizedException);
        assert_eq!(code("alias/"), ErrorCode::InvalidAliasNameException);
        assert_eq!(code("alias/a:b"), ErrorCode::InvalidAliasNameException);
    }
}
