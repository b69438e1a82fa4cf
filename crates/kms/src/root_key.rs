//! The root key: 32 bytes that seal the store key, and nothing else. Who has it and the data directory has all keys.
//!
//! It comes from one of three places, and its file says from which, so that whoever opens the directory need not know:
//!
//! ```text
//! file        = "keytrail-root-key-1 " ‖ 64 lower-case hexadecimal digits ‖ "\n"      mode 0600
//! passphrase  = "keytrail-passphrase-1 argon2id m=65536 t=3 p=4 " ‖ salt as 32 hexadecimal digits ‖ "\n"
//! environment = "keytrail-environment-1" ‖ "\n"
//! ```
//!
//! Only the first is a secret. Nothing here reads a terminal or the environment: passphrase and digits are passed in. In
//! memory the root key lives as long as it takes to open the store key (`store_key`).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use keytrail_ledger::Random;
use zeroize::Zeroizing;

use crate::passphrase::{self, Stretching};
use crate::sealing::{self, NotAuthentic, Purpose};
use crate::{EngineError, files};

/// The key that seals the store key. Neither shown nor copied; wiped when dropped.
pub struct RootKey {
    bytes: Box<Zeroizing<[u8; 32]>>,
    source: Source,
}

/// Where it comes from.
enum Source {
    File,
    Passphrase(Stretching),
    Environment,
}

/// What a root key's file says.
pub enum RootKeyFile {
    /// The file holds the key.
    Key(RootKey),
    /// The key is to be made from a passphrase: [`RootKey::from_passphrase`].
    Passphrase(Stretching),
    /// The key is in the environment of whoever opens the directory: [`RootKey::from_digits`].
    Environment,
}

/// Format mark of a file that holds the key.
const MARK: &str = "keytrail-root-key-1 ";
/// The whole file that says that the key is in the environment.
const ENVIRONMENT: &str = "keytrail-environment-1\n";
/// No file is longer: what a passphrase's says is the longest, with costs of ten digits.
const FILE_BYTES_MAX: usize = 128;

impl RootKey {
    /// A new root key, to be kept in its file.
    pub fn generate(random: &dyn Random) -> Self {
        let mut key = Self { bytes: Box::default(), source: Source::File };
        random.fill(key.bytes.as_mut().as_mut());
        key
    }

    /// The root key that a passphrase gives, with the costs and the salt of its file or, for a new one, with fresh ones.
    /// A wrong passphrase gives a key as well: one that opens nothing.
    pub fn from_passphrase(passphrase: &[u8], stretching: Stretching) -> Result<Self, EngineError> {
        if passphrase.len() < passphrase::PASSPHRASE_BYTES_MIN {
            return Err(EngineError::PassphraseTooShort);
        }
        let bytes = stretching.stretch(passphrase).ok_or(EngineError::PassphraseNotStretched)?;
        Ok(Self { bytes, source: Source::Passphrase(stretching) })
    }

    /// A root key as 64 hexadecimal digits, from wherever the caller keeps it.
    pub fn from_digits(digits: &str) -> Result<Self, EngineError> {
        let bytes = from_hex(digits).ok_or(EngineError::RootKeyDigits)?;
        Ok(Self { bytes, source: Source::Environment })
    }

