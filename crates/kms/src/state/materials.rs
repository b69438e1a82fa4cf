//! The materials of one key, oldest first, and how the key comes to a new one.
//!
//! The last material encrypts; every one of them decrypts what it encrypted, for ever. A rotation adds one and never takes
//! one away, so no ciphertext becomes unreadable by it.

use keytrail_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::unix_nanos;
use crate::material::{MaterialId, WrappedMaterial};

const NANOS_PER_DAY: u64 = 86_400 * 1_000_000_000;

/// All materials of a key; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<KeyMaterial>", into = "Vec<KeyMaterial>")]
pub(crate) struct Materials {
    older: Vec<KeyMaterial>,
    current: KeyMaterial,
}

/// One material, and since when it encrypts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyMaterial {
    pub(super) wrapped: WrappedMaterial,
    /// The rotation that brought it; the first material came with the key.
    pub(crate) rotation: Option<Rotation>,
}

/// A rotation that took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    #[serde(with = "unix_nanos")]
    pub(crate) date: Timestamp,
    pub(crate) kind: RotationKind,
}

/// What made a key rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RotationKind {
    /// Its period was over.
    Automatic,
    /// Somebody called `RotateKeyOnDemand`.
    OnDemand,
}

/// Automatic rotation: every so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationSchedule {
    pub(crate) period_days: u32,
    #[serde(with = "unix_nanos")]
    pub(crate) next: Timestamp,
}

impl Materials {
    /// The one material of a new key.
    pub(crate) fn first(wrapped: WrappedMaterial) -> Self {
        Self { older: Vec::new(), current: KeyMaterial { wrapped, rotation: None } }
    }

    /// The material that encrypts.
    pub(crate) fn current(&self) -> &KeyMaterial {
        &self.current
    }

    pub(crate) fn find(&self, id: MaterialId) -> Option<&KeyMaterial> {
        self.iter().find(|material| material.id() == id)
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeyMaterial> {
        self.older.iter().chain([&self.current])
    }

    /// How often the key was rotated by hand.
    pub(crate) fn rotations_on_demand(&self) -> usize {
        let on_demand = |rotation: Rotation| rotation.kind == RotationKind::OnDemand;
        self.iter().filter(|material| material.rotation.is_some_and(on_demand)).count()
    }

    /// From now on this one encrypts.
    pub(super) fn rotate(&mut self, new: KeyMaterial) {
        self.older.push(std::mem::replace(&mut self.current, new));
    }
}

impl KeyMaterial {
    pub(crate) fn new(wrapped: WrappedMaterial, rotation: Rotation) -> Self {
        Self { wrapped, rotation: Some(rotation) }
    }

    pub(crate) fn id(&self) -> MaterialId {
        self.wrapped.id
    }
}

impl RotationKind {
    /// AWS's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

impl RotationSchedule {
    /// A schedule that begins now.
    pub(crate) fn starting(now: Timestamp, period_days: u32) -> Self {
        Self { period_days, next: now }.after(now)
    }

    /// The schedule behind `now`, on the same days as before: who slept through several dates rotates once, because nothing
    /// could have been encrypted with the materials in between.
    pub(crate) fn after(self, now: Timestamp) -> Self {
        let period = u64::from(self.period_days).saturating_mul(NANOS_PER_DAY).max(1);
        let late = now.unix_nanos().saturating_sub(self.next.unix_nanos());
        let periods = (late / period).saturating_add(1);
        let next = self.next.unix_nanos().saturating_add(periods.saturating_mul(period));
        Self { next: Timestamp::from_unix_nanos(next), ..self }
    }
}

impl TryFrom<Vec<KeyMaterial>> for Materials {
    type Error = &'static str;

    fn try_from(mut all: Vec<KeyMaterial>) -> Result<Self, Self::Error> {
        let current = all.pop().ok_or("a key has at least one material")?;
        Ok(Self { older: all, current })
    }
}

impl From<Materials> for Vec<KeyMaterial> {
    fn from(Materials { mut older, current }: Materials) -> Self {
        older.push(current);
        older
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_keeps_its_days_and_skips_what_was_slept_through() {
        let day = |number: u64| Timestamp::from_unix_nanos(number * NANOS_PER_DAY);
        let schedule = RotationSchedule::starting(day(1000), 90);
        assert_eq!(schedule.next, day(1090));
        for (now, next) in [(1090, 1180), (1179, 1180), (1180, 1270), (1500, 1540)] {
            assert_eq!(schedule.after(day(now)).next, day(next), "on day {now}");
        }
    }
}
