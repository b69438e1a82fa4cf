//! What the endpoint counts, and its text for Prometheus
//! ([exposition format](https://prometheus.io/docs/instrumenting/exposition_formats/)).
//!
//! Labels have few values: an operation is only named when the engine knows it, so that no client can make new ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency buckets in microseconds: a sync of the disk lies somewhere between 0.1 and 10 ms.
const BUCKETS_MICROS: [u64; 11] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];

/// Stands for every operation that the engine does not know.
const UNKNOWN: &str = "unknown";

/// Counters of one process.
#[derive(Default)]
pub(crate) struct Metrics {
    operations: Mutex<BTreeMap<(&'static str, &'static str), Operation>>,
    unauthenticated: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) connections: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) turned_away: AtomicU64,
    /// Worn materials that the log has told of.
    pub(crate) worn_told: AtomicU64,
}

/// What the engine can tell at any time.
pub(crate) struct EngineGauges {
    pub(crate) ledger_entries: u64,
    pub(crate) clock_offset_seconds: u64,
    pub(crate) material_encryptions_max: u64,
    pub(crate) worn_materials: u64,
}

/// One operation's calls.
#[derive(Default)]
struct Operation {
    outcomes: BTreeMap<&'static str, u64>,
    /// Calls in each bucket alone; the text adds them up.
    buckets: [u64; BUCKETS_MICROS.len()],
    calls: u64,
    micros: u64,
}

impl Metrics {
    /// Counts a call that the engine answered; `operation` if the engine knows it.
    pub(crate) fn call(
        &self,
        service: &'static str,
        operation: Option<&'static str>,
        outcome: &'static str,
        took: Duration,
    ) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = operations.entry((service, operation.unwrap_or(UNKNOWN))).or_default();
        *entry.outcomes.entry(outcome).or_default() += 1;
        if let Some(bucket) = BUCKETS_MICROS.iter().position(|bound| micros <= *bound) {
            entry.buckets[bucket] += 1;
        }
        entry.calls += 1;
        entry.micros = entry.micros.saturating_add(micros);
    }

    /// Counts a request that nobody is proven to have made.
    pub(crate) fn unauthenticated(&self, reason: &'static str) {
        let mut reasons = self.unauthenticated.lock().unwrap_or_else(PoisonError::into_inner);
        *reasons.entry(reason).or_default() += 1;
    }

    /// The text. `ready` is known to the routes.
    pub(crate) fn text(&self, engine: &EngineGauges, ready: bool) -> String {
        let mut out = String::with_capacity(4096);
        self.write_operations(&mut out);
        describe(
            &mut out,
            "keytrail_unauthenticated_requests_total",
            "counter",
            "Requests without a valid signature; they leave no record.",
        );
        let reasons = self.unauthenticated.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, count) in &*reasons {
            line(
                &mut out,
                format_args!(
                    "keytrail_unauthenticated_requests_total{{reason=\"{reason}\"}} {count}"
                ),
            );
        }
        drop(reasons);
        let single = [
            (
                "keytrail_throttled_requests_total",
                "counter",
                "Requests that waited too long for their turn.",
                self.turned_away.load(Ordering::Relaxed),
            ),
            (
                "keytrail_requests_in_flight",
                "gauge",
                "Calls being carried out.",
                self.in_flight.value(),
            ),
            ("keytrail_connections", "gauge", "Open connections.", self.connections.value()),
            (
                "keytrail_ledger_entries",
                "gauge",
                "Entries of the ledger, all durable and signed.",
                engine.ledger_entries,
            ),
            (
                "keytrail_clock_offset_seconds",
                "gauge",
                "How far the engine's time was moved ahead of the machine's.",
                engine.clock_offset_seconds,
            ),
            (
                "keytrail_material_encryptions_max",
                "gauge",
                "Messages under the key material that encrypted most.",
                engine.material_encryptions_max,
            ),
            (
                "keytrail_worn_materials",
                "gauge",
                "Key materials that encrypted more than is set: rotate their keys.",
                engine.worn_materials,
            ),
            ("keytrail_ready", "gauge", "1 while calls are taken.", u64::from(ready)),
        ];
        for (name, kind, help, value) in single {
            describe(&mut out, name, kind, help);
            line(&mut out, format_args!("{name} {value}"));
        }
        out
    }

    fn write_operations(&self, out: &mut String) {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        describe(
            out,
            "keytrail_requests_total",
            "counter",
            "Calls by operation and outcome: OK or the error's name.",
        );
        for ((service, name), operation) in &*operations {
            for (outcome, count) in &operation.outcomes {
                line(
                    out,
                    format_args!(
                        "keytrail_requests_total{{service=\"{service}\",operation=\"{name}\",outcome=\"{outcome}\"}} {count}"
                    ),
                );
            }
        }
        let name_of_histogram = "keytrail_request_seconds";
        describe(
            out,
            name_of_histogram,
            "histogram",
            "From the last byte of a request to its durable record and answer.",
        );
        for ((service, name), operation) in &*operations {
            let labels = format!("service=\"{service}\",operation=\"{name}\"");
            let mut below = 0;
            for (bound, count) in BUCKETS_MICROS.iter().zip(operation.buckets) {
                below += count;
                line(
                    out,
                    format_args!(
                        "{name_of_histogram}_bucket{{{labels},le=\"{}\"}} {below}",
                        seconds(*bound)
                    ),
                );
            }
            line(
                out,
                format_args!(
                    "{name_of_histogram}_bucket{{{labels},le=\"+Inf\"}} {}",
                    operation.calls
                ),
            );
            line(
                out,
                format_args!("{name_of_histogram}_sum{{{labels}}} {}", seconds(operation.micros)),
            );
            line(out, format_args!("{name_of_histogram}_count{{{labels}}} {}", operation.calls));
        }
    }
}

