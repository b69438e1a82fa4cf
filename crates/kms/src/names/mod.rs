//! The names that calls use: key ids, ARNs, aliases, and the four ways to say which key is meant.

mod key_id;
mod place;

use std::borrow::Borrow;

use keytrail_event::Arn;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};

pub(crate) use key_id::KeyId;
pub(crate) use place::{ALIAS, AliasArn, KEY, KeyArn, Place, ResourceArn};

/// An alias name, `alias/` included: at most 256 characters of `A-Z a-z 0-9 / _ -`. Behind `alias/aws/` are those of AWS
/// managed keys only.
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

    /// The alias of an AWS managed key. Nobody creates, updates or deletes it.
    pub(crate) fn of_aws(service: &str) -> Self {
        Self(format!("alias/aws/{service}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
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
    /// The ARN that a name without place stands for: one in the caller's own place.
    expanded: Option<String>,
    kind: Kind,
}

/// What a reference points at, if it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    /// An alias; it need not be well formed.
    Alias,
}

impl KeyReference {
    /// Reads a reference of a call that is made in `home`. A text that can name nothing in that Region is refused with the
    /// text AWS has for it. Whose key it is makes no difference here: that is for policies to decide.
    pub(crate) fn parse(text: &str, naming: Naming, home: &Place) -> Result<Self, Refusal> {
        let (kind, expanded) = if text.starts_with("arn:") {
            (Self::kind_of_arn(text, naming, home)?, None)
        } else if KeyId::parse(text).is_some() {
            (Kind::Key, Some(home.key_arn_text(text)))
        } else if text.starts_with(ALIAS) && naming == Naming::KeyOrAlias {
            (Kind::Alias, Some(home.arn_text(text)))
        } else {
            return Err(Refusal::not_found(format!("Invalid keyId '{text}'")));
        };
        Ok(Self { sent: text.to_owned(), expanded, kind })
    }

    pub(crate) fn sent(&self) -> &str {
        &self.sent
    }

    /// The ARN of the key that is meant, or of the alias.
    pub(crate) fn arn(&self) -> &str {
        self.expanded.as_deref().unwrap_or(&self.sent)
    }

    /// Whether it names a key by an alias.
    pub(crate) fn is_alias(&self) -> bool {
        self.kind == Kind::Alias
    }

    fn kind_of_arn(text: &str, naming: Naming, home: &Place) -> Result<Kind, Refusal> {
        let invalid =
            || Refusal::new(ErrorCode::InvalidArnException, format!("Invalid arn {text}"));
        let arn = Arn::parse(text).map_err(|_| invalid())?;
        if arn.service() != "kms" {
            return Err(invalid());
        }
        if arn.region() != home.region().as_str() {
            return Err(Refusal::not_found(format!("Invalid arn {}", arn.region())));
        }
        if let Some(id) = arn.kms_key_id() {
            return KeyId::parse(id).map(|_| Kind::Key).ok_or_else(|| no_such_key(text));
        }
        match arn.kms_alias_name() {
            Some(_) if naming == Naming::KeyOrAlias => Ok(Kind::Alias),
            _ => Err(invalid()),
        }
    }
}

pub(crate) fn no_such_key(arn: &str) -> Refusal {
    Refusal::not_found(format!("Key '{arn}' does not exist"))
}

pub(crate) fn no_such_alias(arn: &str) -> Refusal {
    Refusal::not_found(format!("Alias {arn} is not found."))
}

/// A key in the place of the tests.
#[cfg(test)]
pub(crate) fn key_arn_for_tests(number: u8) -> KeyArn {
    crate::Config::for_tests().home().key_arn(KeyId::from_random([number; 16]))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use Naming::{KeyOnly, KeyOrAlias};

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn home() -> Place {
        Place::new("111122223333".parse().unwrap(), "us-east-1".parse().unwrap())
    }

    /// The ARN that a text stands for, or the refusal of it.
    fn check(text: &str, naming: Naming, expected: Result<&str, &str>) {
        let read = KeyReference::parse(text, naming, &home());
        if let Ok(reference) = &read {
            assert_eq!(reference.is_alias(), text.contains("alias/"), "{text}");
        }
        let read = read.map(|reference| reference.arn().to_owned());
        let read =
            read.map_err(|refusal| format!("{}: {}", refusal.code, refusal.message.unwrap()));
        assert_eq!(read.as_deref().map_err(|no| &**no), expected, "{text}");
    }

    #[test]
    fn a_key_can_be_named_in_four_ways() {
        for id in [ID, "mrk-1234abcd12ab34cd56ef1234567890ab"] {
            let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{id}");
            for naming in [KeyOnly, KeyOrAlias] {
                check(id, naming, Ok(&arn));
                check(&arn, naming, Ok(&arn));
            }
        }
        let alias = "arn:aws:kms:us-east-1:111122223333:alias/app";
        check("alias/app", KeyOrAlias, Ok(alias));
        check(alias, KeyOrAlias, Ok(alias));
    }

    #[test]
    fn an_arn_may_name_another_account_but_no_other_region() {
        for resource in [&*format!("key/{ID}"), "alias/app"] {
            let foreign = format!("arn:aws:kms:us-east-1:444455556666:{resource}");
            check(&foreign, KeyOrAlias, Ok(&foreign));
            let elsewhere = format!("arn:aws:kms:eu-west-1:111122223333:{resource}");
            check(&elsewhere, KeyOrAlias, Err("NotFoundException: Invalid arn eu-west-1"));
        }
    }

    #[test]
    fn what_names_nothing_is_refused_in_the_words_of_aws() {
        check("nonsense", KeyOrAlias, Err("NotFoundException: Invalid keyId 'nonsense'"));
        let upper = ID.to_uppercase();
        check(&upper, KeyOnly, Err(&format!("NotFoundException: Invalid keyId '{upper}'")));
        check("alias/app", KeyOnly, Err("NotFoundException: Invalid keyId 'alias/app'"));
        check("mrk-1234", KeyOnly, Err("NotFoundException: Invalid keyId 'mrk-1234'"));
        let arn = "arn:aws:kms:us-east-1:111122223333:key/x";
        check(arn, KeyOnly, Err(&format!("NotFoundException: Key '{arn}' does not exist")));
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
