//! Which event came first: CloudTrail delivers an event more than once, and two trails log the same one.
//!
//! The first occurrence in the order of the sources is the event, every later one a duplicate, however the work was
//! divided among threads. Each record claims its event's id for its position; the smallest position wins. A worker
//! asks for the outcome when it writes its file, and by then [`crate::gate`] has let every earlier source be claimed.
//!
//! Records without an event id are never duplicates: two unknown things are not the same thing.
//!
//! The ids of the whole lake are held in memory, about 50 bytes each: 5 GB at 10^8 events. A larger lake wants the
//! Bloom filters of its data files asked first; nothing in the format stands in the way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keytrail_event::Guid;
use keytrail_ledger::Hash;

/// Locks that the ids are spread over. With a handful of threads, two of them rarely want the same one.
const SHARDS: usize = 64;

/// An event's id: a GUID's 16 bytes, or 16 bytes of a hash of any other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventId([u64; 2]);

impl EventId {
    /// The id with this text.
    pub(crate) fn new(text: &str) -> Self {
        let bytes = if let Ok(guid) = text.parse::<Guid>() {
            *guid.as_bytes()
        } else {
            // 128 bits of SHA-256: nobody finds two texts that collide, or one that meets a given GUID.
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Hash::of(text.as_bytes()).as_bytes()[..16]);
            bytes
        };
        let number = u128::from_be_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        Self([(number >> 64) as u64, number as u64])
    }
}

/// A record's place in the order of all sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the source's item, counted on over the life of a [`Lake`](crate::Lake); 0 is what the lake held before.
    pub(crate) item: u32,
    /// Number of the record within the item.
    pub(crate) record: u32,
}

impl Position {
    /// Before every source: the lake has it already.
    pub(crate) const IN_LAKE: Self = Self { item: 0, record: 0 };
}

/// The ids of all events, each with the first position that has it.
pub(crate) struct EventIds {
    shards: Vec<Mutex<HashMap<EventId, Position>>>,
}

impl EventIds {
    /// No ids.
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Claims an id for a position, unless an earlier one has it.
    pub(crate) fn claim(&self, id: EventId, position: Position) {
        self.with(id, |ids| {
            ids.entry(id).and_modify(|first| *first = position.min(*first)).or_insert(position);
        });
    }

    /// Whether this position is the first one with the id.
    pub(crate) fn is_first(&self, id: EventId, position: Position) -> bool {
        self.with(id, |ids| ids.get(&id).is_none_or(|first| *first == position))
    }

    fn with<T>(&self, id: EventId, work: impl FnOnce(&mut HashMap<EventId, Position>) -> T) -> T {
        // GUIDs are random in their low half but for two bits; ids of other kinds are hashes.
        let shard = &self.shards[usize::try_from(id.0[1] % SHARDS as u64).unwrap_or(0)];
        // Nothing panics while it holds the lock; and if it did, each entry would still be whole.
        work(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(item: u32, record: u32) -> Position {
        Position { item, record }
    }

    #[test]
    fn the_first_position_has_the_event_in_whichever_order_they_are_claimed() {
        let id = EventId::new("5c2d1f3e-0000-4000-8000-000000000001");
        let other = EventId::new("5c2d1f3e-0000-4000-8000-000000000002");
        for claims in [[at(2, 9), at(3, 1), at(2, 7)], [at(2, 7), at(2, 9), at(3, 1)]] {
            let ids = EventIds::new();
            for position in claims {
                ids.claim(id, position);
            }
            ids.claim(other, at(9, 9));
            let first: Vec<_> = claims.iter().filter(|it| ids.is_first(id, **it)).collect();
            assert_eq!(first, [&at(2, 7)]);
            assert!(ids.is_first(other, at(9, 9)));
        }
    }

    #[test]
    fn what_the_lake_holds_comes_before_every_source() {
        let (ids, id) = (EventIds::new(), EventId::new("not a GUID"));
        ids.claim(id, at(1, 0));
        ids.claim(id, Position::IN_LAKE);
        assert!(!ids.is_first(id, at(1, 0)));
    }

    #[test]
    fn ids_are_told_apart_by_every_character() {
        let texts = [
            "",
            "a",
            "A",
            "5c2d1f3e-0000-4000-8000-000000000001",
            "5C2D1F3E-0000-4000-8000-000000000001",
        ];
        for (at, one) in texts.iter().enumerate() {
            for other in &texts[at + 1..] {
                assert_ne!(EventId::new(one), EventId::new(other));
            }
        }
    }
}
