//! Erased material is gone: from old frames, old snapshots and the present store, for one who has the root key.
//!
//! The thief of these tests knows `schemas/sealed-state.md` and nothing of the engine. It has the root key, a copy of ledger
//! and snapshot from before the erasing, and the `keys` folder as it is afterwards. What it opens before and not afterwards
//! is what erasing is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use keytrail_ledger::{Random as _, Reader};
use keytrail_testkit::SeededRandom;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::import::{Parameters, external_key};
use crate::support::{Bench, DAY_NS, HELLO, ROOT_KEY_SEED, call, config, text};

/// Opens what is sealed, as the schema says.
fn open(key: &[u8], purpose: &str, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (salt, rest) = sealed.split_at_checked(16)?;
    let mut message_key = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(purpose.as_bytes(), &mut message_key).unwrap();
    let payload = Payload { msg: rest, aad };
    Aes256Gcm::new(&message_key.into()).decrypt(&Nonce::default(), payload).ok()
}

/// A copy of what never changes and of what is behind it by now: the ledger, and the snapshot if there is one.
struct Loot(TempDir);

impl Loot {
    /// Takes a copy. The engine is closed and opened, so that there is a snapshot.
    fn of(bench: &mut Bench) -> Self {
        let folder = tempfile::tempdir().unwrap();
        bench.reopen(|bench| {
            std::fs::copy(bench.snapshot_file(), folder.path().join("snapshot")).unwrap();
            copy(&bench.data().join("ledger"), &folder.path().join("ledger"));
        });
        Self(folder)
    }

    /// All sealed materials in it, by id: those of the frames and those of the snapshot.
    fn sealed_materials(&self, store_key: &[u8]) -> BTreeMap<String, Vec<Sealed>> {
        let mut found = BTreeMap::new();
        for frame in Reader::open(&self.0.path().join("ledger")).unwrap().frames(0) {
            let frame = frame.unwrap();
            if let Some((1, sealed)) = frame.state.split_first() {
                let hash = Sha256::digest(&frame.payload);
                let aad = [config().origin.as_str().as_bytes(), b"\n", &hash[..]].concat();
                let change = open(store_key, "keytrail store 1: state change", &aad, sealed);
                collect(&serde_json::from_slice(&change.unwrap()).unwrap(), &mut found);
            }
        }
        let snapshot = std::fs::read(self.0.path().join("snapshot")).unwrap();
        let (header, sealed) = snapshot.split_at(44);
        let aad = [config().origin.as_str().as_bytes(), b"\n", header].concat();
        let state = open(store_key, "keytrail store 1: snapshot", &aad, sealed).unwrap();
        let in_frames = found.values().map(Vec::len).sum::<usize>();
        collect(&serde_json::from_slice(&state).unwrap(), &mut found);
        let all = found.values().map(Vec::len).sum::<usize>();
        assert!(in_frames > 0 && all > in_frames, "both have some");
        found
    }

    /// The ids of the materials that open with the root key and the `keys` folder as it is now; each of them by every copy
    /// of it, or by none.
    fn opened_with(&self, keys: &Path) -> BTreeSet<String> {
        let mut root_key = [0; 32];
        SeededRandom::new(ROOT_KEY_SEED).fill(&mut root_key);
        let file = std::fs::read(keys.join("store-key")).unwrap();
        let store_key = open(&root_key, "keytrail root 1: store key", &file[..4], &file[4..]);
        let store_key = store_key.unwrap();
        let material_keys = material_keys(keys, &store_key);
        let mut opened = BTreeSet::new();
        for (id, sealed) in self.sealed_materials(&store_key) {
            let opens = sealed.iter().filter(|sealed| sealed.opens_with(&id, &material_keys));
            match opens.count() {
                0 => {}
                all if all == sealed.len() => drop(opened.insert(id)),
                // An import into a place that was not empty leaves the old one behind.
                some => drop(opened.insert(format!("{id}: {some} of {}", sealed.len()))),
            }
        }
        opened
    }
}

struct Sealed {
    under: String,
    bytes: Vec<u8>,
    key_ids: Vec<[u8; 17]>,
}

impl Sealed {
    fn opens_with(&self, id: &str, material_keys: &BTreeMap<String, Vec<u8>>) -> bool {
        let Some(key) = material_keys.get(&self.under) else { return false };
        let opens = |key_id: &[u8; 17]| {
            let aad = [key_id.as_slice(), &from_hex(id)].concat();
            open(key, "keytrail material 1: key material", &aad, &self.bytes).is_some()
        };
        self.key_ids.iter().any(opens)
    }
}