    /// Reads a root key that is in its file. Where it may be elsewhere, [`RootKeyFile::load`] tells.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        match RootKeyFile::load(path)? {
            RootKeyFile::Key(key) => Ok(key),
            RootKeyFile::Passphrase(_) | RootKeyFile::Environment => {
                Err(EngineError::RootKeyElsewhere { path: path.to_owned() })
            }
        }
    }

    /// Writes the root key's file, which holds it or says where it comes from, with mode 0600; durable on return. An existing
    /// file is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), EngineError> {
        let text = self.to_text();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        options
            .open(path)
            .and_then(write)
            .and_then(|()| files::sync_parent(path))
            .map_err(|source| EngineError::io("create", path, source))
    }

    /// Puts the root key's file in the place of another one, which is overwritten and gone when this returns. A crash leaves
    /// the old file or the new one.
    pub(crate) fn replace(&self, path: &Path) -> Result<(), EngineError> {
        files::replace_and_wipe(path, self.to_text().as_bytes())
            .map_err(|source| EngineError::io("replace", path, source))
    }

    /// Where it comes from, in one word: `file`, `passphrase` or `environment`.
    pub(crate) const fn source(&self) -> &'static str {
        match self.source {
            Source::File => "file",
            Source::Passphrase(_) => "passphrase",
            Source::Environment => "environment",
        }
    }

    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        aad: &[u8],
        plaintext: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        sealing::seal(&self.bytes, purpose, aad, plaintext, random)
    }

    pub(crate) fn open(
        &self,
        purpose: Purpose,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        sealing::open(&self.bytes, purpose, aad, sealed)
    }

    fn to_text(&self) -> Zeroizing<String> {
        match &self.source {
            Source::File => {
                // Reserved in one go: growing later would leave a copy of the key in freed memory.
                let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
                text.push_str(MARK);
                for byte in self.bytes.iter() {
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
                    }
                }
                text.push('\n');
                text
            }
            Source::Passphrase(stretching) => {
                Zeroizing::new(format!("{}{stretching}\n", passphrase::MARK))
            }
            Source::Environment => Zeroizing::new(ENVIRONMENT.to_owned()),
        }
    }
}

impl RootKeyFile {
    /// Reads a root key's file. It must belong to its owner alone: a root key that others may read is no secret.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let file = File::open(path).map_err(|source| EngineError::io("open", path, source))?;
        refuse_readable_by_others(&file, path)?;
        // One byte more than a good file has, so that a longer one does not pass for good.
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX + 1));
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|source| EngineError::io("read", path, source))?;
        Self::parse(&text).ok_or_else(|| EngineError::RootKeyFile { path: path.to_owned() })
    }

    fn parse(text: &str) -> Option<Self> {
        if text == ENVIRONMENT {
            return Some(Self::Environment);
        }
        let line = text.strip_suffix('\n')?;
        if let Some(stretching) = line.strip_prefix(passphrase::MARK) {
            return Stretching::parse(stretching).map(Self::Passphrase);
        }
        let digits = line.strip_prefix(MARK)?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let bytes = from_hex(digits)?;
        Some(Self::Key(RootKey { bytes, source: Source::File }))
    }
}

