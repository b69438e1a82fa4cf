//! Material keys: each material of each key is sealed under one of its own, which lies here and nowhere else.
//!
//! Why: sealed material stays in ledger frames and old snapshots for ever, and none of them may be changed. So what is
//! erased is the key that opens it. Once that is gone the material is gone, from frames, snapshots and copies of both, also
//! for whoever has root key and store key. The keys of a multi-Region family have the same sealed material, and so the same
//! material key: it is erased with the last of them.
//!
//! ```text
//! file = head[128] ‖ slot[128] ‖ slot[128] ‖ …         DATA/keys/materials
//! head = mark "KTM" and the format version 1 ‖ zeros[124]
//! slot = id[16] ‖ ledger size u64, big-endian ‖ salt[16] ‖ AES-256-GCM(material key[32]) ‖ tag[16] ‖ zeros[40]
//! free = zeros[128]
//! ```
//!
//! Associated data is id and ledger size. One file of slots and not a file for each key: a new key is then one write and one
//! sync instead of two of each (a file and its name), 100,000 keys are read in one go, and erasing overwrites the very bytes,
//! where removing a file would leave them in free blocks. A slot never straddles a disk's sector of 512 bytes, so a torn
//! write leaves it old or new, and its neighbours alone.
//!
//! # What a crash means
//!
//! ```text
//! making    1. slot written and synced      then nobody refers to it: erased at the next opening
//!           2. frame durable that uses it   then it is in use
//! erasing   1. frame durable that ends it   then nobody refers to it: erased at the next opening
//!           2. slot overwritten and synced
//! ```
//!
//! A frame thus never refers to a key that is not there, and a key never ends before the frame that ends it. The ledger's
//! size in a slot keeps the erasing at an opening from its one danger: beside an older copy of the ledger all newer keys
//! look like nobody's. A key that was made when the ledger was longer than it is now is left alone, until the ledger is as
//! long again: who puts the right ledger back finds its keys.
//!
//! # What erasing is worth
//!
//! A copy of `keys/` that was made before still has the key: it ends with the last such copy. Overwriting reaches the bytes
//! on a disk that writes in place. Flash storage, copy-on-write file systems and their snapshots may keep the old bytes for
//! a time: 32 bytes, sealed under the store key, which are of use to nobody without the root key.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use keytrail_ledger::Random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::algorithms::SecretKey;
use crate::environment::random_bytes;
use crate::material::Material;
use crate::sealing::{self, NotAuthentic, OVERHEAD, Purpose};
use crate::store_key::StoreKey;
use crate::{EngineError, files};

const MARK: &[u8; 4] = b"KTM\x01";
const SLOT_LEN: usize = 128;
/// Id and ledger size: the associated data of what follows.
const BOUND_LEN: usize = MaterialKeyId::LEN + 8;
const SEALED_LEN: usize = 32 + OVERHEAD;

/// No file is longer: eight million slots.
const FILE_BYTES_MAX: u64 = 1 << 30;

const FILE: &str = "materials";

/// Names a material key. At random, so that it says nothing and never comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MaterialKeyId([u8; Self::LEN]);

impl MaterialKeyId {
    const LEN: usize = 16;
}

