//! Import tokens: what `GetParametersForImport` gives out and `ImportKeyMaterial` takes back, with material wrapped under the
//! public key beside it.
//!
//! The token carries the private half of the wrapping key, sealed by the store key, so the engine keeps nothing between the
//! two calls and a token outlives a restart:
//!
//! ```text
//! offset  bytes  field
//!      0      4  mark       "KTI" and the format version 1
//!      4      n  sealed     salt, AES-256-GCM of the content, tag
//!
//! content = valid to u64 ‖ algorithm u8 ‖ key spec u8 ‖ length u8 ‖ key ARN ‖ private key (PKCS#8)
//! ```
//!
//! Associated data is the origin, a line feed and the mark. The time is in nanoseconds since 1970, big-endian; algorithm and
//! key spec are places in the lists below. A token is for one key, for 24 hours, and as often as one likes, as with AWS.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use keytrail_event::Timestamp;
use keytrail_ledger::Random;
use zeroize::Zeroizing;

use crate::Config;
use crate::algorithms::{EncryptionAlgorithm, KeySpec, SecretKey};
use crate::input::Word;
use crate::names::KeyArn;
use crate::sealing::Purpose;
use crate::store_key::StoreKey;

const MARK: &[u8; 4] = b"KTI\x01";

/// How material is wrapped under the public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrappingAlgorithm {
    /// Known to the API and not accepted any more, by AWS neither.
    Pkcs1,
    OaepSha1,
    OaepSha256,
    /// A fresh AES key under OAEP, and the material under the AES key (RFC 5649): for what is longer than the modulus.
    AesSha1,
    AesSha256,
    /// In AWS's China Regions only.
    Sm2,
}

/// The size of the wrapping key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrappingKeySpec {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    /// In AWS's China Regions only.
    Sm2,
}

/// A token that was ours.
pub(crate) struct ImportToken {
    pub(crate) key: KeyArn,
    pub(crate) valid_to: Timestamp,
    pub(crate) algorithm: WrappingAlgorithm,
    pub(crate) spec: WrappingKeySpec,
    pub(crate) wrapping_key: SecretKey,
}

impl ImportToken {
    /// The token as it is given out.
    pub(crate) fn seal(
        &self,
        config: &Config,
        store_key: &StoreKey,
        random: &dyn Random,
    ) -> Vec<u8> {
        let private = self.wrapping_key.bytes();
        let key = self.key.as_str().as_bytes();
        let mut content = Zeroizing::new(Vec::with_capacity(11 + key.len() + private.len()));
        content.extend_from_slice(&self.valid_to.unix_nanos().to_be_bytes());
        content.push(place(self.algorithm));
        content.push(place(self.spec));
        content.push(u8::try_from(key.len()).expect("an id and a Region are far shorter"));
        content.extend_from_slice(key);
        content.extend_from_slice(private);
        let aad = associated_data(config);
        let mut token = MARK.to_vec();
        token.extend(store_key.seal(Purpose::ImportToken, &aad, &content, random));
        token
    }

    /// A token that was given out; `None` if it was changed, or is none of this engine's.
    pub(crate) fn open(token: &[u8], config: &Config, store_key: &StoreKey) -> Option<Self> {
        let sealed = token.strip_prefix(MARK)?;
        let content =
            store_key.open(Purpose::ImportToken, &associated_data(config), sealed).ok()?;
        let (valid_to, rest) = content.split_first_chunk()?;
        let (&[algorithm, spec, key_len], rest) = rest.split_first_chunk()?;
        let (key, private) = rest.split_at_checked(usize::from(key_len))?;
        let spec = *WrappingKeySpec::ALL.get(usize::from(spec))?;
        Some(Self {
            key: KeyArn::parse(std::str::from_utf8(key).ok()?)?,
            valid_to: Timestamp::from_unix_nanos(u64::from_be_bytes(*valid_to)),
            algorithm: *WrappingAlgorithm::ALL.get(usize::from(algorithm))?,
            spec,
            wrapping_key: SecretKey::from_bytes(spec.key_spec()?, Zeroizing::new(private.to_vec())),
        })
    }

    /// The material; `None` if it was wrapped under another key or in another way.
    pub(crate) fn unwrap(&self, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = &self.wrapping_key;
        match self.algorithm {
            WrappingAlgorithm::OaepSha1 => key.decrypt(EncryptionAlgorithm::OaepSha1, wrapped),
            WrappingAlgorithm::OaepSha256 => key.decrypt(EncryptionAlgorithm::OaepSha256, wrapped),
            WrappingAlgorithm::AesSha1 => self.unwrap_twice(EncryptionAlgorithm::OaepSha1, wrapped),
            WrappingAlgorithm::AesSha256 => {
                self.unwrap_twice(EncryptionAlgorithm::OaepSha256, wrapped)
            }
            WrappingAlgorithm::Pkcs1 | WrappingAlgorithm::Sm2 => None,
        }
    }

    fn unwrap_twice(
        &self,
        algorithm: EncryptionAlgorithm,
        wrapped: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (wrapped_key, wrapped) = wrapped.split_at_checked(self.spec.modulus_len()?)?;
        let aes_key = self.wrapping_key.decrypt(algorithm, wrapped_key)?;
        let aes_key = AesKek::new(&AES_256, &aes_key).ok()?;
        let mut material = Zeroizing::new(vec![0; wrapped.len()]);
        let length = aes_key.unwrap_with_padding(wrapped, &mut material).ok()?.len();
        material.truncate(length);
        Some(material)
    }
}

