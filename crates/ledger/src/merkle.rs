//! RFC 6962 Merkle trees: hashes, the growing edge of a tree, proofs and their verification.
//!
//! Pure mathematics: no I/O, no signatures, no idea of what a leaf holds. A leaf hash is
//! `SHA-256(0x00 ‖ leaf)`, a node `SHA-256(0x01 ‖ left ‖ right)`, the tree of n leaves splits at
//! the largest power of two below n (RFC 6962 §2.1; the same tree as RFC 9162).
//!
//! The verifiers rebuild *every* root they are asked about and use up *every* hash of a proof. A
//! consistency check that does less accepts forgeries; such checks have been shipped.

use crate::hash::Hash;

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// The hash of a leaf with this content.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash::of_parts(&[&[0x00], leaf])
}

/// The hash of the node above these two.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * Hash::LEN];
    bytes[1..=Hash::LEN].copy_from_slice(left.as_bytes());
    bytes[1 + Hash::LEN..].copy_from_slice(right.as_bytes());
    Hash::of(&bytes)
}

/// The right edge of a tree: the roots of its complete subtrees, largest first. All that a writer
/// needs in order to append and to know the root; 64 hashes at most.
///
/// Invariant: one hash for each 1 bit of `size`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The edge of the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge with these subtree roots; `None` unless there is one for each 1 bit of `size`, and
    /// for sizes of 2⁶³ and more, which no log reaches and a forged header may claim.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        let fits = size >> 63 == 0 && hashes.len() == size.count_ones() as usize;
        fits.then_some(Self { size, hashes })
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing 1 bit of the size is a complete subtree as large as the one just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        let mut from_right = self.hashes.iter().rev().copied();
        let Some(last) = from_right.next() else { return empty_root() };
        from_right.fold(last, |right, left| node_hash(&left, &right))
    }

    /// Leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// The root over these leaf hashes.
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The index lies outside the tree, or the old tree is larger than the new one.
    #[error("index or size lies outside the tree")]
    OutOfRange,
    /// A proof for these sizes has another number of hashes.
    #[error("the proof has {found} hashes, one for these sizes has {expected}")]
    Length {
        /// Hashes that a proof for these sizes has.
        expected: usize,
        /// Hashes given.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The hashes that lead from leaf `index` to the root over `leaves`, lowest first (RFC 6962
/// §2.1.1); `None` if there is no such leaf. Reads all leaves: time grows with their number.
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut index = usize::try_from(index).ok().filter(|&index| index < leaves.len())?;
    let mut range = leaves;
    let mut proof = Vec::new();
    while range.len() > 1 {
        let (left, right) = range.split_at(split(range.len()));
        if index < left.len() {
            proof.push(root_of(right));
            range = left;
        } else {
            proof.push(root_of(left));
            index -= left.len();
            range = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Checks that `leaf` is leaf `index` of the tree with `size` leaves and this root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    // Below `inner` the path of the leaf and the path of the last leaf differ, so that there is a
    // sibling on every level; above, only where the path turns right (RFC 9162 §2.1.3.2).
    let inner = bits(index ^ (size - 1));
    let expected = inner as usize + shift(index, inner).count_ones() as usize;
    let (lower, upper) = proof
        .split_at_checked(inner as usize)
        .filter(|_| proof.len() == expected)
        .ok_or(ProofError::Length { expected, found: proof.len() })?;
    let hash = lower.iter().enumerate().fold(*leaf, |hash, (level, sibling)| {
        if index >> level & 1 == 0 { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) }
    });
    let hash = upper.iter().fold(hash, |hash, left| node_hash(left, &hash));
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// The hashes that show that the tree over all `leaves` continues the tree over the first
/// `old_size` of them (RFC 6962 §2.1.2); `None` if there are fewer leaves than that. Reads all
/// leaves.
pub fn consistency_proof(leaves: &[Hash], old_size: u64) -> Option<Vec<Hash>> {
    let mut old = usize::try_from(old_size).ok().filter(|&old| old <= leaves.len())?;
    if old == 0 {
        return Some(Vec::new());
    }
    let mut range = leaves;
    let mut proof = Vec::new();
    // Whether the old tree ends inside a subtree whose root the verifier does not know.
    let mut cut = false;
    while old < range.len() {
        let (left, right) = range.split_at(split(range.len()));
        if old <= left.len() {
            proof.push(root_of(right));
            range = left;
        } else {
            proof.push(root_of(left));
            old -= left.len();
            range = right;
            cut = true;
        }
    }
    if cut {
        proof.push(root_of(range));
    }
    proof.reverse();
    Some(proof)
}

/// Checks that the tree of `new_size` leaves continues the tree of `old_size` leaves, by
/// rebuilding both roots from the same hashes (RFC 9162 §2.1.4.2).
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange);
    }
    if old_size == 0 || old_size == new_size {
        // Nothing to walk: an empty tree is continued by every tree, a tree by itself.
        let expected_root = if old_size == 0 { empty_root() } else { *new_root };
        return match proof {
            [] if *old_root == expected_root => Ok(()),
            [] => Err(ProofError::Root),
            _ => Err(ProofError::Length { expected: 0, found: proof.len() }),
        };
    }
    let expected = consistency_len(old_size, new_size);
    let wrong_length = ProofError::Length { expected, found: proof.len() };
    if proof.len() != expected {
        return Err(wrong_length);
    }
    // A power of two is one complete subtree, whose root the verifier holds: it is not in the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(wrong_length)?;
        (*first, rest)
    };
    let (rebuilt_old, rebuilt_new) = climb(old_size - 1, new_size - 1, first, rest);
    if rebuilt_old == *old_root && rebuilt_new == *new_root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Walks from the last node of the old tree to both roots. `old` and `new` are the indices of the
/// last leaves.
fn climb(mut old: u64, mut new: u64, first: Hash, rest: &[Hash]) -> (Hash, Hash) {
    let skip = old.trailing_ones();
    old = shift(old, skip);
    new = shift(new, skip);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if old & 1 == 1 || old == new {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while old & 1 == 0 && old != 0 {
                old >>= 1;
                new >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        old >>= 1;
        new >>= 1;
    }
    (old_hash, new_hash)
}

/// Hashes of the consistency proof between two sizes, `0 < old_size < new_size`.
fn consistency_len(old_size: u64, new_size: u64) -> usize {
    let level = old_size.trailing_zeros();
    // An inclusion proof of the old tree's last complete subtree in the new tree, and that
    // subtree's own root where the verifier does not hold it.
    let index = shift(old_size - 1, level);
    let inner = bits(index ^ shift(new_size - 1, level));
    let path = inner as usize + shift(index, inner).count_ones() as usize;
    path + usize::from(!old_size.is_power_of_two())
}

/// The largest power of two below `len`, which is at least 2.
fn split(len: usize) -> usize {
    1 << (usize::BITS - 1 - (len - 1).leading_zeros())
}

/// Bits that a number needs.
fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// A shift that may be as wide as the number.
fn shift(number: u64, by: u32) -> u64 {
    number.checked_shr(by).unwrap_or(0)
}
