//! How fast a corpus is made, and how large its records are.
//!
//! `cargo bench -p keytrail-trail -- [EVENTS] [THREADS]`, one million events on two threads if
//! nothing is said. The files go to a temporary directory, which is removed. A measurement, not a
//! test: nothing here fails for being slow.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, or stops")]

use std::num::NonZeroUsize;
use std::time::Instant;

use keytrail_trail::corpus::{CorpusOptions, generate};

fn main() {
    let numbers: Vec<u64> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(1_000_000);
    let threads = numbers.get(1).copied().unwrap_or(2);
    let threads = NonZeroUsize::new(usize::try_from(threads).unwrap()).unwrap();
    let options = CorpusOptions { threads, ..CorpusOptions::new(events) };
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let summary = generate(&options, folder.path(), &mut |_| {}).unwrap();
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap().max(1);
    println!("{} events in {} files, {} ms", summary.events, summary.files, micros / 1000);
    println!("{} events/s on {threads} threads", events * 1_000_000 / micros);
    println!("{} bytes of JSON an event", summary.json_bytes / events);
    println!("{} bytes of gzip an event", summary.gzip_bytes / events);
}