impl WrappingKeySpec {
    /// The spec of the wrapping key; none of what is not here.
    pub(crate) const fn key_spec(self) -> Option<KeySpec> {
        match self {
            Self::Rsa2048 => Some(KeySpec::Rsa2048),
            Self::Rsa3072 => Some(KeySpec::Rsa3072),
            Self::Rsa4096 => Some(KeySpec::Rsa4096),
            Self::Sm2 => None,
        }
    }

    const fn modulus_len(self) -> Option<usize> {
        match self {
            Self::Rsa2048 => Some(256),
            Self::Rsa3072 => Some(384),
            Self::Rsa4096 => Some(512),
            Self::Sm2 => None,
        }
    }
}

impl WrappingAlgorithm {
    /// Whether it is one that is accepted.
    pub(crate) const fn is_here(self) -> bool {
        !matches!(self, Self::Pkcs1 | Self::Sm2)
    }
}

impl Word for WrappingAlgorithm {
    const ALL: &'static [Self] =
        &[Self::Pkcs1, Self::OaepSha1, Self::OaepSha256, Self::AesSha1, Self::AesSha256, Self::Sm2];

    fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs1 => "RSAES_PKCS1_V1_5",
            Self::OaepSha1 => "RSAES_OAEP_SHA_1",
            Self::OaepSha256 => "RSAES_OAEP_SHA_256",
            Self::AesSha1 => "RSA_AES_KEY_WRAP_SHA_1",
            Self::AesSha256 => "RSA_AES_KEY_WRAP_SHA_256",
            Self::Sm2 => "SM2PKE",
        }
    }
}

impl Word for WrappingKeySpec {
    const ALL: &'static [Self] = &[Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::Sm2];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::Sm2 => "SM2",
        }
    }
}

/// The place of a word in its list; the lists are a handful long.
fn place<T: Word>(word: T) -> u8 {
    let place = T::ALL.iter().position(|other| other.as_str() == word.as_str());
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn associated_data(config: &Config) -> Vec<u8> {
    [config.origin.as_str().as_bytes(), b"\n", MARK].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::fmt::Write as _;

    use keytrail_testkit::SeededRandom;

    use super::*;

    fn token(random: &SeededRandom) -> ImportToken {
        ImportToken {
            key: crate::names::key_arn_for_tests(1),
            valid_to: Timestamp::from_unix_nanos(0x0102_0304_0506_0708),
            algorithm: WrappingAlgorithm::AesSha256,
            spec: WrappingKeySpec::Rsa3072,
            wrapping_key: SecretKey::generate(KeySpec::Hmac512, random).ok().unwrap(),
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut drawn = "offset  bytes  field\n".to_owned();
        let mark = "mark       \"KTI\" and the format version 1";
        writeln!(drawn, "{:>6}  {:>5}  {mark}", 0, MARK.len()).unwrap();
        let sealed = "sealed     salt, AES-256-GCM of the content, tag";
        writeln!(drawn, "{:>6}      n  {sealed}", MARK.len()).unwrap();
        drawn.push_str(
            "\ncontent = valid to u64 ‖ algorithm u8 ‖ key spec u8 ‖ length u8 ‖ key ARN ‖ private key (PKCS#8)\n",
        );
        assert!(include_str!("../../../schemas/sealed-state.md").contains(&drawn), "{drawn}");
        let module = include_str!("import.rs").replace("//! ", "").replace("//!", "");
        assert!(module.contains(&drawn), "{drawn}");

        let (random, config) = (SeededRandom::new(1), Config::for_tests());
        let store_key = StoreKey::for_tests(&random);
        let token = token(&random);
        let sealed = token.seal(&config, &store_key, &random);
        let opened = store_key.open(Purpose::ImportToken, &associated_data(&config), &sealed[4..]);
        let (key, private) = (token.key.as_str().as_bytes(), token.wrapping_key.bytes());
        let key_len = u8::try_from(key.len()).unwrap();
        let head = [1, 2, 3, 4, 5, 6, 7, 8, 4, 1, key_len];
        assert_eq!(opened.unwrap().as_slice(), [&head, key, private].concat());
    }

    #[test]
    fn a_token_opens_for_its_own_log_and_store_key_only() {
        let (random, config) = (SeededRandom::new(2), Config::for_tests());
        let store_key = StoreKey::for_tests(&random);
        let sealed = token(&random).seal(&config, &store_key, &random);
        let opened = ImportToken::open(&sealed, &config, &store_key).unwrap();
        assert_eq!(
            (opened.algorithm, opened.spec),
            (WrappingAlgorithm::AesSha256, WrappingKeySpec::Rsa3072)
        );
        let origin = keytrail_ledger::Origin::new("test.example/other").unwrap();
        let other = Config { origin, ..Config::for_tests() };
        assert!(ImportToken::open(&sealed, &other, &store_key).is_none());
        assert!(ImportToken::open(&sealed, &config, &StoreKey::for_tests(&random)).is_none());
        for end in 0..sealed.len() {
            assert!(
                ImportToken::open(&sealed[..end], &config, &store_key).is_none(),
                "cut at {end}"
            );
        }
    }
}
