//! RFC 6962 trees: the published answers, a second implementation, and every single change to a
//! proof.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use keytrail_ledger::Hash;
use keytrail_ledger::merkle::{
    Frontier, ProofError, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash,
    root_of, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;

/// All sizes up to here: past 128 there are trees with a complete left half of eight levels.
const SIZE_MAX: u64 = 130;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect()
}

/// Roots over the first `0..=count` leaves.
fn roots(leaves: &[Hash]) -> Vec<Hash> {
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for leaf in leaves {
        frontier.push(*leaf);
        roots.push(frontier.root());
    }
    roots
}

#[test]
fn roots_are_those_of_the_certificate_transparency_reference() {
    let inputs: [&[u8]; 8] =
        [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
    let expected = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<Hash> = inputs.iter().map(|input| leaf_hash(input)).collect();
    let found: Vec<String> = roots(&leaves).iter().map(Hash::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn roots_and_proofs_agree_with_a_second_implementation() {
    let leaves = leaves(SIZE_MAX);
    let roots = roots(&leaves);
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=SIZE_MAX {
        other.push((size - 1).to_be_bytes().to_vec());
        let ours = &leaves[..usize::try_from(size).unwrap()];
        let root = roots[ours.len()];
        assert_eq!(other.root().as_bytes().as_slice(), root.as_bytes(), "root of {size}");
        for index in 0..size {
            let proof = inclusion_proof(ours, index).unwrap();
            let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(theirs.as_bytes(), bytes(&proof), "leaf {index} of {size}");
            let leaf = &ours[usize::try_from(index).unwrap()];
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &root), Ok(()));
        }
        for old in 1..=size {
            let proof = consistency_proof(ours, old).unwrap();
            let theirs = other.prove_consistency(usize::try_from(size - old).unwrap());
            assert_eq!(theirs.as_bytes(), bytes(&proof), "{old} to {size}");
            let old_root = &roots[usize::try_from(old).unwrap()];
            assert_eq!(verify_consistency(old, old_root, size, &root, &proof), Ok(()));
        }
    }
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Every proof that differs from `proof` in one hash: changed, missing, or one too many.
fn changed(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let surplus = Hash::of(b"surplus");
    let mut all = Vec::new();
    for at in 0..=proof.len() {
        let mut more = proof.to_vec();
        more.insert(at, surplus);
        all.push(more);
        if at < proof.len() {
            let mut less = proof.to_vec();
            less.remove(at);
            all.push(less);
            let mut other = proof.to_vec();
            let mut bytes = *other[at].as_bytes();
            bytes[at % 32] ^= 0x80;
            other[at] = Hash::from_bytes(bytes);
            all.push(other);
        }
    }
    all
}

#[test]
fn an_inclusion_proof_says_no_to_every_single_change() {
    let leaves = leaves(70);
    let roots = roots(&leaves);
    for size in 1..=70_u64 {
        let root = &roots[usize::try_from(size).unwrap()];
        let ours = &leaves[..usize::try_from(size).unwrap()];
        for index in 0..size {
            let leaf = &ours[usize::try_from(index).unwrap()];
            let proof = inclusion_proof(ours, index).unwrap();
            for bad in changed(&proof) {
                assert!(verify_inclusion(leaf, index, size, &bad, root).is_err());
            }
            let no = |leaf: &Hash, index, root: &Hash| {
                assert!(verify_inclusion(leaf, index, size, &proof, root).is_err());
            };
            let stranger = Hash::of(b"stranger");
            no(&stranger, index, root);
            no(leaf, index, &stranger);
            no(leaf, size, root);
            no(leaf, u64::MAX, root);
            for other in (0..size).filter(|other| *other != index) {
                no(leaf, other, root);
            }
        }
    }
}

#[test]
fn a_consistency_proof_says_no_to_every_single_change() {
    let leaves = leaves(70);
    let roots = roots(&leaves);
    for size in 1..=70_u64 {
        let root = &roots[usize::try_from(size).unwrap()];
        let ours = &leaves[..usize::try_from(size).unwrap()];
        for old in 1..=size {
            let old_root = &roots[usize::try_from(old).unwrap()];
            let proof = consistency_proof(ours, old).unwrap();
            for bad in changed(&proof) {
                assert!(verify_consistency(old, old_root, size, root, &bad).is_err());
            }
            let no = |old, old_root: &Hash, size, root: &Hash| {
                assert!(verify_consistency(old, old_root, size, root, &proof).is_err());
            };
            let other = Hash::of(b"other");
            no(old, &other, size, root);
            no(old, old_root, size, &other);
            no(size + 1, old_root, size, root);
            no(0, old_root, size, root);
            for wrong in (1..=size).filter(|wrong| *wrong != old) {
                no(wrong, old_root, size, root);
            }
        }
    }
}

#[test]
fn the_edges_of_consistency_are_decided() {
    let root = root_of(&leaves(5));
    assert_eq!(verify_consistency(0, &empty_root(), 5, &root, &[]), Ok(()));
    assert_eq!(verify_consistency(5, &root, 5, &root, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &root, 5, &root, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(5, &root, 5, &empty_root(), &[]), Err(ProofError::Root));
    assert_eq!(
        verify_consistency(0, &empty_root(), 5, &root, &[root]),
        Err(ProofError::Length { expected: 0, found: 1 })
    );
    assert_eq!(verify_consistency(6, &root, 5, &root, &[]), Err(ProofError::OutOfRange));
    let huge = 1 << 63;
    assert!(verify_consistency(huge - 1, &root, huge, &root, &[root; 3]).is_err());
    assert!(verify_inclusion(&root, u64::MAX - 1, u64::MAX, &[root; 64], &root).is_err());
    assert_eq!(inclusion_proof(&leaves(3), 3), None);
    assert_eq!(consistency_proof(&leaves(3), 4), None);
}

#[test]
fn a_node_is_never_taken_for_a_leaf() {
    let leaves = leaves(2);
    let content = [leaves[0].as_bytes().as_slice(), leaves[1].as_bytes()].concat();
    assert_ne!(leaf_hash(&content), node_hash(&leaves[0], &leaves[1]));
    // The root of two leaves does not pass as the single leaf of a tree of one.
    assert!(verify_inclusion(&leaf_hash(&content), 0, 1, &[], &root_of(&leaves)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_frontier_continues_from_its_parts(before in 0_u64..300, more in 0_u64..40) {
        let leaves = leaves(before + more);
        let (first, rest) = leaves.split_at(usize::try_from(before).unwrap());
        let mut frontier = Frontier::new();
        for leaf in first {
            frontier.push(*leaf);
        }
        let hashes = frontier.hashes().to_vec();
        let mut again = Frontier::from_parts(before, hashes.clone()).unwrap();
        for leaf in rest {
            again.push(*leaf);
        }
        prop_assert_eq!(again.root(), root_of(&leaves));
        prop_assert_eq!(again.size(), before + more);
        prop_assert!(Frontier::from_parts(before + (1 << 62), hashes.clone()).is_none());
        prop_assert!(Frontier::from_parts(before | 1 << 63, hashes).is_none());
    }
}
