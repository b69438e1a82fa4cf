//! Which batch of events is delivered when and where: the corpus' traffic over time.
//!
//! A *batch* is what one region delivers at one moment: a file for each account that had events.
//! Each batch is a pure function of the options and its number, so any thread can make any batch,
//! nothing is kept per batch, and the numbers of events add up to exactly the number asked for.
//!
//! Batches follow a day's curve (quiet at night, two humps around noon UTC, weekends at 40 %). When
//! the events are few, not every five minutes have a batch: then the traffic comes in bursts, and
//! smaller files make it smoother.

use keytrail_event::Timestamp;

use super::CorpusOptions;
use super::random::{Random, Weighted};

/// AWS delivers on a grid of five minutes; so does the corpus.
pub(super) const GRID_SECONDS: u64 = 300;

/// The oldest an event is when its file is delivered (the longest delay in real files is 594 s),
/// rounded up to the grid.
const DELAY_SECONDS_MAX: u64 = 600;

/// Traffic by hour of the day (UTC), the busiest hour being 100.
const HOURS: [u64; 24] = [
    30, 26, 24, 23, 24, 28, 36, 52, 76, 92, 100, 98, 90, 95, 100, 96, 88, 76, 64, 55, 48, 42, 37,
    33,
];

/// The share of a working day's traffic that a Saturday or Sunday sees, in percent.
const WEEKEND_PERCENT: u64 = 40;

/// What happens when and where.
#[derive(Debug)]
pub(super) struct Plan {
    random: Random,
    events: u64,
    duplicates: u64,
    batches: u64,
    regions: Weighted,
    hours: Weighted,
    first_delivery_seconds: u64,
    slots: u64,
}

/// What one region delivers at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// The index of the region.
    pub(super) region: usize,
    /// On the grid, in seconds since the epoch.
    pub(super) delivery_seconds: u64,
    /// How many events it has over all accounts.
    pub(super) events: u64,
    /// How many of them are delivered a second time.
    pub(super) duplicates: u64,
}

impl Plan {
    /// The plan for options that have been checked.
    pub(super) fn new(options: &CorpusOptions) -> Self {
        let random = Random::new(options.seed).fork(u64::from_be_bytes(*b"the plan"));
        let start_seconds = options.start.unix_nanos() / 1_000_000_000;
        let grid_start = start_seconds.next_multiple_of(GRID_SECONDS);
        let days = u64::from(options.days);
        // A delivery reaches back ten minutes: the last two slots would reach beyond the last day,
        // so they are left out.
        let slots = days * 24 * 3600 / GRID_SECONDS - 2;
        let batch_events = options.events_per_file as u64 * options.accounts.len() as u64;
        Self {
            events: options.events,
            duplicates: options.duplicates,
            batches: options.events.div_ceil(batch_events),
            // The first region is the company's home.
            regions: Weighted::zipf(options.regions.len()),
            hours: hours(grid_start, days, &random),
            first_delivery_seconds: grid_start + DELAY_SECONDS_MAX,
            slots,
            random,
        }
    }

    /// How many batches there are; some may be empty when they have hardly an event each.
    pub(super) fn batches(&self) -> u64 {
        self.batches
    }

    /// The batch of a number below [`Plan::batches`]; batches come in order of their delivery.
    pub(super) fn batch(&self, number: u64) -> Batch {
        let mut random = self.random.fork(number);
        let (from, to) = (self.events_before(number), self.events_before(number + 1));
        Batch {
            number,
            region: self.regions.draw(&mut random),
            delivery_seconds: self.first_delivery_seconds + self.slot(number) * GRID_SECONDS,
            events: to - from,
            // Counted along the events, not along the batches, so that no batch has more duplicates
            // than events.
            duplicates: scale(self.duplicates, to, self.events)
                - scale(self.duplicates, from, self.events),
        }
    }

    /// How many events lie before a batch. Batches are 0.6 to 1.4 times as long as their average,
    /// [`FINE`].
    fn events_before(&self, number: u64) -> u64 {
        let shift = match number {
            0 => 0,
            last if last == self.batches => 0,
            _ => self.random.fork(!number).below(FINE * 2 / 5),
        };
        scale(self.events, number * FINE + shift, self.batches * FINE)
    }

    /// The five minutes, counted from the first, in which a batch is delivered: the curve's
    /// quantile.
    fn slot(&self, number: u64) -> u64 {
        let position = scale(self.hours.total(), 2 * number + 1, 2 * self.batches);
        let hour = self.hours.at(position);
        let (from, to) = self.hours.range(hour);
        let slots_per_hour = 3600 / GRID_SECONDS;
        let slot = hour as u64 * slots_per_hour + (position - from) * slots_per_hour / (to - from);
        slot.min(self.slots - 1)
    }
}