impl fmt::Display for MaterialKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<MaterialKeyId> for String {
    fn from(id: MaterialKeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for MaterialKeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "the id of a material key is 32 lower-case hexadecimal digits";
        let mut bytes = [0; Self::LEN];
        for (position, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(position * 2..position * 2 + 2).ok_or(WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        let id = Self(bytes);
        if id.to_string() == text { Ok(id) } else { Err(WRONG) }
    }
}

/// The key of one material. Neither shown nor copied; wiped when the last call that uses it is done with it.
pub(crate) struct MaterialKey {
    id: MaterialKeyId,
    bytes: Box<Zeroizing<[u8; 32]>>,
    symmetric: Kept<Material>,
    secret_key: Kept<SecretKey>,
}

/// What a material key opened, once it did, with the associated data that it was sealed under: opening it again for each
/// call costs as much as the call's own cryptography. It is as secret as the material key beside it, and ends with it.
struct Kept<T>(OnceLock<(Vec<u8>, Arc<T>)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Kept<T> {
    /// Opens it, or finds it open. One material is sealed under a material key, so one is kept.
    fn open(
        &self,
        aad: &[u8],
        open: impl FnOnce() -> Result<T, NotAuthentic>,
    ) -> Result<Arc<T>, NotAuthentic> {
        if let Some((_, opened)) = self.0.get().filter(|(sealed_under, _)| sealed_under == aad) {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(open()?);
        // Another call may have been faster, with the same material.
        let _ = self.0.set((aad.to_vec(), Arc::clone(&opened)));
        Ok(opened)
    }
}

impl MaterialKey {
    /// A new key, which lies nowhere yet.
    pub(crate) fn generate(random: &dyn Random) -> Self {
        let mut key = Self::new(MaterialKeyId(random_bytes(random)));
        random.fill(key.bytes.as_mut().as_mut());
        key
    }

    /// All zeros, to be filled in place.
    fn new(id: MaterialKeyId) -> Self {
        Self { id, bytes: Box::default(), symmetric: Kept::default(), secret_key: Kept::default() }
    }

    pub(crate) const fn id(&self) -> MaterialKeyId {
        self.id
    }

    pub(crate) fn seal(&self, aad: &[u8], material: &[u8], random: &dyn Random) -> Vec<u8> {
        sealing::seal(&self.bytes, Purpose::Material, aad, material, random)
    }

    pub(crate) fn open(
        &self,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        sealing::open(&self.bytes, Purpose::Material, aad, sealed)
    }

    /// Opens the material of a symmetric key.
    pub(crate) fn open_symmetric(
        &self,
        aad: &[u8],
        open: impl FnOnce() -> Result<Material, NotAuthentic>,
    ) -> Result<Arc<Material>, NotAuthentic> {
        self.symmetric.open(aad, open)
    }

    /// Opens the secret of a key of any other spec.
    pub(crate) fn open_secret_key(
        &self,
        aad: &[u8],
        open: impl FnOnce() -> Result<SecretKey, NotAuthentic>,
    ) -> Result<Arc<SecretKey>, NotAuthentic> {
        self.secret_key.open(aad, open)
    }
}

/// All material keys of a data directory: open in memory, sealed in the file.
pub(crate) struct MaterialKeys {
    path: PathBuf,
    /// Held for a moment by every call that opens material, alone while keys come or go.
    open: RwLock<HashMap<MaterialKeyId, Arc<MaterialKey>>>,
    slots: Mutex<Slots>,
}

/// The file, and what lies where in it.
struct Slots {
    file: File,
    taken: HashMap<MaterialKeyId, u64>,
    free: Vec<u64>,
    /// The number of the first slot behind all others.
    end: u64,
    /// Set by a write or sync that failed. What the file then holds is not known, and another sync may claim what it did not
    /// do: nothing is written any more until the file is opened again.
    failed: bool,
}

/// What a file was found to hold, before it is known who needs it.
pub(crate) struct Found {
    keys: MaterialKeys,
    /// How long the ledger was when each key was made.
    made_at: HashMap<MaterialKeyId, u64>,
    /// Slots that do not open.
    broken: Vec<u64>,
}

impl MaterialKeys {
    /// Makes the file of a data directory, whose `keys` folder is there; durable on return.
    pub(crate) fn create(data: &Path) -> Result<Self, EngineError> {
        let path = data.join("keys").join(FILE);
        let mut head = [0; SLOT_LEN];
        head[..MARK.len()].copy_from_slice(MARK);
        files::replace_durably(&path, &head)
            .map_err(|source| EngineError::io("write", &path, source))?;
        let file = open_file(&path).map_err(|source| EngineError::io("open", &path, source))?;
        Ok(Self::new(path, Slots::new(file)))
    }

    /// Opens the file of a data directory. Nothing is erased before [`Found::settle`].
    pub(crate) fn load(data: &Path, store_key: &StoreKey) -> Result<Found, EngineError> {
        let path = data.join("keys").join(FILE);
        let damaged = || EngineError::MaterialKeysFile { path: path.clone() };
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => damaged(),
            _ => EngineError::io("read", &path, source),
        };
        let mut file = open_file(&path).map_err(failed)?;
        let content = read(&mut file).map_err(failed)?;
        let (head, slots) = content.split_at_checked(SLOT_LEN).ok_or_else(damaged)?;
        if head.strip_prefix(MARK).is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
            return Err(damaged());
        }
        let mut found = Found {
            keys: Self::new(path, Slots::new(file)),
            made_at: HashMap::new(),
            broken: Vec::new(),
        };
        for slot in slots.chunks(SLOT_LEN) {
            found.take_in(slot, store_key);
        }
        Ok(found)
    }

    fn new(path: PathBuf, slots: Slots) -> Self {
        Self { path, open: RwLock::default(), slots: Mutex::new(slots) }
    }

    /// Makes so many keys, durable on return, while the ledger has this size. Whoever does not use one erases it.
    pub(crate) fn make(
        &self,
        count: usize,
        ledger_size: u64,
        store_key: &StoreKey,
        random: &dyn Random,
    ) -> io::Result<Vec<Arc<MaterialKey>>> {
        let made = (0..count).map(|_| Arc::new(MaterialKey::generate(random))).collect::<Vec<_>>();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = |key: &Arc<MaterialKey>| (key.id, slot_of(key, ledger_size, store_key, random));
        slots.fill(&made.iter().map(slot).collect::<Vec<_>>())?;
        drop(slots);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.extend(made.iter().map(|key| (key.id, Arc::clone(key))));
        Ok(made)
    }

    /// The key with this id, open.
    pub(crate) fn find(&self, id: MaterialKeyId) -> Option<Arc<MaterialKey>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&id).map(Arc::clone)
    }

