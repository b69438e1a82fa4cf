//! Inputs that are changes of something genuine: what is sealed or signed cannot be guessed, only be tampered with.
//!
//! ```text
//! input = edit*      edit = position u16 LE, then one byte: XOR; a position of 0xffff cuts to as many bytes
//! ```

/// The genuine bytes with the changes that the input describes.
pub(crate) fn edited(genuine: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    for edit in edits.chunks_exact(3) {
        let position = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        if position == usize::from(u16::MAX) {
            let keep = bytes.len().saturating_sub(usize::from(edit[2]));
            bytes.truncate(keep);
        } else if let Some(byte) = bytes.get_mut(position) {
            *byte ^= edit[2];
        }
    }
    bytes
}