/// The resolution of batch boundaries: batches are that long on average.
const FINE: u64 = 1000;

/// `total · part / whole`, rounded down, without overflow; `part` is at most `whole`.
fn scale(total: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(total) * u128::from(part) / u128::from(whole);
    u64::try_from(share).expect("a share is at most the total")
}

/// The traffic of every hour of the range, each 10 % off the curve either way.
fn hours(start_seconds: u64, days: u64, random: &Random) -> Weighted {
    let mut random = random.fork(u64::from_be_bytes(*b"the hour"));
    Weighted::new((0..days * 24).map(|hour| {
        let hours_since_epoch = start_seconds / 3600 + hour;
        // The epoch was a Thursday: counted from Monday, day 3.
        let weekday = (hours_since_epoch / 24 + 3) % 7;
        let share = if weekday >= 5 { WEEKEND_PERCENT } else { 100 };
        let curve = HOURS[(hours_since_epoch % 24) as usize] * share;
        // Scaled up so that a position within the hour is exact to the slot.
        curve * (900 + random.below(201))
    }))
}

/// How long before its file's delivery an event happened, in seconds, for a quantile in
/// thousandths.
///
/// Measured on 2,900 real records: at least 3 s, half of them within 201 s, 95 % within 425 s, at
/// most 594 s. Straight lines between these points.
pub(super) fn delay_seconds(quantile: u64) -> u64 {
    const POINTS: [(u64, u64); 4] = [(0, 3), (500, 201), (950, 425), (1000, 594)];
    let quantile = quantile.min(1000);
    let after = POINTS.partition_point(|&(at, _)| at < quantile).max(1);
    let ((from, low), (to, high)) = (POINTS[after - 1], POINTS[after]);
    low + (high - low) * (quantile - from) / (to - from)
}

/// The moment of an event that happened `quantile` thousandths before the delivery.
pub(super) fn event_time(batch: &Batch, quantile: u64) -> Timestamp {
    Timestamp::from_unix_seconds(batch.delivery_seconds - delay_seconds(quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &CorpusOptions) {
        let plan = Plan::new(options);
        let batches: Vec<Batch> = (0..plan.batches()).map(|number| plan.batch(number)).collect();
        assert_eq!(batches.iter().map(|batch| batch.events).sum::<u64>(), options.events);
        assert_eq!(batches.iter().map(|batch| batch.duplicates).sum::<u64>(), options.duplicates);
        assert!(batches.is_sorted_by_key(|batch| batch.delivery_seconds));
        let start = options.start.unix_nanos() / 1_000_000_000;
        let end = start + u64::from(options.days) * 86_400;
        for batch in batches {
            assert!(batch.duplicates <= batch.events);
            assert_eq!(batch.delivery_seconds % GRID_SECONDS, 0);
            assert!(batch.region < options.regions.len());
            assert!(event_time(&batch, 1000).unix_nanos() / 1_000_000_000 >= start);
            assert!(event_time(&batch, 0).unix_nanos() / 1_000_000_000 < end);
        }
    }

    #[test]
    fn counts_are_exact_and_times_stay_in_the_range() {
        for (events, events_per_file, duplicates, days) in [
            (1, 1, 1, 1),
            (7, 1, 0, 1),
            (999, 10, 999, 2),
            (1_000_000, 2500, 1234, 30),
            (50_000, 3, 9, 1),
        ] {
            let options =
                CorpusOptions { days, events_per_file, duplicates, ..CorpusOptions::new(events) };
            check(&options);
            check(&CorpusOptions { start: Timestamp::from_unix_seconds(1_750_000_001), ..options });
        }
    }

    #[test]
    fn noon_is_busier_than_the_night_and_monday_than_sunday() {
        let options = CorpusOptions { events_per_file: 1, days: 7, ..CorpusOptions::new(100_000) };
        let plan = Plan::new(&options);
        let (mut hours, mut days) = ([0u64; 24], [0u64; 7]);
        for batch in (0..plan.batches()).map(|number| plan.batch(number)) {
            let since_start = batch.delivery_seconds - options.start.unix_nanos() / 1_000_000_000;
            hours[(since_start / 3600 % 24) as usize] += batch.events;
            days[(since_start / 86_400).min(6) as usize] += batch.events;
        }
        assert!(hours[10] > 3 * hours[3], "{hours:?}");
        assert!(days[0] > 2 * days[6], "{days:?}");
    }

    #[test]
    fn delays_are_those_of_real_files() {
        assert_eq!(
            [0, 250, 500, 950, 975, 1000, 2000].map(delay_seconds),
            [3, 102, 201, 425, 509, 594, 594]
        );
    }
}
