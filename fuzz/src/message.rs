//! Encrypted messages: whatever is done to one, no other data comes out of it, and none from bytes that were never one.
//!
//! The input's first byte chooses a genuine message, its second whether the rest is edits of it (`edits`), stands for the
//! whole message, is appended to it, or begins with the marks of an old suite.

use keytrail_envelope::{
    Commitment, DataKey, Demands, EncryptOptions, EncryptedDataKey, EncryptionContext, Suite,
    encrypt, open,
};
use zeroize::Zeroizing;

use super::edits::edited;

/// Two frames and a half.
const PLAINTEXT: &[u8] = &[7; 80];

/// Suites without key commitment, each begun by its version, type and id.
const OLD: [[u8; 4]; 3] = [[1, 0x80, 0, 0x14], [1, 0x80, 1, 0x78], [1, 0x80, 3, 0x78]];

/// Genuine messages, one signed and one not.
pub struct Messages([Vec<u8>; 2]);

impl Default for Messages {
    fn default() -> Self {
        Self([Suite::COMMITTED, Suite::COMMITTED_AND_SIGNED].map(genuine))
    }
}

impl Messages {
    /// Tampers, and opens.
    pub fn message(&self, data: &[u8]) {
        let (&[which, how], rest) = data.split_first_chunk().unwrap_or((&[0, 0], data));
        let [unsigned, signed] = &self.0;
        let genuine = if which % 2 == 0 { unsigned } else { signed };
        let message = match how % 4 {
            0 => edited(genuine, rest),
            1 => rest.to_vec(),
            2 => [genuine, rest].concat(),
            _ => [&OLD[usize::from(which) % OLD.len()][..], rest].concat(),
        };
        let demands = Demands { commitment: Commitment::Optional, context: Vec::new() };
        let mut source = message.as_slice();
        let Ok(opened) = open(&mut source, &demands, |_, _| Ok::<_, String>(data_key())) else {
            return;
        };
        let is_signed = opened.suite().is_signed();
        let mut plaintext = Vec::new();
        let contents = opened.write_to(&mut plaintext);
        assert!(PLAINTEXT.starts_with(&plaintext), "other data came out of a message");
        if contents.is_ok() {
            assert!(self.0.contains(&message) && plaintext == PLAINTEXT, "signed: {is_signed}");
        }
    }
}

fn genuine(suite: Suite) -> Vec<u8> {
    let context = EncryptionContext::new([("purpose".to_owned(), "fuzzing".to_owned())]);
    let options = EncryptOptions {
        suite,
        frame_length: 32,
        ..EncryptOptions::new(context.expect("short"), [9; 32])
    };
    let encrypted = EncryptedDataKey {
        provider: "fuzz".to_owned(),
        provider_info: b"key".to_vec(),
        ciphertext: vec![7; 20],
    };
    let mut message = Vec::new();
    let keys = |_: &EncryptionContext| Ok::<_, String>((data_key(), vec![encrypted]));
    encrypt(&mut &PLAINTEXT[..], &mut message, options, keys).expect("a message");
    message
}

/// 32 bytes, which is no key for the suites of 128 and 192 bits: those are read as far as their header.
fn data_key() -> DataKey {
    DataKey::new(Zeroizing::new(vec![7; 32]))
}