/// The material keys that open, by id.
fn material_keys(keys: &Path, store_key: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::read(keys.join("materials")).unwrap();
    let slots = file.chunks(128).skip(1).filter_map(|slot| {
        let key =
            open(store_key, "keytrail store 1: material key", &slot[..24], &slot[24..24 + 64])?;
        Some((format!("{:032x}", u128::from_be_bytes(slot[..16].try_into().unwrap())), key))
    });
    slots.collect()
}

/// Everything in a JSON that is sealed under a material key, with all key ids that it may belong to.
fn collect(json: &Value, found: &mut BTreeMap<String, Vec<Sealed>>) {
    let mut key_ids = Vec::new();
    find_key_ids(json, &mut key_ids);
    find_materials(json, &key_ids, found);
}

fn find_key_ids(json: &Value, found: &mut Vec<[u8; 17]>) {
    let mut note = |text: &str| {
        if let Some((_, id)) = text.rsplit_once(":key/") {
            let (kind, digits) = id.strip_prefix("mrk-").map_or((0, id), |digits| (1, digits));
            let digits = from_hex(&digits.replace('-', ""));
            found.push(<[u8; 17]>::try_from([&[kind][..], &digits].concat()).unwrap());
        }
    };
    match json {
        Value::String(text) => note(text),
        Value::Array(all) => all.iter().for_each(|json| find_key_ids(json, found)),
        Value::Object(members) => {
            members.keys().for_each(|name| note(name));
            members.values().for_each(|json| find_key_ids(json, found));
        }
        _ => {}
    }
}