fn describe(out: &mut String, name: &str, kind: &str, help: &str) {
    line(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}

/// Microseconds as a decimal number of seconds.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of things that come and go.
#[derive(Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Counts one more until the guard is dropped.
    pub(crate) fn enter(&self) -> Inside<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(self)
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the things that a [`Gauge`] counts.
pub(crate) struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_counter() {
        let metrics = Metrics::default();
        metrics.call("kms", Some("Encrypt"), "OK", Duration::from_micros(300));
        metrics.call("kms", Some("Encrypt"), "OK", Duration::from_micros(2_500));
        metrics.call("kms", Some("Encrypt"), "DisabledException", Duration::from_secs(9));
        metrics.call("kms", None, "UnknownOperationException", Duration::ZERO);
        metrics.unauthenticated("InvalidSignatureException");
        let inside = metrics.in_flight.enter();
        let engine = EngineGauges {
            ledger_entries: 42,
            clock_offset_seconds: 7,
            material_encryptions_max: 9,
            worn_materials: 1,
        };
        let text = metrics.text(&engine, true);
        for expected in [
            "keytrail_requests_total{service=\"kms\",operation=\"Encrypt\",outcome=\"OK\"} 2",
            "keytrail_requests_total{service=\"kms\",operation=\"Encrypt\",outcome=\"DisabledException\"} 1",
            "keytrail_requests_total{service=\"kms\",operation=\"unknown\",outcome=\"UnknownOperationException\"} 1",
            "keytrail_request_seconds_bucket{service=\"kms\",operation=\"Encrypt\",le=\"0.00025\"} 0",
            "keytrail_request_seconds_bucket{service=\"kms\",operation=\"Encrypt\",le=\"0.0005\"} 1",
            "keytrail_request_seconds_bucket{service=\"kms\",operation=\"Encrypt\",le=\"0.0025\"} 2",
            "keytrail_request_seconds_bucket{service=\"kms\",operation=\"Encrypt\",le=\"2.5\"} 2",
            "keytrail_request_seconds_bucket{service=\"kms\",operation=\"Encrypt\",le=\"+Inf\"} 3",
            "keytrail_request_seconds_sum{service=\"kms\",operation=\"Encrypt\"} 9.0028",
            "keytrail_request_seconds_count{service=\"kms\",operation=\"Encrypt\"} 3",
            "keytrail_unauthenticated_requests_total{reason=\"InvalidSignatureException\"} 1",
            "keytrail_requests_in_flight 1",
            "keytrail_ledger_entries 42",
            "keytrail_clock_offset_seconds 7",
            "keytrail_material_encryptions_max 9",
            "keytrail_worn_materials 1",
            "keytrail_ready 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
        }
        drop(inside);
        assert!(metrics.text(&engine, false).contains("keytrail_requests_in_flight 0\n"));
    }
}
