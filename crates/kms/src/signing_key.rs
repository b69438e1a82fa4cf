//! The keys that sign the two ledgers: the one of calls, and the lake's catalog. Their seeds lie sealed in `DATA/keys/`.
//!
//! They are made at random and not derived from the root key, so that the root key can be changed without changing the
//! public keys that auditors hold.
//!
//! ```text
//! file = salt[16] ‖ AES-256-GCM(seed[32]) ‖ tag[16]      aad = name of the file
//! ```

use std::io;
use std::path::Path;

use keytrail_ledger::{Random, SigningKey};
use zeroize::Zeroizing;

use crate::sealing::Purpose;
use crate::store_key::StoreKey;
use crate::{EngineError, RootKey, files};

/// A sealed seed has exactly this many bytes.
const FILE_LEN: usize = 32 + crate::sealing::OVERHEAD;

/// Which ledger a key signs.
#[derive(Clone, Copy)]
pub(crate) enum Signer {
    /// The ledger of calls, `DATA/ledger`.
    Ledger,
    /// The lake's catalog, `DATA/lake/catalog`.
    Catalog,
}

impl Signer {
    const fn file(self) -> &'static str {
        match self {
            Self::Ledger => "ledger.seed",
            Self::Catalog => "catalog.seed",
        }
    }
}

/// The key that signs the lake's catalog: made on first use, then always the same. `data` is the directory of an engine, which
/// need not be open.
pub fn catalog_signing_key(
    data: &Path,
    root_key: &RootKey,
    random: &dyn Random,
) -> Result<SigningKey, EngineError> {
    let (store_key, _) = StoreKey::load(data, root_key)?;
    match load(data, Signer::Catalog, &store_key) {
        Err(EngineError::SigningKeyMissing { .. }) => {
            make(data, Signer::Catalog, &store_key, random)
        }
        other => other,
    }
}

/// Makes a signing key and stores it, in a `keys` folder that is there; durable on return.
pub(crate) fn make(
    data: &Path,
    signer: Signer,
    store_key: &StoreKey,
    random: &dyn Random,
) -> Result<SigningKey, EngineError> {
    let path = data.join("keys").join(signer.file());
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut());
    let sealed =
        store_key.seal(Purpose::SigningSeed, signer.file().as_bytes(), seed.as_ref(), random);
    files::replace_durably(&path, &sealed)
        .map_err(|source| EngineError::io("write", &path, source))?;
    Ok(SigningKey::from_seed(&seed))
}

/// Opens a stored signing key.
pub(crate) fn load(
    data: &Path,
    signer: Signer,
    store_key: &StoreKey,
) -> Result<SigningKey, EngineError> {
    let path = data.join("keys").join(signer.file());
    let sealed =
        files::read_limited(&path, FILE_LEN as u64).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => EngineError::SigningKeyMissing { path: path.clone() },
            _ => EngineError::io("read", &path, source),
        })?;
    let seed = store_key.open(Purpose::SigningSeed, signer.file().as_bytes(), &sealed);
    let seed = seed.map_err(|_| EngineError::ForeignFile { path: path.clone() })?;
    let seed: &[u8; 32] =
        seed.as_slice().try_into().map_err(|_| EngineError::ForeignFile { path: path.clone() })?;
    Ok(SigningKey::from_seed(seed))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_ledger::Origin;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn the_catalog_key_is_made_once_and_opens_only_with_its_root_key() {
        let data = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let root_key = RootKey::generate(&random);
        std::fs::create_dir(data.path().join("keys")).unwrap();
        StoreKey::create(data.path(), &root_key, &random).unwrap();
        let origin = Origin::new("example.org/catalog").unwrap();
        let first = catalog_signing_key(data.path(), &root_key, &random).unwrap();
        let again = catalog_signing_key(data.path(), &root_key, &random).unwrap();
        assert_eq!(first.verifying_key(&origin), again.verifying_key(&origin));
        let other = catalog_signing_key(data.path(), &RootKey::generate(&random), &random);
        assert!(matches!(other, Err(EngineError::WrongRootKey { .. })));
    }

    #[test]
    fn a_signing_key_of_another_place_or_directory_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(2);
        let (store_key, other) = (StoreKey::for_tests(&random), StoreKey::for_tests(&random));
        let keys = data.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        make(data.path(), Signer::Ledger, &store_key, &random).unwrap();
        std::fs::copy(keys.join("ledger.seed"), keys.join("catalog.seed")).unwrap();
        assert!(load(data.path(), Signer::Ledger, &store_key).is_ok());
        for (signer, store_key) in [(Signer::Catalog, &store_key), (Signer::Ledger, &other)] {
            let refused = load(data.path(), signer, store_key);
            assert!(matches!(refused, Err(EngineError::ForeignFile { .. })));
        }
    }
}