    /// Erases keys for good: in memory at once, and in the file when this returns. Ids that are not there are passed over.
    pub(crate) fn erase(&self, ids: &[MaterialKeyId]) -> io::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            open.remove(id);
        }
        drop(open);
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).free(ids)
    }

    /// The ids of all keys.
    #[cfg(test)]
    pub(crate) fn ids(&self) -> HashSet<MaterialKeyId> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Lets every write from now on fail.
    #[cfg(test)]
    pub(crate) fn break_file(&self) {
        let unwritable = File::open(&self.path).expect("the file is there");
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).file = unwritable;
    }
}

impl Found {
    /// Compares the keys with the materials that there are: the id of each one's key, and the ARN of the key it belongs to.
    /// Keys that nobody needs are erased, but for those that are newer than this ledger.
    pub(crate) fn settle<'a>(
        self,
        needed: impl Iterator<Item = (MaterialKeyId, &'a str)>,
        ledger_size: u64,
    ) -> Result<MaterialKeys, EngineError> {
        let Self { keys, made_at, broken } = self;
        let mut needs = HashSet::new();
        for (id, key) in needed {
            if keys.find(id).is_none() {
                let (path, key) = (keys.path, key.to_owned());
                return Err(EngineError::MaterialKeyMissing { path, key });
            }
            needs.insert(id);
        }
        let nobodys =
            made_at.iter().filter(|(id, made)| **made <= ledger_size && !needs.contains(id));
        let nobodys = nobodys.map(|(id, _)| *id).collect::<Vec<_>>();
        // What a broken slot was is not known. Beside a key from the future it may be another.
        let broken = match made_at.values().max() {
            Some(newest) if *newest > ledger_size => Vec::new(),
            _ => broken,
        };
        let mut slots = keys.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let cleared = slots.clear(&broken);
        drop(slots);
        let erased = cleared.and_then(|()| keys.erase(&nobodys));
        erased.map_err(|source| EngineError::io("overwrite", &keys.path, source))?;
        Ok(keys)
    }

    /// Takes in the next slot of the file.
    fn take_in(&mut self, slot: &[u8], store_key: &StoreKey) {
        let mut slots = self.keys.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let number = slots.end;
        slots.end += 1;
        match read_slot(slot, store_key) {
            Slot::Free => slots.free.push(number),
            Slot::Broken => self.broken.push(number),
            Slot::Key(key, ledger_size) => {
                self.made_at.insert(key.id, ledger_size);
                slots.taken.insert(key.id, number);
                let mut open = self.keys.open.write().unwrap_or_else(PoisonError::into_inner);
                open.insert(key.id, Arc::new(key));
            }
        }
    }
}

impl Slots {
    fn new(file: File) -> Self {
        Self { file, taken: HashMap::new(), free: Vec::new(), end: 0, failed: false }
    }