fn find_materials(json: &Value, key_ids: &[[u8; 17]], found: &mut BTreeMap<String, Vec<Sealed>>) {
    match json {
        Value::Array(all) => all.iter().for_each(|json| find_materials(json, key_ids, found)),
        Value::Object(members) if members.contains_key("under") => {
            let bytes = STANDARD.decode(text(json, "sealed")).unwrap();
            let under = text(json, "under").to_owned();
            let sealed = Sealed { under, bytes, key_ids: key_ids.to_vec() };
            found.entry(text(json, "id").to_owned()).or_default().push(sealed);
        }
        Value::Object(members) => {
            members.values().for_each(|json| find_materials(json, key_ids, found));
        }
        _ => {}
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// The material ids of a key, oldest first.
fn materials_of(bench: &Bench, key: &str) -> Vec<String> {
    let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let answer = call(bench, "ListKeyRotations", &input);
    let listed = answer["Rotations"].as_array().unwrap();
    listed.iter().map(|rotation| text(rotation, "KeyMaterialId").to_owned()).collect()
}

fn keys(bench: &Bench) -> std::path::PathBuf {
    bench.data().join("keys")
}

fn set(ids: &[&[String]]) -> BTreeSet<String> {
    ids.concat().into_iter().collect()
}

#[test]
fn a_deleted_key_opens_from_no_old_frame_or_snapshot() {
    let mut bench = Bench::new();
    let (doomed, stays) = (bench.key(), bench.key());
    call(&bench, "RotateKeyOnDemand", &json!({"KeyId": doomed}));
    let (lost, kept) = (materials_of(&bench, &doomed), materials_of(&bench, &stays));
    assert_eq!((lost.len(), kept.len()), (2, 1));
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": doomed, "PendingWindowInDays": 7}));
    let loot = Loot::of(&mut bench);
    let keys_before = tempfile::tempdir().unwrap();
    copy(&keys(&bench), keys_before.path());
    bench.advance(6 * DAY_NS);
    call(&bench, "ListKeys", &json!({}));
    assert_eq!(loot.opened_with(&keys(&bench)), set(&[&lost, &kept]));
    bench.advance(DAY_NS);
    call(&bench, "ListKeys", &json!({}));
    assert_eq!(loot.opened_with(&keys(&bench)), set(&[&kept]));
    // What the documentation says of copies of `keys`: they do open it.
    assert_eq!(loot.opened_with(keys_before.path()), set(&[&lost, &kept]));
    bench.reopen(|_| ());
    assert_eq!(loot.opened_with(&keys(&bench)), set(&[&kept]));
    call(&bench, "Encrypt", &json!({"KeyId": stays, "Plaintext": HELLO}));
}

#[test]
fn a_key_whose_date_passed_while_closed_is_erased_on_opening() {
    let mut bench = Bench::new();
    let doomed = bench.key();
    let lost = materials_of(&bench, &doomed);
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": doomed, "PendingWindowInDays": 7}));
    let loot = Loot::of(&mut bench);
    assert_eq!(loot.opened_with(&keys(&bench)), set(&[&lost]));
    bench.reopen(|bench| bench.advance(8 * DAY_NS));
    assert_eq!(loot.opened_with(&keys(&bench)), BTreeSet::new());
}

#[test]
fn imported_material_is_erased_by_hand_by_date_and_by_being_imported_again() {
    let mut bench = Bench::new();
    let key = external_key(&bench);
    let parameters = Parameters::new(&bench, &key);
    call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    let mut second = parameters.request(&[2; 32]);
    second["ImportType"] = json!("NEW_KEY_MATERIAL");
    second["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    second["ValidTo"] = json!(1_747_806_465 + 10 * 86_400);
    call(&bench, "ImportKeyMaterial", &second);
    let all = materials_of(&bench, &key);
    let (first, second) = (&all[..1], &all[1..]);
    let loot = Loot::of(&mut bench);
    let opened = |bench: &Bench| loot.opened_with(&keys(bench));
    assert_eq!(opened(&bench), set(&[first, second]));

    // The same bytes again, sealed anew: the copy that is left behind is nobody's.
    call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    assert_eq!(opened(&bench), set(&[second]));
    let loot = Loot::of(&mut bench);
    let opened = |bench: &Bench| loot.opened_with(&keys(bench));
    let again = format!("{}: 2 of 3", first[0]);
    assert_eq!(opened(&bench), set(&[&[again], second]), "the newer frame and the snapshot");

    call(&bench, "DeleteImportedKeyMaterial", &json!({"KeyId": key, "KeyMaterialId": first[0]}));
    assert_eq!(opened(&bench), set(&[second]));
    bench.advance(11 * DAY_NS);
    call(&bench, "ListKeys", &json!({}));
    assert_eq!(opened(&bench), BTreeSet::new());
    bench.reopen(|_| ());
    assert_eq!(opened(&bench), BTreeSet::new());
    let file = std::fs::read(keys(&bench).join("materials")).unwrap();
    assert!(file[128..].iter().all(|byte| *byte == 0), "no key is left");
}

/// Related keys have one material: it is gone when the last of them is.
#[test]
fn the_material_of_a_multi_region_family_ends_with_its_last_key() {
    let mut bench = Bench::new();
    let created = call(&bench, "CreateKey", &json!({"MultiRegion": true}));
    let primary = text(&created["KeyMetadata"], "KeyId").to_owned();
    call(&bench, "ReplicateKey", &json!({"KeyId": primary, "ReplicaRegion": "eu-west-1"}));
    let material = materials_of(&bench, &primary);
    let delete = json!({"KeyId": primary, "PendingWindowInDays": 7});
    call(&bench, "ScheduleKeyDeletion", &delete);
    let replica = bench.root().in_region("eu-west-1".parse().unwrap());
    bench.call_as(&replica, "ScheduleKeyDeletion", &delete.to_string()).unwrap();
    let loot = Loot::of(&mut bench);
    bench.advance(7 * DAY_NS);
    call(&bench, "ListKeys", &json!({}));
    let gone = bench.call_as(&replica, "DescribeKey", &json!({"KeyId": primary}).to_string());
    assert_eq!(gone.unwrap_err().code().as_str(), "NotFoundException");
    assert_eq!(loot.opened_with(&keys(&bench)), set(&[&material]), "the primary key needs it");
    bench.advance(7 * DAY_NS);
    call(&bench, "ListKeys", &json!({}));
    assert_eq!(loot.opened_with(&keys(&bench)), BTreeSet::new());
}

/// A refused call may have ordered a material key by then: it leaves none behind.
#[test]
fn a_refused_import_leaves_no_key_behind() {
    let bench = Bench::new();
    let key = external_key(&bench);
    let parameters = Parameters::new(&bench, &key);
    let mut refused = parameters.request(&[1; 32]);
    refused["KeyMaterialId"] = json!("0".repeat(64));
    let refused = bench.call("ImportKeyMaterial", &refused.to_string()).unwrap_err();
    assert_eq!(refused.code().as_str(), "IncorrectKeyMaterialException");
    let file = std::fs::read(keys(&bench).join("materials")).unwrap();
    assert_eq!(file[128..], [0; 128], "it was made, and erased");
}
