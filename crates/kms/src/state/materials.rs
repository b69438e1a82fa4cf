//! The materials of one key, and how the key comes to a new one.
//!
//! The current material encrypts; every one of them decrypts what it encrypted, for ever. A rotation adds one and never
//! takes one away, so no ciphertext becomes unreadable by it.
//!
//! Imported material may go and come back: its place stays, by its id, and only the same bytes fill it again. Until all
//! places are filled the key is of no use. One material more may wait for the rotation that makes it the current one.

use keytrail_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Due, DueAt, maybe_unix_nanos, unix_nanos};
use crate::material::{MaterialId, WrappedMaterial};
use crate::material_keys::MaterialKeyId;
use crate::parameters::MaterialDescription;

const NANOS_PER_DAY: u64 = 86_400 * 1_000_000_000;

/// All materials of a key. There is none only before the first import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Materials {
    /// Oldest first; the last one is the current one.
    lasting: Vec<KeyMaterial>,
    /// Imported, and to become the current one with the next rotation.
    waiting: Option<KeyMaterial>,
}

/// One material, and since when it encrypts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyMaterial {
    held: Held,
    /// The rotation that brought it; the first material came with the key or with the first import.
    pub(crate) rotation: Option<Rotation>,
    pub(crate) import: Option<Import>,
}

/// Material that is here, or the place of imported material that is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Held {
    Present(WrappedMaterial),
    Absent(MaterialId),
}

/// What was said with an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    pub(crate) description: Option<MaterialDescription>,
    /// When the material is deleted, if it is.
    #[serde(with = "maybe_unix_nanos")]
    pub(crate) expires: Option<Timestamp>,
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
        let held = Held::Present(wrapped);
        Self { lasting: vec![KeyMaterial { held, rotation: None, import: None }], waiting: None }
    }

    /// The material that encrypts.
    pub(crate) fn current(&self) -> Option<&KeyMaterial> {
        self.lasting.last()
    }

    /// The one that is to encrypt after the next rotation.
    pub(crate) fn waiting(&self) -> Option<&KeyMaterial> {
        self.waiting.as_ref()
    }

    pub(crate) fn find(&self, id: MaterialId) -> Option<&KeyMaterial> {
        self.iter().find(|material| material.id() == id)
    }

    /// All of them, oldest first, one that waits last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeyMaterial> {
        self.lasting.iter().chain(&self.waiting)
    }

    /// Whether nothing is missing that the key ever encrypted with, and there is something to encrypt with.
    pub(crate) fn are_complete(&self) -> bool {
        !self.lasting.is_empty() && self.lasting.iter().all(|material| material.wrapped().is_some())
    }

    /// How often the key was rotated by hand.
    pub(crate) fn rotations_on_demand(&self) -> usize {
        let on_demand = |rotation: Rotation| rotation.kind == RotationKind::OnDemand;
        self.lasting.iter().filter(|material| material.rotation.is_some_and(on_demand)).count()
    }

    /// The material keys that they are sealed under.
    pub(crate) fn material_keys(&self) -> impl Iterator<Item = MaterialKeyId> {
        self.iter().filter_map(KeyMaterial::wrapped).map(|wrapped| wrapped.under)
    }

    /// The same places with nothing in them: what a replica of a key with imported material begins with.
    pub(crate) fn places(&self) -> Self {
        let empty = |material: &KeyMaterial| KeyMaterial {
            held: Held::Absent(material.id()),
            rotation: material.rotation,
            import: None,
        };
        Self {
            lasting: self.lasting.iter().map(empty).collect(),
            waiting: self.waiting.as_ref().map(empty),
        }
    }

    /// Has a place for the material that waits in the primary key, or none.
    pub(super) fn mirror_waiting(&mut self, waiting: Option<MaterialId>) {
        if self.waiting.as_ref().map(KeyMaterial::id) != waiting {
            let place = |id| KeyMaterial { held: Held::Absent(id), rotation: None, import: None };
            self.waiting = waiting.map(place);
        }
    }

    /// The first date on which one of them is deleted.
    pub(crate) fn first_expiry(&self) -> Option<DueAt> {
        let expiry = |material: &KeyMaterial| {
            let date = material.wrapped().and(material.import.as_ref())?.expires?;
            Some(DueAt { date, what: Due::Expiry(material.id()) })
        };
        self.iter().filter_map(expiry).min_by_key(|due| due.date)
    }

    /// From now on this one encrypts.
    pub(super) fn rotate(&mut self, new: KeyMaterial) {
        self.lasting.push(new);
    }

    /// From now on the one that waits encrypts.
    pub(super) fn rotate_to_waiting(&mut self, rotation: Rotation) {
        let rotated = |material| KeyMaterial { rotation: Some(rotation), ..material };
        self.lasting.extend(self.waiting.take().map(rotated));
    }

    /// Takes an import in: into the place that has its id, else as the first material, else to wait.
    pub(super) fn import(&mut self, wrapped: WrappedMaterial, import: Import) {
        let id = wrapped.id;
        let held = Held::Present(wrapped);
        let places = self.lasting.iter_mut().chain(&mut self.waiting);
        if let Some(place) = places.into_iter().find(|place| place.id() == id) {
            (place.held, place.import) = (held, Some(import));
            return;
        }
        let new = KeyMaterial { held, rotation: None, import: Some(import) };
        if self.lasting.is_empty() {
            self.lasting.push(new);
        } else {
            self.waiting = Some(new);
        }
    }

    /// Drops the bytes of a material, and leaves its place.
    pub(super) fn empty(&mut self, id: MaterialId) {
        let places = self.lasting.iter_mut().chain(&mut self.waiting);
        if let Some(place) = places.into_iter().find(|place| place.id() == id) {
            place.held = Held::Absent(id);
        }
    }

    /// The same; one that never encrypted leaves no place behind.
    pub(super) fn delete(&mut self, id: MaterialId) {
        self.empty(id);
        self.waiting.take_if(|waiting| waiting.id() == id);
    }
}

impl KeyMaterial {
    pub(crate) fn new(wrapped: WrappedMaterial, rotation: Rotation) -> Self {
        Self { held: Held::Present(wrapped), rotation: Some(rotation), import: None }
    }

    pub(crate) fn id(&self) -> MaterialId {
        match &self.held {
            Held::Present(wrapped) => wrapped.id,
            Held::Absent(id) => *id,
        }
    }

    /// The material, if it is here.
    pub(crate) fn wrapped(&self) -> Option<&WrappedMaterial> {
        match &self.held {
            Held::Present(wrapped) => Some(wrapped),
            Held::Absent(_) => None,
        }
    }
}

impl Import {
    /// AWS's word for whether it expires.
    pub(crate) const fn expiration_model(&self) -> &'static str {
        match self.expires {
            Some(_) => "KEY_MATERIAL_EXPIRES",
            None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }
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
