//! Columns being filled, text kept once per distinct value.
//!
//! CloudTrail repeats itself: of some 60 columns, half hold a few hundred distinct texts among a quarter of a million
//! rows. A row therefore costs four bytes a column here, and a repeated text nothing more, which is what lets a worker
//! hold a whole data file in memory until it is sorted. Ids do not repeat; for those the table is given up early.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, StringArray, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

/// The key of a row without a value. Each value is at least one row's, so there are never that many.
const NULL: u32 = u32::MAX;
/// A table is judged after so many lookups, and again each time their number has doubled.
const TRIAL: u32 = 4096;
/// Slots of a fresh table.
const SLOTS_MIN: usize = 64;

/// A text column being filled.
pub(crate) struct TextColumn {
    /// One per row: which of `values`, or [`NULL`].
    keys: Vec<u32>,
    values: Vec<u8>,
    /// Where each value ends in `values`, after a leading 0.
    offsets: Vec<i32>,
    table: Option<Table>,
}

impl TextColumn {
    /// An empty column.
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), values: Vec::new(), offsets: vec![0], table: Some(Table::new()) }
    }

    /// Bytes of text in it.
    pub(crate) fn bytes(&self) -> usize {
        self.values.len()
    }

    /// Adds a row without a value.
    pub(crate) fn push_null(&mut self) {
        self.keys.push(NULL);
    }

    /// Adds a row. The caller keeps [`TextColumn::bytes`] below 2 GiB: Arrow's offsets are 32-bit.
    pub(crate) fn push(&mut self, text: &str) {
        // The row before is the best guess: sources come in time order, and much of a record is its caller's.
        if let Some(&last) = self.keys.last()
            && last != NULL
            && self.value(last) == text.as_bytes()
        {
            self.keys.push(last);
            return;
        }
        let key = match self.table.take() {
            None => self.append(text),
            Some(mut table) => {
                let key = self.intern(&mut table, text);
                self.table = table.is_worth_it(self.distinct()).then_some(table);
                key
            }
        };
        self.keys.push(key);
    }

    /// Ends the filling.
    pub(crate) fn finish(self) -> Result<TextValues, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let values = StringArray::try_new(offsets, Buffer::from_vec(self.values), None)?;
        Ok(TextValues { keys: self.keys, values })
    }

    fn distinct(&self) -> u32 {
        // Fits: values are no more than keys, and a file of 2^32 rows is out of reach of 2 GiB of text.
        u32::try_from(self.offsets.len() - 1).unwrap_or(NULL)
    }

    fn value(&self, key: u32) -> &[u8] {
        let at = key as usize;
        &self.values[offset(self.offsets[at])..offset(self.offsets[at + 1])]
    }

    fn append(&mut self, text: &str) -> u32 {
        let key = self.distinct();
        self.values.extend_from_slice(text.as_bytes());
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
        key
    }

    fn intern(&mut self, table: &mut Table, text: &str) -> u32 {
        let hash = table.hash(text.as_bytes());
        let mut slot = hash as usize & table.mask();
        loop {
            match table.slots[slot] {
                Slot { key: NULL, .. } => break,
                Slot { hash: found, key }
                    if found == hash && self.value(key) == text.as_bytes() =>
                {
                    return key;
                }
                _ => slot = (slot + 1) & table.mask(),
            }
        }
        let key = self.append(text);
        table.slots[slot] = Slot { hash, key };
        table.grow_if_half_full(key as usize + 1);
        key
    }
}

