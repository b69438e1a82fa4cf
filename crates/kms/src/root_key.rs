//! The root key: 32 bytes that seal everything else. Who has it and the data directory has all keys.
//!
//! It lives in a file of its own, readable by its owner only, and in memory while the engine runs. Each use has a purpose
//! of its own, which goes into the key derivation (`sealing`): what was sealed as one thing cannot be opened as another.
//!
//! ```text
//! file = "keytrail-root-key-1 " ‖ 64 lower-case hexadecimal digits ‖ "\n"      mode 0600
//! ```

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use keytrail_ledger::Random;
use zeroize::Zeroizing;

use crate::EngineError;
use crate::sealing::{self, NotAuthentic};

/// The key that seals all others. Neither shown nor copied; wiped when dropped.
pub struct RootKey(Zeroizing<[u8; 32]>);

/// What something is sealed for; the text goes into the key derivation, so it must never change.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// A state change in a ledger frame.
    Change,
    /// The snapshot of the state in `keys/`.
    Snapshot,
    /// The material of one key.
    Material,
    /// A secret access key.
    SecretAccessKey,
    /// A token for importing material.
    ImportToken,
    /// The seed of a ledger's signing key.
    SigningSeed,
    /// A grant token, which is kept nowhere.
    GrantToken,
}

impl Purpose {
    const fn text(self) -> &'static str {
        match self {
            Self::Change => "keytrail root 1: state change",
            Self::Snapshot => "keytrail root 1: snapshot",
            Self::Material => "keytrail root 1: key material",
            Self::SecretAccessKey => "keytrail root 1: secret access key",
            Self::ImportToken => "keytrail root 1: import token",
            Self::SigningSeed => "keytrail root 1: signing seed",
            Self::GrantToken => "keytrail root 1: grant token",
        }
    }
}

/// Format mark of the file; a passphrase-protected form will have another.
const MARK: &str = "keytrail-root-key-1 ";
/// Length of the file: mark, digits, line end.
const FILE_LEN: usize = MARK.len() + 64 + 1;

impl RootKey {
    /// A new root key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut());
        Self(key)
    }

    /// Reads a root key. The file must belong to its owner alone: a root key that others may read is no secret.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let file = File::open(path).map_err(|source| EngineError::io("open", path, source))?;
        refuse_readable_by_others(&file, path)?;
        // One byte more than a good file has, so that a longer one does not pass for good.
        let mut text = Zeroizing::new(String::with_capacity(FILE_LEN + 1));
        file.take(FILE_LEN as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|source| EngineError::io("read", path, source))?;
        let digits = text.strip_prefix(MARK).and_then(|rest| rest.strip_suffix('\n'));
        let key = digits.and_then(from_hex);
        key.map(Self).ok_or_else(|| EngineError::RootKeyFile { path: path.to_owned() })
    }

    /// Writes the root key to a new file with mode 0600; durable on return. An existing file is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), EngineError> {
        let mut text = Zeroizing::new(String::with_capacity(FILE_LEN));
        text.push_str(MARK);
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        text.push('\n');
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        options
            .open(path)
            .and_then(write)
            .and_then(|()| crate::files::sync_parent(path))
            .map_err(|source| EngineError::io("create", path, source))
    }

    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        aad: &[u8],
        plaintext: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        sealing::seal(&self.0, purpose.text(), aad, plaintext, random)
    }

    pub(crate) fn open(
        &self,
        purpose: Purpose,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        sealing::open(&self.0, purpose.text(), aad, sealed)
    }
}

fn from_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    if digits.len() != 64 || digits.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (position, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(position * 2..position * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(unix)]
fn refuse_readable_by_others(file: &File, path: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| EngineError::io("inspect", path, source))?;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(EngineError::RootKeyExposed { path: path.to_owned() }),
    }
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &File, _: &Path) -> Result<(), EngineError> {
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn a_saved_key_opens_what_the_key_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let random = SeededRandom::new(1);
        let key = RootKey::generate(&random);
        key.save(&path).unwrap();
        let sealed = key.seal(Purpose::Material, b"aad", b"secret", &random);
        let loaded = RootKey::load(&path).unwrap();
        assert_eq!(loaded.open(Purpose::Material, b"aad", &sealed).unwrap().as_slice(), b"secret");
        assert!(loaded.open(Purpose::Change, b"aad", &sealed).is_err());
        assert!(matches!(key.save(&path), Err(EngineError::File { action: "create", .. })));
    }

    #[test]
    fn the_schema_names_each_purpose_and_the_file() {
        let schema = include_str!("../../../schemas/sealed-state.md");
        let purposes = [
            Purpose::Change,
            Purpose::Snapshot,
            Purpose::Material,
            Purpose::SecretAccessKey,
            Purpose::SigningSeed,
        ];
        for purpose in purposes {
            assert!(schema.contains(&format!("| `{}` |", purpose.text())));
        }
        let file = format!(
            "file = \"{MARK}\" ‖ 64 lower-case hexadecimal digits ‖ \"\\n\"      mode 0600\n"
        );
        assert!(
            schema.contains(&file) && include_str!("root_key.rs").contains(&format!("//! {file}"))
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        RootKey::generate(&SeededRandom::new(2)).save(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(RootKey::load(&path), Err(EngineError::RootKeyExposed { .. })));
    }

    #[test]
    fn anything_but_the_whole_file_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good");
        RootKey::generate(&SeededRandom::new(3)).save(&good).unwrap();
        let text = std::fs::read_to_string(&good).unwrap();
        let mut bad = (0..text.len()).map(|end| text[..end].to_owned()).collect::<Vec<_>>();
        bad.extend([
            format!("{text}\n"),
            text.to_uppercase(),
            text.replace('1', "2"),
            text.replace('a', "+"),
        ]);
        for content in bad {
            std::fs::write(&good, &content).unwrap();
            let error = RootKey::load(&good).err().unwrap();
            assert!(matches!(error, EngineError::RootKeyFile { .. }), "{error:?}");
            assert!(!error.to_string().contains(text.trim_end().split(' ').next_back().unwrap()));
        }
    }
}
