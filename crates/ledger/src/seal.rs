//! Authentication codes inside segments: how a writer knows its own unsigned batches again.
//!
//! A checkpoint is signed only after its batch is durable. When the machine goes down in between,
//! the batch is whole and unsigned, and opening the ledger signs it. Without a code in its trailer,
//! anybody who can write to the disk could append entries and have them signed by the next start.
//!
//! The code is HMAC-SHA-256 (RFC 2104) under a key derived from the signing key, so only the
//! writer can check it; whoever has the public key alone relies on the signature, which covers
//! everything but the unsigned tail.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::frame::Trailer;
use crate::hash::Hash;
use crate::note::SigningKey;
use crate::origin::Origin;

/// Bytes of a code.
pub(crate) const MAC_LEN: usize = 32;

const KEY_DOMAIN: &[u8] = b"keytrail/ledger/seal/v1\0";

/// Makes and checks the codes of one ledger. Holds a secret, hence neither `Debug` nor `Clone`.
pub(crate) struct Seal {
    keyed: Hmac<Sha256>,
}

impl Seal {
    pub(crate) fn new(key: &SigningKey, origin: &Origin) -> Self {
        let secret = key.derive(KEY_DOMAIN);
        let mut keyed = Hmac::<Sha256>::new_from_slice(secret.as_slice())
            .expect("HMAC takes a key of any length");
        // One signing key may serve several logs; a batch of one must not pass in another.
        keyed.update(origin.hash().as_bytes());
        Self { keyed }
    }

    /// The code of a batch that begins with this entry, and ends at this size and root.
    pub(crate) fn batch(&self, first: u64, size: u64, root: &Hash) -> [u8; MAC_LEN] {
        self.over_batch(first, size, root).finalize().into_bytes().into()
    }

    /// Whether the code in a trailer is its own; takes the same time whatever differs.
    pub(crate) fn holds_for_batch(&self, trailer: &Trailer) -> bool {
        let Trailer { first, size, root, mac } = trailer;
        self.over_batch(*first, *size, root).verify(&(*mac).into()).is_ok()
    }

    /// The code of a segment header with these bytes.
    pub(crate) fn header(&self, bytes: &[u8]) -> [u8; MAC_LEN] {
        self.over_header(bytes).finalize().into_bytes().into()
    }

    /// Whether `mac` is the code of that header.
    pub(crate) fn holds_for_header(&self, bytes: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        self.over_header(bytes).verify(&(*mac).into()).is_ok()
    }

    // The first byte tells the two uses apart.

    fn over_batch(&self, first: u64, size: u64, root: &Hash) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(b"b");
        mac.update(&first.to_be_bytes());
        mac.update(&size.to_be_bytes());
        mac.update(root.as_bytes());
        mac
    }

    fn over_header(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(b"h");
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::Seal;
    use crate::frame::Trailer;
    use crate::hash::Hash;
    use crate::note::SigningKey;
    use crate::origin::Origin;

    #[test]
    fn a_code_holds_for_its_log_key_use_and_content_only() {
        let seal = |seed: u8, origin: &str| {
            Seal::new(&SigningKey::from_seed(&[seed; 32]), &Origin::new(origin).unwrap())
        };
        let root = Hash::of(b"root");
        let mac = seal(1, "a").batch(4, 5, &root);
        let trailer = Trailer { first: 4, size: 5, root, mac };
        assert!(seal(1, "a").holds_for_batch(&trailer));
        assert!(!seal(1, "b").holds_for_batch(&trailer));
        assert!(!seal(2, "a").holds_for_batch(&trailer));
        for other in [
            Trailer { first: 3, ..trailer },
            Trailer { size: 6, ..trailer },
            Trailer { root: Hash::of(b"other"), ..trailer },
        ] {
            assert!(!seal(1, "a").holds_for_batch(&other));
        }
        let bytes = [&4_u64.to_be_bytes()[..], &5_u64.to_be_bytes(), root.as_bytes()].concat();
        assert!(!seal(1, "a").holds_for_header(&bytes, &mac));
        let mac = seal(1, "a").header(&bytes);
        assert!(seal(1, "a").holds_for_header(&bytes, &mac));
        assert!(!seal(1, "a").holds_for_header(&bytes[1..], &mac));
    }
}
