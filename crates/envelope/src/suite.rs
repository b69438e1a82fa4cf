//! The algorithm suites: what a message's two bytes of suite id mean.
//!
//! Two suites are written, the ones with key commitment. The nine older ones are read, and only when they are asked for: without
//! commitment, a message can be made that opens to two different texts under two keys.
//!
//! ```text
//! suite   version  cipher       data key to message key  commitment  signature
//! 0x0014        1  AES-128-GCM  as it is                 no          none
//! 0x0046        1  AES-192-GCM  as it is                 no          none
//! 0x0078        1  AES-256-GCM  as it is                 no          none
//! 0x0114        1  AES-128-GCM  HKDF-SHA-256             no          none
//! 0x0146        1  AES-192-GCM  HKDF-SHA-256             no          none
//! 0x0178        1  AES-256-GCM  HKDF-SHA-256             no          none
//! 0x0214        1  AES-128-GCM  HKDF-SHA-256             no          ECDSA P-256, SHA-256
//! 0x0346        1  AES-192-GCM  HKDF-SHA-384             no          ECDSA P-384, SHA-384
//! 0x0378        1  AES-256-GCM  HKDF-SHA-384             no          ECDSA P-384, SHA-384
//! 0x0478        2  AES-256-GCM  HKDF-SHA-512             yes         none
//! 0x0578        2  AES-256-GCM  HKDF-SHA-512             yes         ECDSA P-384, SHA-384
//! ```
//!
//! [Algorithm suites](https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/algorithms-reference.html).

use std::fmt;

use aws_lc_rs::aead;

/// An algorithm suite of the AWS Encryption SDK. It is shown as its id, `0x0578`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    id: u16,
    cipher: Cipher,
    derivation: Derivation,
    curve: Option<Curve>,
}

/// AES-GCM, by the length of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

/// How the message key comes from the data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derivation {
    /// The data key is the message key.
    None,
    HkdfSha256,
    HkdfSha384,
    /// Version 2: a commitment to the data key is derived beside the message key.
    Committing,
}

/// The curve of a message's signature, and with it the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

const fn suite(id: u16, cipher: Cipher, derivation: Derivation, curve: Option<Curve>) -> Suite {
    Suite { id, cipher, derivation, curve }
}

const SUITES: [Suite; 11] = [
    suite(0x0014, Cipher::Aes128, Derivation::None, None),
    suite(0x0046, Cipher::Aes192, Derivation::None, None),
    suite(0x0078, Cipher::Aes256, Derivation::None, None),
    suite(0x0114, Cipher::Aes128, Derivation::HkdfSha256, None),
    suite(0x0146, Cipher::Aes192, Derivation::HkdfSha256, None),
    suite(0x0178, Cipher::Aes256, Derivation::HkdfSha256, None),
    suite(0x0214, Cipher::Aes128, Derivation::HkdfSha256, Some(Curve::P256)),
    suite(0x0346, Cipher::Aes192, Derivation::HkdfSha384, Some(Curve::P384)),
    suite(0x0378, Cipher::Aes256, Derivation::HkdfSha384, Some(Curve::P384)),
    Suite::COMMITTED,
    Suite::COMMITTED_AND_SIGNED,
];

impl Suite {
    /// `0x0478`: key commitment, no signature. For when whoever can decrypt may also encrypt: each frame can then be used as
    /// soon as it is opened.
    pub const COMMITTED: Self = suite(0x0478, Cipher::Aes256, Derivation::Committing, None);

    /// `0x0578`: key commitment and a signature over the whole message, AWS's default. It tells a reader that the message is
    /// whole and from its writer, also where others hold the same key.
    pub const COMMITTED_AND_SIGNED: Self =
        suite(0x0578, Cipher::Aes256, Derivation::Committing, Some(Curve::P384));

    /// The suite's two bytes in a message.
    pub const fn id(self) -> u16 {
        self.id
    }

    /// Whether the message can only ever be opened with one data key.
    pub const fn is_committed(self) -> bool {
        matches!(self.derivation, Derivation::Committing)
    }

    /// Whether the message ends with a signature.
    pub const fn is_signed(self) -> bool {
        self.curve.is_some()
    }

    /// Bytes of its data keys: 16, 24 or 32.
    pub const fn data_key_bytes(self) -> usize {
        match self.cipher {
            Cipher::Aes128 => 16,
            Cipher::Aes192 => 24,
            Cipher::Aes256 => 32,
        }
    }

    /// The suite with this id, unless none has it.
    pub(crate) fn of_id(id: u16) -> Option<Self> {
        SUITES.into_iter().find(|suite| suite.id == id)
    }

    /// The version of the message format that the suite goes with.
    pub(crate) const fn version(self) -> u8 {
        if self.is_committed() { 2 } else { 1 }
    }

    pub(crate) const fn derivation(self) -> Derivation {
        self.derivation
    }

    pub(crate) const fn curve(self) -> Option<Curve> {
        self.curve
    }

    pub(crate) fn cipher(self) -> &'static aead::Algorithm {
        match self.cipher {
            Cipher::Aes128 => &aead::AES_128_GCM,
            Cipher::Aes192 => &aead::AES_192_GCM,
            Cipher::Aes256 => &aead::AES_256_GCM,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The table as the code has it.
    fn drawn() -> String {
        let mut drawn =
            "suite   version  cipher       data key to message key  commitment  signature\n"
                .to_owned();
        for suite in SUITES {
            let cipher = suite.data_key_bytes() * 8;
            let derivation = match suite.derivation {
                Derivation::None => "as it is",
                Derivation::HkdfSha256 => "HKDF-SHA-256",
                Derivation::HkdfSha384 => "HKDF-SHA-384",
                Derivation::Committing => "HKDF-SHA-512",
            };
            let commitment = if suite.is_committed() { "yes" } else { "no" };
            let signature = match suite.curve {
                None => "none",
                Some(Curve::P256) => "ECDSA P-256, SHA-256",
                Some(Curve::P384) => "ECDSA P-384, SHA-384",
            };
            let version = suite.version();
            let line = format!(
                "{suite}  {version:>7}  AES-{cipher}-GCM  {derivation:<23}  {commitment:<10}  {signature}"
            );
            let _ = writeln!(drawn, "{line}");
        }
        drawn
    }

    #[test]
    fn the_table_is_the_documented_one() {
        let drawn = drawn();
        assert!(include_str!("../../../schemas/encrypted-message.md").contains(&drawn), "{drawn}");
        assert!(include_str!("suite.rs").replace("//! ", "").contains(&drawn), "{drawn}");
    }

    #[test]
    fn a_suite_is_found_by_its_id_and_no_other_is() {
        let known: Vec<u16> = (0..=u16::MAX).filter(|id| Suite::of_id(*id).is_some()).collect();
        assert_eq!(known, SUITES.map(Suite::id));
        assert_eq!(Suite::of_id(0x0578), Some(Suite::COMMITTED_AND_SIGNED));
    }
}
