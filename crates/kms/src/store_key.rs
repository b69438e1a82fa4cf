//! The store key: what everything in the data directory is sealed under, and the one thing that the root key seals.
//!
//! It is what AWS would call an AWS owned key: the service's own, in no account, no list and no record, without policy or
//! alias, and nobody can call it. It is made with the directory and never changes, so that the root key can be another one
//! without anything being written anew. Each use has a purpose of its own, which goes into the key derivation (`sealing`):
//! what was sealed as one thing cannot be opened as another.
//!
//! ```text
//! offset  bytes  field
//!      0      4  mark       "KTK" and the format version 1
//!      4     64  sealed     salt, AES-256-GCM of the store key under the root key, tag
//!     68     64  sealed     the same under the root key to come; only while it is changed
//! ```
//!
//! Associated data is the mark. Changing the root key takes two files, this one and the root key's own, and no disk replaces
//! two files at once. So the new root key opens the store key before it is in its file, and the old one until it is not:
//!
//! ```text
//! 1. this file gets the second field      a crash here: the old root key is in force, and opens as before
//! 2. the root key's file is replaced      a crash here: the new one is in force, and the next opening does what is left
//! 3. the change is on record              a crash here: the next opening records it once more
//! 4. this file keeps the new field only   from here on the old root key opens nothing
//! ```
//!
//! A second field is taken away by nobody who opens with the first: another process may be past step 2 by then.
//!
//! What a backup means: a copy of this file from before, with the root key of that time, opens the store key for ever. If an
//! old root key is known to somebody who also has such a copy, changing the root key does not help.

use std::io;
use std::path::{Path, PathBuf};

use keytrail_ledger::Random;
use zeroize::Zeroizing;

use crate::sealing::{self, NotAuthentic, OVERHEAD, Purpose};
use crate::{EngineError, RootKey, files};

const MARK: &[u8; 4] = b"KTK\x01";
/// The store key, sealed.
const SEALED_LEN: usize = 32 + OVERHEAD;
const FILE_LEN_MAX: u64 = (MARK.len() + 2 * SEALED_LEN) as u64;

const FILE: &str = "store-key";

/// The key that seals everything else. Neither shown nor copied; wiped when dropped.
pub(crate) struct StoreKey(Box<Zeroizing<[u8; 32]>>);

/// Which field of the file opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    First,
    /// Only the second: the root key was changed, and whoever changed it did not come to the end.
    Second,
}

impl StoreKey {
    /// Makes the store key of a data directory, whose `keys` folder is there; durable on return.
    pub(crate) fn create(
        data: &Path,
        root_key: &RootKey,
        random: &dyn Random,
    ) -> Result<Self, EngineError> {
        let store_key = Self::generate(random);
        let sealed = store_key.sealed_by(root_key, random);
        let path = file(data);
        files::replace_durably(&path, &[MARK, sealed.as_slice()].concat())
            .map_err(|source| EngineError::io("write", &path, source))?;
        Ok(store_key)
    }

    /// Opens the store key of a data directory.
    pub(crate) fn load(data: &Path, root_key: &RootKey) -> Result<(Self, Field), EngineError> {
        let path = file(data);
        let wrong = || EngineError::WrongRootKey { path: path.clone() };
        let content = read(&path)?;
        let (first, second) = fields(&content).ok_or_else(|| wrong_file(&path))?;
        let open = |sealed| root_key.open(Purpose::StoreKey, MARK, sealed).ok();
        let (opened, field) = match open(first) {
            Some(opened) => (opened, Field::First),
            None => (second.and_then(open).ok_or_else(wrong)?, Field::Second),
        };
        let mut store_key = Self(Box::default());
        store_key.0.copy_from_slice(opened.get(..32).ok_or_else(wrong)?);
        Ok((store_key, field))
    }

    /// Lets this root key open the store key as well: step 1.
    pub(crate) fn admit(
        &self,
        data: &Path,
        root_key: &RootKey,
        random: &dyn Random,
    ) -> Result<(), EngineError> {
        let path = file(data);
        let content = read(&path)?;
        let (first, _) = fields(&content).ok_or_else(|| wrong_file(&path))?;
        replace(&path, &[MARK, first, &self.sealed_by(root_key, random)].concat())
    }

    /// Lets the root key to come be the only one that opens the store key: step 4.
    pub(crate) fn settle(data: &Path) -> Result<(), EngineError> {
        let path = file(data);
        let content = read(&path)?;
        match fields(&content).ok_or_else(|| wrong_file(&path))? {
            (_, Some(second)) => replace(&path, &[MARK, second].concat()),
            (_, None) => Ok(()),
        }
    }

    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        aad: &[u8],
        plaintext: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        sealing::seal(&self.0, purpose, aad, plaintext, random)
    }

    pub(crate) fn open(
        &self,
        purpose: Purpose,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        sealing::open(&self.0, purpose, aad, sealed)
    }

    fn sealed_by(&self, root_key: &RootKey, random: &dyn Random) -> Vec<u8> {
        root_key.seal(Purpose::StoreKey, MARK, self.0.as_slice(), random)
    }

    fn generate(random: &dyn Random) -> Self {
        let mut store_key = Self(Box::default());
        random.fill(store_key.0.as_mut().as_mut());
        store_key
    }

    /// A store key that lies nowhere.
    #[cfg(test)]
    pub(crate) fn for_tests(random: &dyn Random) -> Self {
        Self::generate(random)
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("keys").join(FILE)
}

fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    files::read_limited(path, FILE_LEN_MAX).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => EngineError::StoreKeyMissing { path: path.to_owned() },
        io::ErrorKind::FileTooLarge => wrong_file(path),
        _ => EngineError::io("read", path, source),
    })
}

/// The sealed store key, and the one under the root key to come.
fn fields(content: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let sealed = content.strip_prefix(MARK)?;
    match sealed.len() {
        SEALED_LEN => Some((sealed, None)),
        len if len == 2 * SEALED_LEN => {
            sealed.split_at_checked(SEALED_LEN).map(|(first, second)| (first, Some(second)))
        }
        _ => None,
    }
}

fn wrong_file(path: &Path) -> EngineError {
    EngineError::StoreKeyFile { path: path.to_owned() }
}

fn replace(path: &Path, content: &[u8]) -> Result<(), EngineError> {
    files::replace_and_wipe(path, content)
        .map_err(|source| EngineError::io("replace", path, source))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use keytrail_testkit::SeededRandom;
    use tempfile::TempDir;

    fn made(random: &SeededRandom) -> (TempDir, StoreKey, RootKey) {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("keys")).unwrap();
        let root_key = RootKey::generate(random);
        let store_key = StoreKey::create(data.path(), &root_key, random).unwrap();
        (data, store_key, root_key)
    }

    fn field(data: &Path, root_key: &RootKey) -> Result<Field, EngineError> {
        StoreKey::load(data, root_key).map(|(_, field)| field)
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut drawn = "offset  bytes  field\n".to_owned();
        for (offset, bytes, field) in [
            (0, MARK.len(), "mark       \"KTK\" and the format version 1"),
            (
                4,
                SEALED_LEN,
                "sealed     salt, AES-256-GCM of the store key under the root key, tag",
            ),
            (
                4 + SEALED_LEN,
                SEALED_LEN,
                "sealed     the same under the root key to come; only while it is changed",
            ),
        ] {
            writeln!(drawn, "{offset:>6}  {bytes:>5}  {field}").unwrap();
        }
        assert!(include_str!("../../../schemas/sealed-state.md").contains(&drawn), "{drawn}");
        assert!(include_str!("store_key.rs").replace("//! ", "").contains(&drawn), "{drawn}");
    }

    #[test]
    fn while_the_root_key_is_changed_both_open_and_then_the_new_one_only() {
        let random = SeededRandom::new(1);
        let (data, store_key, old) = made(&random);
        let data = data.path();
        let new = RootKey::generate(&random);
        let sealed = store_key.seal(Purpose::Change, b"", b"state", &random);
        assert!(matches!(field(data, &new), Err(EngineError::WrongRootKey { .. })));
        store_key.admit(data, &new, &random).unwrap();
        assert_eq!(field(data, &old).unwrap(), Field::First);
        assert_eq!(field(data, &new).unwrap(), Field::Second);
        // Begun anew after a crash: only the newest comes.
        let newest = RootKey::generate(&random);
        store_key.admit(data, &newest, &random).unwrap();
        assert!(field(data, &new).is_err());
        for _ in 0..2 {
            StoreKey::settle(data).unwrap();
            assert!(matches!(field(data, &old), Err(EngineError::WrongRootKey { .. })));
            assert_eq!(field(data, &newest).unwrap(), Field::First);
        }
        let (again, _) = StoreKey::load(data, &newest).unwrap();
        assert_eq!(again.open(Purpose::Change, b"", &sealed).unwrap().as_slice(), b"state");
        assert!(again.open(Purpose::Snapshot, b"", &sealed).is_err());
    }

    #[test]
    fn a_changed_or_cut_file_opens_for_nobody() {
        let random = SeededRandom::new(2);
        let (data, store_key, old) = made(&random);
        let path = file(data.path());
        let new = RootKey::generate(&random);
        let one = std::fs::read(&path).unwrap();
        store_key.admit(data.path(), &new, &random).unwrap();
        let both = std::fs::read(&path).unwrap();
        for good in [&one, &both] {
            for bit in 0..good.len() * 8 {
                let mut flipped = good.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, &flipped).unwrap();
                // The mark is for both, each field for its own.
                let opens = |root_key| field(data.path(), root_key).is_ok();
                let expected = match bit / 8 {
                    0..4 => (false, false),
                    4..68 => (false, good.len() > 68),
                    _ => (true, false),
                };
                assert_eq!((opens(&old), opens(&new)), expected, "bit {bit}");
            }
            for end in 0..good.len() {
                std::fs::write(&path, &good[..end]).unwrap();
                // Cut after the first field, the longer one is the shorter.
                let whole = end == one.len();
                assert_eq!(field(data.path(), &old).is_ok(), whole, "cut at {end}");
                assert!(field(data.path(), &new).is_err(), "cut at {end}");
            }
        }
        std::fs::write(&path, [both, vec![0]].concat()).unwrap();
        assert!(matches!(field(data.path(), &old), Err(EngineError::StoreKeyFile { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(field(data.path(), &old), Err(EngineError::StoreKeyMissing { .. })));
    }
}
