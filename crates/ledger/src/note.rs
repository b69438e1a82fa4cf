//! Signed notes and the keys that sign them (C2SP signed-note, Ed25519, key type 0x01).
//!
//! ```text
//! <text: lines that each end in a newline>
//! <empty line>
//! — <key name> <base64(key id[4] ‖ signature[64])>
//! ```
//!
//! and a public key is written `<name>+<key id in hex>+<base64(0x01 ‖ key[32])>`, where the key id
//! is the first four bytes of `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)`.
//!
//! Parsing is strict: there is one encoding of a note, and [`SignedNote`] keeps exactly that, so
//! no bit of a stored note can change without a different parse. Signatures by unknown keys are
//! kept and ignored, as the specification demands (witnesses add theirs); a signature by the key
//! in question must hold, and there must be one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::origin::{Origin, OriginError};

/// Bytes that a note may have. Ours have about 250; 32 witnesses come to 5 KB.
pub(crate) const NOTE_LEN_MAX: usize = 16 * 1024;
/// Signature lines that a note may have.
pub(crate) const SIGNATURES_MAX: usize = 32;

/// C2SP's type byte of a plain Ed25519 signature.
const ED25519: u8 = 0x01;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a note or a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than 16 KiB or 32 signature lines.
    #[error("the note is larger than {NOTE_LEN_MAX} bytes or {SIGNATURES_MAX} signatures")]
    TooLarge,
    /// Not UTF-8, a control character, or a text that does not end in a newline.
    #[error("the text of the note is not lines of UTF-8 without control characters")]
    Text,
    /// No empty line before the signatures, or a signature line that is none.
    #[error("the note's signature lines are malformed")]
    Signatures,
    /// No signature by this key.
    #[error("the note has no signature by the key")]
    Unsigned,
    /// A signature that names this key and is not its.
    #[error("the signature does not belong to the text of the note")]
    Forged,
    /// Not `name+id+base64`, an id that does not belong to the key, or no point of the curve.
    #[error("not a public key of the form name+id+base64")]
    Key,
}

impl From<OriginError> for NoteError {
    fn from(_: OriginError) -> Self {
        Self::Key
    }
}

/// The secret half of a log's key. Neither shown, copied nor serialised; zeroed when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key grown from this seed (RFC 8032's private key). Wiping the seed is the caller's part.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public half, under the name of the log that it signs.
    pub fn verifying_key(&self, name: &Origin) -> VerifyingKey {
        VerifyingKey { name: name.clone(), key: self.0.verifying_key() }
    }

    /// Signs `text`, whose lines each end in a newline, as the log `name`.
    pub fn sign(&self, name: &Origin, text: String) -> Result<SignedNote, NoteError> {
        check_text(&text)?;
        let signature = self.0.sign(text.as_bytes()).to_bytes();
        let line = SignatureLine {
            name: name.as_str().to_owned(),
            key_id: self.verifying_key(name).key_id(),
            signature: signature.to_vec(),
        };
        Ok(SignedNote { text, signatures: vec![line] })
    }

    /// A secret for another purpose, which tells nothing about the key: SHA-256 of `domain` and
    /// the seed.
    pub(crate) fn derive(&self, domain: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut sha = Sha256::new();
        sha.update(domain);
        sha.update(self.0.as_bytes());
        Zeroizing::new(sha.finalize().into())
    }
}

/// The public half of a log's key, with the log's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: Origin,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Reads `name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let name = Origin::new(name)?;
        let bytes = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519, key)) = bytes.split_first() else { return Err(NoteError::Key) };
        let key = <&[u8; 32]>::try_from(key).map_err(|_| NoteError::Key)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key)?;
        let key = Self { name, key };
        // Compared as text: upper-case digits would be a second spelling of the same key.
        if hex_id(key.key_id()) == id { Ok(key) } else { Err(NoteError::Key) }
    }

    /// The name of the log that signs with it.
    pub fn name(&self) -> &Origin {
        &self.name
    }

    /// The four bytes by which signature lines name the key. Not collision-resistant: it chooses
    /// the key to try, it proves nothing.
    pub fn key_id(&self) -> [u8; 4] {
        let mut sha = Sha256::new();
        sha.update(self.name.as_str());
        sha.update([b'\n', ED25519]);
        sha.update(self.key.as_bytes());
        let [a, b, c, d, ..]: [u8; 32] = sha.finalize().into();
        [a, b, c, d]
    }
}

impl FromStr for VerifyingKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [ED25519; 33];
        bytes[1..].copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex_id(self.key_id()), STANDARD.encode(bytes))
    }
}

/// A text and signatures over it, as parsed: nothing is verified until [`SignedNote::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<SignatureLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SignatureLine {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

impl SignedNote {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_LEN_MAX {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Text)?;
        // The last empty line: a text may have empty lines of its own, signatures never.
        let end = note.rfind("\n\n").ok_or(NoteError::Signatures)? + 1;
        let (text, rest) = note.split_at(end);
        check_text(text)?;
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let mut signatures = Vec::new();
        for line in lines.ok_or(NoteError::Signatures)?.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::TooLarge);
            }
            signatures.push(SignatureLine::parse(line).ok_or(NoteError::Signatures)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text, final newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the signature by `key`: there is one, and each that names the key holds
    /// (`verify_strict`: no small-order point, no malleable signature).
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), NoteError> {
        let id = key.key_id();
        let mut ours = self
            .signatures
            .iter()
            .filter(|line| line.name == key.name.as_str() && line.key_id == id)
            .peekable();
        if ours.peek().is_none() {
            return Err(NoteError::Unsigned);
        }
        ours.try_for_each(|line| {
            let signature = ed25519_dalek::Signature::from_slice(&line.signature);
            let signature = signature.map_err(|_| NoteError::Forged)?;
            key.key.verify_strict(self.text.as_bytes(), &signature).map_err(|_| NoteError::Forged)
        })
    }
}

impl SignatureLine {
    fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        if name.is_empty() || name.contains(['+']) || name.chars().any(char::is_whitespace) {
            return None;
        }
        let bytes = STANDARD.decode(base64).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        let kept = !signature.is_empty() && !name.chars().any(char::is_control);
        kept.then(|| Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            let bytes = [line.key_id.as_slice(), &line.signature].concat();
            writeln!(f, "{SIGNATURE_PREFIX}{} {}", line.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let control = |c: char| c.is_ascii_control() && c != '\n';
    if text.ends_with('\n') && !text.contains(control) { Ok(()) } else { Err(NoteError::Text) }
}

fn hex_id(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}