fn offset(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

/// Open addressing over the values of a column; keyed, because the texts come from strangers.
struct Table {
    slots: Vec<Slot>,
    seed: u64,
    lookups: u32,
    trial: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    key: u32,
}

impl Table {
    fn new() -> Self {
        let slots = vec![Slot { hash: 0, key: NULL }; SLOTS_MIN];
        Self { slots, seed: RandomState::new().hash_one(0_u8), lookups: 0, trial: TRIAL }
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Folded multiplication, eight bytes at a time, under a seed of its own.
    fn hash(&self, text: &[u8]) -> u32 {
        let mut hash = self.seed ^ text.len() as u64;
        let mut words = text.chunks_exact(8);
        for word in &mut words {
            hash =
                fold(hash ^ word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        hash = fold(
            hash ^ words.remainder().iter().fold(1, |word, byte| word << 8 | u64::from(*byte)),
        );
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the hash")]
        let low = hash as u32;
        low
    }

    /// Gives up where most lookups found nothing.
    fn is_worth_it(&mut self, distinct: u32) -> bool {
        self.lookups += 1;
        if self.lookups < self.trial {
            return true;
        }
        self.trial = self.trial.saturating_mul(2);
        distinct < self.lookups / 4 * 3
    }

    fn grow_if_half_full(&mut self, used: usize) {
        if used * 2 < self.slots.len() {
            return;
        }
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![Slot { hash: 0, key: NULL }; old.len() * 2];
        for slot in old.into_iter().filter(|slot| slot.key != NULL) {
            let mut at = slot.hash as usize & self.mask();
            while self.slots[at].key != NULL {
                at = (at + 1) & self.mask();
            }
            self.slots[at] = slot;
        }
    }
}

/// Multiplies by an odd constant (2^64 over the golden ratio) and mixes the high half into the low one.
fn fold(word: u64) -> u64 {
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are what is mixed")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

/// A filled text column.
pub(crate) struct TextValues {
    keys: Vec<u32>,
    values: StringArray,
}

impl TextValues {
    /// Rows without a value.
    pub(crate) fn nulls(&self) -> usize {
        self.keys.iter().filter(|key| **key == NULL).count()
    }

    /// Smallest and largest text, by its bytes.
    pub(crate) fn min_max(&self) -> Option<(&str, &str)> {
        let used = self.used();
        let texts =
            || used.iter().zip(0..).filter(|(used, _)| **used).map(|(_, at)| self.values.value(at));
        Some((texts().min()?, texts().max()?))
    }

    /// For each row the place of its text among the distinct ones in the order of their bytes, rows without one last.
    pub(crate) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..u32::try_from(self.values.len()).unwrap_or(NULL)).collect();
        order.sort_unstable_by_key(|key| self.values.value(*key as usize));
        let mut ranks = vec![0; order.len()];
        let mut rank = 0;
        for (at, key) in order.iter().enumerate() {
            // A column that gave its table up may hold a text twice.
            if at > 0
                && self.values.value(order[at - 1] as usize) != self.values.value(*key as usize)
            {
                rank += 1;
            }
            ranks[*key as usize] = rank;
        }
        let rank = |key: &u32| if *key == NULL { NULL } else { ranks[*key as usize] };
        self.keys.iter().map(rank).collect()
    }

    /// These rows as an Arrow array: a dictionary, so that no text is copied.
    pub(crate) fn take(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let keys = rows.iter().map(|row| {
            let key = self.keys[*row as usize];
            (key != NULL).then_some(key)
        });
        let keys: UInt32Array = keys.collect();
        let values = Arc::new(self.values.clone());
        Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
    }

    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.values.len()];
        for key in self.keys.iter().filter(|key| **key != NULL) {
            used[*key as usize] = true;
        }
        used
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

    use arrow::array::AsArray;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn check(texts: &[Option<String>]) {
        let mut column = TextColumn::new();
        for text in texts {
            match text {
                Some(text) => column.push(text),
                None => column.push_null(),
            }
        }
        let values = column.finish().unwrap();
        assert_eq!(values.nulls(), texts.iter().filter(|text| text.is_none()).count());
        let min_max = (texts.iter().flatten().min(), texts.iter().flatten().max());
        assert_eq!(
            values.min_max().unzip(),
            (min_max.0.map(String::as_str), min_max.1.map(String::as_str))
        );
        let ranks = values.ranks();
        for (one, other) in ranks.iter().zip(texts).zip(ranks.iter().zip(texts).skip(1)) {
            let absent = |text: &Option<String>| text.is_none();
            let expected = (absent(one.1), one.1).cmp(&(absent(other.1), other.1));
            assert_eq!(one.0.cmp(other.0), expected);
        }
        let rows: Vec<u32> = (0..u32::try_from(texts.len()).unwrap()).rev().collect();
        let taken = values.take(&rows).unwrap();
        let taken = taken.as_dictionary::<arrow::datatypes::UInt32Type>();
        let taken = taken.downcast_dict::<StringArray>().unwrap();
        for (text, at) in texts.iter().rev().zip(0..) {
            assert_eq!(
                text.as_deref(),
                (!taken.is_null(at)).then(|| arrow::array::ArrayAccessor::value(&taken, at))
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_was_pushed_comes_back(texts in prop::collection::vec(prop::option::of("[ab]{0,9}"), 0..300)) {
            check(&texts);
        }
    }

    #[test]
    fn texts_that_never_repeat_give_the_table_up() {
        let texts: Vec<_> = (0..10_000).map(|at| Some(format!("id-{at}"))).collect();
        check(&texts);
        let mut column = TextColumn::new();
        texts.iter().flatten().for_each(|text| column.push(text));
        assert!(column.table.is_none());
        column.push("id-0");
        assert_eq!(column.distinct(), 10_001);
    }

    #[test]
    fn repeated_texts_are_kept_once() {
        let mut column = TextColumn::new();
        (0..100_000).for_each(|at| column.push(&format!("arn-{}", at % 500)));
        assert_eq!(column.distinct(), 500);
    }
}