    /// Writes keys into free slots; durable on return.
    fn fill(&mut self, keys: &[(MaterialKeyId, [u8; SLOT_LEN])]) -> io::Result<()> {
        // Never, by chance. A random generator that repeats itself, as in a copy of a running machine, would make the new key
        // end with the old one, or the other way round.
        if keys.iter().any(|(id, _)| self.taken.contains_key(id)) {
            return Err(io::Error::other("the random generator repeats itself"));
        }
        self.durably(|slots| {
            for &(id, slot) in keys {
                let number = slots.free.pop().unwrap_or_else(|| {
                    slots.end += 1;
                    slots.end - 1
                });
                slots.write(number, &slot)?;
                slots.taken.insert(id, number);
            }
            Ok(())
        })
    }

    /// Overwrites the slots of keys; durable on return.
    fn free(&mut self, ids: &[MaterialKeyId]) -> io::Result<()> {
        let numbers = ids.iter().filter_map(|id| self.taken.remove(id)).collect::<Vec<_>>();
        self.clear(&numbers)
    }

    fn clear(&mut self, numbers: &[u64]) -> io::Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.durably(|slots| {
            numbers.iter().try_for_each(|number| slots.write(*number, &[0; SLOT_LEN]))
        })?;
        // Only now: a slot that is not overwritten for certain must not be taken for free.
        self.free.extend(numbers);
        Ok(())
    }

    fn durably(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write to this file failed: open it again"));
        }
        let done = work(self).and_then(|()| self.file.sync_data());
        self.failed = done.is_err();
        done
    }

    fn write(&mut self, number: u64, slot: &[u8; SLOT_LEN]) -> io::Result<()> {
        // Behind the head.
        self.file.seek(SeekFrom::Start((number + 1) * SLOT_LEN as u64))?;
        self.file.write_all(slot)
    }
}

/// What one slot holds.
enum Slot {
    Free,
    /// A key, and the ledger's size when it was made.
    Key(MaterialKey, u64),
    /// A write that was torn, or damage.
    Broken,
}

fn slot_of(
    key: &MaterialKey,
    ledger_size: u64,
    store_key: &StoreKey,
    random: &dyn Random,
) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    slot[..MaterialKeyId::LEN].copy_from_slice(&key.id.0);
    slot[MaterialKeyId::LEN..BOUND_LEN].copy_from_slice(&ledger_size.to_be_bytes());
    let sealed =
        store_key.seal(Purpose::MaterialKey, &slot[..BOUND_LEN], key.bytes.as_slice(), random);
    slot[BOUND_LEN..][..SEALED_LEN].copy_from_slice(&sealed);
    slot
}

fn read_slot(slot: &[u8], store_key: &StoreKey) -> Slot {
    if slot.iter().all(|byte| *byte == 0) {
        return Slot::Free;
    }
    open_slot(slot, store_key).map_or(Slot::Broken, |(key, size)| Slot::Key(key, size))
}

