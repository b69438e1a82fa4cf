//! The parts of a message that are encrypted, each with its own nonce and under its own description.
//!
//! ```text
//! frame        = sequence u32 ‖ nonce[12] ‖ ciphertext[frame length] ‖ tag[16]
//! final frame  = 0xffffffff ‖ sequence u32 ‖ nonce[12] ‖ length u32 ‖ ciphertext[length] ‖ tag[16]
//! single block = nonce[12] ‖ length u64 ‖ ciphertext[length] ‖ tag[16]
//! aad          = message id ‖ kind ‖ sequence u32 ‖ length u64
//! kind         = "AWSKMSEncryptionClient Frame" | "… Final Frame" | "… Single Block"
//! ```
//!
//! Frames are counted from 1 and the nonce is the number, so nonces never repeat under one message key; the header, whose tag
//! is under the same key, has the number 0. Because number, length and kind are authenticated, no frame can stand in another's
//! place, and the last one cannot go missing.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;

use crate::EnvelopeError;

/// Bytes of an authentication tag.
pub(crate) const TAG_LEN: usize = 16;
/// Bytes of a nonce.
pub(crate) const IV_LEN: usize = NONCE_LEN;
/// What stands in the place of a sequence number before the final frame.
pub(crate) const FINAL_FRAME: u32 = u32::MAX;

/// What a part of the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Frame,
    FinalFrame,
    SingleBlock,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "AWSKMSEncryptionClient Frame",
            Self::FinalFrame => "AWSKMSEncryptionClient Final Frame",
            Self::SingleBlock => "AWSKMSEncryptionClient Single Block",
        }
    }
}

/// Encrypts and decrypts the parts of one message.
pub(crate) struct BodyCipher<'a> {
    pub(crate) key: &'a LessSafeKey,
    pub(crate) message_id: &'a [u8],
}

impl BodyCipher<'_> {
    /// Encrypts in place; the tag.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        sequence: u32,
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], EnvelopeError> {
        let aad = Aad::from(self.description(kind, sequence, text.len()));
        seal(self.key, &nonce(sequence), aad, text)
    }

    /// Decrypts in place; says no if anything about the part is not as it was sealed.
    pub(crate) fn open(
        &self,
        kind: Kind,
        sequence: u32,
        iv: [u8; IV_LEN],
        ciphertext: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        let aad = Aad::from(self.description(kind, sequence, ciphertext.len()));
        let nonce = Nonce::assume_unique_for_key(iv);
        self.key.open_in_place_separate_tag(nonce, aad, tag, ciphertext).map(drop)
    }

    fn description(&self, kind: Kind, sequence: u32, length: usize) -> Vec<u8> {
        let mut aad = self.message_id.to_vec();
        aad.extend_from_slice(kind.as_str().as_bytes());
        aad.extend_from_slice(&sequence.to_be_bytes());
        aad.extend_from_slice(&(length as u64).to_be_bytes());
        aad
    }
}

/// The tag over a header, which encrypts nothing.
pub(crate) fn header_tag(key: &LessSafeKey, header: &[u8]) -> Result<[u8; TAG_LEN], EnvelopeError> {
    seal(key, &nonce(0), Aad::from(header.to_vec()), &mut [])
}

/// Whether the tag is the header's.
pub(crate) fn is_header_tag(
    key: &LessSafeKey,
    header: &[u8],
    iv: [u8; IV_LEN],
    tag: &[u8],
) -> bool {
    let nonce = Nonce::assume_unique_for_key(iv);
    key.open_in_place_separate_tag(nonce, Aad::from(header), tag, &mut []).is_ok()
}

/// The number of a frame as its nonce; the header's is 0.
pub(crate) fn nonce(sequence: u32) -> [u8; IV_LEN] {
    let mut iv = [0; IV_LEN];
    let (_, number) = iv.split_at_mut(IV_LEN - 4);
    number.copy_from_slice(&sequence.to_be_bytes());
    iv
}

fn seal(
    key: &LessSafeKey,
    iv: &[u8; IV_LEN],
    aad: Aad<Vec<u8>>,
    text: &mut [u8],
) -> Result<[u8; TAG_LEN], EnvelopeError> {
    let failed = EnvelopeError::Cryptography { action: "encrypt" };
    match key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(*iv), aad, text) {
        Ok(tag) => tag.as_ref().try_into().map_err(|_| failed),
        Err(_) => Err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let document = include_str!("../../../schemas/encrypted-message.md");
        let module = include_str!("body.rs").replace("//! ", "");
        let drawn = module.split("```").nth(1).unwrap_or_default();
        assert!(
            drawn.starts_with("text\nframe        = sequence") && document.contains(drawn),
            "{drawn}"
        );
        for kind in [Kind::Frame, Kind::FinalFrame, Kind::SingleBlock] {
            let short = kind.as_str().replace("AWSKMSEncryptionClient ", "");
            assert!(document.contains(&short), "{short}");
        }
        assert_eq!(nonce(0x0102_0304), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    }
}