fn from_hex(digits: &str) -> Option<Box<Zeroizing<[u8; 32]>>> {
    let mut bytes = Box::<Zeroizing<[u8; 32]>>::default();
    if digits.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            // Below 16, so it fits a byte.
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
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

    const DIGITS: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    /// What a sealed thing needs to be opened again, each key in its own way.
    fn reopened(path: &Path) -> RootKey {
        match RootKeyFile::load(path).unwrap() {
            RootKeyFile::Key(key) => key,
            RootKeyFile::Passphrase(stretching) => {
                RootKey::from_passphrase(b"correct horse", stretching).unwrap()
            }
            RootKeyFile::Environment => RootKey::from_digits(DIGITS).unwrap(),
        }
    }

    fn one_of_each(random: &SeededRandom) -> [RootKey; 3] {
        [
            RootKey::generate(random),
            RootKey::from_passphrase(b"correct horse", Stretching::cheap(random)).unwrap(),
            RootKey::from_digits(DIGITS).unwrap(),
        ]
    }

    #[test]
    fn a_key_from_anywhere_opens_what_the_key_sealed() {
        let random = SeededRandom::new(1);
        for key in one_of_each(&random) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("root.key");
            key.save(&path).unwrap();
            let sealed = key.seal(Purpose::StoreKey, b"aad", b"secret", &random);
            let loaded = reopened(&path);
            assert_eq!(loaded.source(), key.source());
            let opened = loaded.open(Purpose::StoreKey, b"aad", &sealed);
            assert_eq!(opened.unwrap().as_slice(), b"secret");
            assert!(loaded.open(Purpose::Change, b"aad", &sealed).is_err());
            assert!(matches!(key.save(&path), Err(EngineError::File { action: "create", .. })));
            let directly = RootKey::load(&path);
            assert_eq!(directly.is_ok(), key.source() == "file");
        }
    }

    #[test]
    fn a_file_is_replaced_and_only_its_owner_can_read_the_new_one() {
        let random = SeededRandom::new(2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        RootKey::generate(&random).save(&path).unwrap();
        for key in one_of_each(&random) {
            key.replace(&path).unwrap();
            assert_eq!(reopened(&path).bytes, key.bytes);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn digits_and_passphrases_that_are_none_are_refused() {
        assert!(RootKey::from_digits(&DIGITS.to_uppercase()).is_ok());
        for bad in [&DIGITS[1..], &format!("{DIGITS}0"), &DIGITS.replace('f', "g"), ""] {
            assert!(matches!(RootKey::from_digits(bad), Err(EngineError::RootKeyDigits)));
        }
        let stretching = Stretching::cheap(&SeededRandom::new(3));
        let short = RootKey::from_passphrase(b"seven77", stretching);
        assert!(matches!(short, Err(EngineError::PassphraseTooShort)));
    }

    #[test]
    fn the_schema_names_each_purpose_and_the_files() {
        let schema = include_str!("../../../schemas/sealed-state.md");
        for purpose in Purpose::ALL {
            assert!(schema.contains(&format!("| `{}` |", purpose.text())), "{}", purpose.text());
        }
        let salt = "salt as 32 hexadecimal digits";
        let stretching = Stretching::generate(&SeededRandom::new(4)).to_string();
        let (costs, _) = stretching.rsplit_once(' ').unwrap();
        for line in [
            format!(
                "file        = \"{MARK}\" ‖ 64 lower-case hexadecimal digits ‖ \"\\n\"      mode 0600\n"
            ),
            format!("passphrase  = \"{}{costs} \" ‖ {salt} ‖ \"\\n\"\n", passphrase::MARK),
            format!("environment = \"{}\" ‖ \"\\n\"\n", ENVIRONMENT.trim_end()),
        ] {
            assert!(schema.contains(&line), "{line}");
            assert!(include_str!("root_key.rs").contains(&format!("//! {line}")), "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        RootKey::generate(&SeededRandom::new(2)).save(&path).unwrap();
        for exposed in [0o640, 0o604, 0o610] {
            std::fs::set_permissions(&path, mode(exposed)).unwrap();
            assert!(matches!(RootKey::load(&path), Err(EngineError::RootKeyExposed { .. })));
        }
        RootKey::generate(&SeededRandom::new(3)).replace(&path).unwrap();
        assert!(RootKey::load(&path).is_ok(), "a replaced file is not exposed any more");
    }

    #[test]
    fn anything_but_the_whole_file_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        for key in one_of_each(&SeededRandom::new(3)) {
            let text = key.to_text();
            let mut bad = (0..text.len()).map(|end| text[..end].to_owned()).collect::<Vec<_>>();
            bad.extend([
                format!("{}\n", *text),
                format!(" {}", *text),
                text.to_uppercase(),
                text.replace("-1", "-2"),
                text.replace('a', "+"),
                text.repeat(3),
            ]);
            for content in bad {
                std::fs::write(&path, &content).unwrap();
                set_private(&path);
                let error = RootKeyFile::load(&path).err().unwrap();
                assert!(matches!(error, EngineError::RootKeyFile { .. }), "{content}: {error:?}");
                let secret = text.trim_end().split(' ').next_back().unwrap();
                assert!(!error.to_string().contains(secret));
            }
        }
    }

    #[cfg(unix)]
    fn set_private(path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[cfg(not(unix))]
    fn set_private(_: &Path) {}
}