fn open_slot(slot: &[u8], store_key: &StoreKey) -> Option<(MaterialKey, u64)> {
    let (bound, rest) = slot.split_first_chunk::<BOUND_LEN>()?;
    let (sealed, rest) = rest.split_first_chunk::<SEALED_LEN>()?;
    let (id, ledger_size) = bound.split_first_chunk()?;
    if rest.len() != SLOT_LEN - BOUND_LEN - SEALED_LEN || rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    let opened = store_key.open(Purpose::MaterialKey, bound, sealed).ok()?;
    let mut key = MaterialKey::new(MaterialKeyId(*id));
    key.bytes.copy_from_slice(opened.get(..32)?);
    Some((key, u64::from_be_bytes(ledger_size.try_into().ok()?)))
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;
    use tempfile::TempDir;

    /// A data directory with a few material keys, and what they sealed.
    struct Bench {
        data: TempDir,
        random: SeededRandom,
        store_key: StoreKey,
    }

    impl Bench {
        fn new() -> (Self, MaterialKeys) {
            let data = tempfile::tempdir().unwrap();
            std::fs::create_dir(data.path().join("keys")).unwrap();
            let random = SeededRandom::new(1);
            let store_key = StoreKey::for_tests(&random);
            let keys = MaterialKeys::create(data.path()).unwrap();
            (Self { data, random, store_key }, keys)
        }

        fn path(&self) -> PathBuf {
            self.data.path().join("keys/materials")
        }

        fn make(&self, keys: &MaterialKeys, count: usize) -> Vec<MaterialKeyId> {
            let made = keys.make(count, 7, &self.store_key, &self.random).unwrap();
            made.iter().map(|key| key.id()).collect()
        }

        /// Opens the file as an engine does whose ledger has seven entries and whose state needs these keys.
        fn open(&self, needed: &[MaterialKeyId]) -> Result<MaterialKeys, EngineError> {
            let needed = needed.iter().map(|id| (*id, "arn:of-a-key"));
            MaterialKeys::load(self.data.path(), &self.store_key)?.settle(needed, 7)
        }

        /// The numbers of the slots that are not free.
        fn taken(&self) -> Vec<usize> {
            let content = std::fs::read(self.path()).unwrap();
            let slots = content.chunks(SLOT_LEN).enumerate().skip(1);
            let taken = slots.filter(|(_, slot)| slot.iter().any(|byte| *byte != 0));
            taken.map(|(number, _)| number - 1).collect()
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let (mark, version) = MARK.split_at(3);
        let zeros = SLOT_LEN - BOUND_LEN - SEALED_LEN;
        for line in [
            format!("file = head[{SLOT_LEN}] ‖ slot[{SLOT_LEN}] ‖ slot[{SLOT_LEN}] ‖ …"),
            format!(
                "head = mark \"{}\" and the format version {} ‖ zeros[{}]\n",
                String::from_utf8_lossy(mark),
                version[0],
                SLOT_LEN - MARK.len()
            ),
            format!(
                "slot = id[16] ‖ ledger size u64, big-endian ‖ salt[16] ‖ AES-256-GCM(material key[32]) ‖ tag[16] ‖ zeros[{zeros}]\n"
            ),
            format!("free = zeros[{SLOT_LEN}]\n"),
        ] {
            assert!(include_str!("../../../schemas/sealed-state.md").contains(&line), "{line}");
            assert!(include_str!("material_keys.rs").contains(&format!("//! {line}")), "{line}");
        }
        assert_eq!(512 % SLOT_LEN, 0, "no slot lies in two sectors");
    }

    #[test]
    fn a_key_opens_what_it_sealed_also_when_the_file_is_opened_again() {
        let (bench, keys) = Bench::new();
        let [one, other] = bench.make(&keys, 2).try_into().unwrap();
        let sealed = keys.find(one).unwrap().seal(b"aad", b"material", &bench.random);
        drop(keys);
        let keys = bench.open(&[one, other]).unwrap();
        let open = |id| keys.find(id).unwrap().open(b"aad", &sealed);
        assert_eq!(open(one).unwrap().as_slice(), b"material");
        assert_eq!(open(other), Err(NotAuthentic));
        let text = one.to_string();
        assert_eq!(MaterialKeyId::try_from(text.clone()), Ok(one));
        for bad in
            [&text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("é{}", &text[2..])]
        {
            assert!(MaterialKeyId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_erased_key_is_gone_from_memory_and_file_and_its_slot_is_used_again() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 3);
        let before = std::fs::read(bench.path()).unwrap();
        let in_use = keys.find(made[1]).unwrap();
        keys.erase(&[made[1], made[1]]).unwrap();
        assert!(keys.find(made[1]).is_none());
        assert_eq!(bench.taken(), [0, 2]);
        let after = std::fs::read(bench.path()).unwrap();
        let slot = &before[2 * SLOT_LEN..3 * SLOT_LEN];
        let (id, sealed) = (&slot[..16], &slot[BOUND_LEN..][..SEALED_LEN]);
        for part in id.chunks(8).chain(sealed.chunks(8)) {
            assert!(!after.windows(8).any(|window| window == part), "nothing of it is left");
        }
        // A call that is under way ends as it began.
        drop(in_use.seal(b"", b"", &bench.random));
        assert!(matches!(bench.open(&made), Err(EngineError::MaterialKeyMissing { .. })));
        let new = bench.make(&keys, 2);
        assert_eq!(bench.taken(), [0, 1, 2, 3]);
        drop(keys);
        let keys = bench.open(&[made[0], made[2], new[0], new[1]]).unwrap();
        assert_eq!(keys.ids().len(), 4);
    }

    /// What a crash leaves between a key's slot and the frame that would have used it, or between the frame that ends a key
    /// and its erasing.
    #[test]
    fn keys_that_nobody_needs_are_erased_on_opening() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 4);
        drop(keys);
        let keys = bench.open(&[made[0], made[3]]).unwrap();
        assert_eq!(keys.ids(), HashSet::from([made[0], made[3]]));
        assert_eq!(bench.taken(), [0, 3]);
    }

    /// The ledger had seven entries when they were made.
    #[test]
    fn beside_an_older_ledger_newer_keys_are_left_alone() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 2);
        drop(keys);
        let load = || MaterialKeys::load(bench.data.path(), &bench.store_key).unwrap();
        let older = load().settle([].into_iter(), 6).unwrap();
        assert_eq!((older.ids().len(), bench.taken()), (2, vec![0, 1]));
        drop(older);
        let right = load().settle([(made[0], "a")].into_iter(), 7).unwrap();
        assert_eq!((right.ids().len(), bench.taken()), (1, vec![0]));
    }

    #[test]
    fn where_a_key_is_missing_nothing_is_erased() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 2);
        drop(keys);
        let found = MaterialKeys::load(bench.data.path(), &bench.store_key).unwrap();
        let missing = MaterialKeyId([0; 16]);
        let refused = found.settle([(made[0], "a"), (missing, "arn:b")].into_iter(), 7);
        let Err(EngineError::MaterialKeyMissing { key, .. }) = refused else { panic!() };
        assert_eq!((key.as_str(), bench.taken()), ("arn:b", vec![0, 1]));
    }

    /// A needed slot that was changed is missed by name; one that nobody needs is erased, whatever it holds.
    #[test]
    fn a_changed_or_cut_file_is_noticed_at_each_bit_and_byte() {
        let (bench, keys) = Bench::new();
        let needed = bench.make(&keys, 1);
        let good = std::fs::read(bench.path()).unwrap();
        drop(keys);
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(bench.path(), &flipped).unwrap();
            match bench.open(&needed).err().unwrap() {
                EngineError::MaterialKeysFile { .. } => assert!(bit < SLOT_LEN * 8, "bit {bit}"),
                EngineError::MaterialKeyMissing { .. } => assert!(bit >= SLOT_LEN * 8, "bit {bit}"),
                other => panic!("bit {bit}: {other}"),
            }
            assert_eq!(std::fs::read(bench.path()).unwrap(), flipped, "nothing is written");
        }
        for end in 0..good.len() {
            std::fs::write(bench.path(), &good[..end]).unwrap();
            assert!(bench.open(&needed).is_err(), "cut at {end}");
            // A write that was torn, by a crash before anybody could need the key.
            if end >= SLOT_LEN {
                drop(bench.open(&[]).unwrap());
                assert_eq!(bench.taken(), [0; 0], "cut at {end}");
            }
        }
        std::fs::remove_file(bench.path()).unwrap();
        assert!(matches!(bench.open(&needed), Err(EngineError::MaterialKeysFile { .. })));
    }

    #[test]
    fn the_keys_of_another_store_key_are_nobodys() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 1);
        drop(keys);
        let other = StoreKey::for_tests(&bench.random);
        let found = MaterialKeys::load(bench.data.path(), &other).unwrap();
        assert!(found.settle(made.iter().map(|id| (*id, "a")), 7).is_err());
        assert_eq!(bench.taken(), [0]);
    }

    #[test]
    fn a_random_generator_that_repeats_itself_makes_no_key() {
        let (bench, keys) = Bench::new();
        let make = || keys.make(1, 7, &bench.store_key, &SeededRandom::new(5));
        let first = make().unwrap()[0].id();
        assert!(make().is_err());
        assert!(keys.find(first).is_some());
        assert_eq!(bench.taken(), [0]);
        bench.make(&keys, 1);
    }

    /// Another sync may claim what the failed one did not do, so nothing is promised any more.
    #[test]
    fn after_a_failed_write_nothing_is_made_or_erased_until_the_file_is_opened_again() {
        let (bench, keys) = Bench::new();
        let made = bench.make(&keys, 2);
        let whole = OpenOptions::new().read(true).write(true).open(bench.path()).unwrap();
        keys.break_file();
        assert!(keys.make(1, 7, &bench.store_key, &bench.random).is_err());
        keys.slots.lock().unwrap().file = whole;
        assert!(keys.make(1, 7, &bench.store_key, &bench.random).is_err());
        assert!(keys.erase(&made[..1]).is_err());
        assert!(keys.find(made[0]).is_none(), "in memory it is gone all the same");
        assert_eq!(bench.taken(), [0, 1]);
        drop(keys);
        let keys = bench.open(&made[1..]).unwrap();
        assert_eq!(bench.taken(), [1]);
        bench.make(&keys, 1);
        assert_eq!(bench.taken(), [0, 1]);
    }
}
