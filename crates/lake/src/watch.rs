//! Taking in what arrives: look, take what rests, wait for a notice or the next rescan.
//!
//! The system's notices only make it faster. They are lost when too many come at once, and do not exist on a network
//! file system; so every source is listed again at an interval, and what the listing shows is what counts. A file is
//! taken once it looks the same in two looks, `settle` apart: before that somebody may be writing it. A file that looks
//! as it did when it was taken is not read again; that is this process's memory, nothing is kept of it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::ingest::{IngestOptions, IngestReport};
use crate::lake::Lake;
use crate::source::{self, Source};
use crate::{LakeError, Progress};

/// How often `stop` is looked at.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// A file was closed by its writer.
const WRITTEN: AccessKind = AccessKind::Close(AccessMode::Write);

/// How to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// Every source is listed again after this long.
    pub rescan: Duration,
    /// A file is taken when it has not changed for this long.
    pub settle: Duration,
    /// Who says that something changed.
    pub notice: Notice,
}

/// Who says that something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The file system, and the rescan.
    FileSystem,
    /// The rescan alone: on network file systems, which report nothing of what other machines do.
    RescanOnly,
}

impl Default for WatchOptions {
    fn default() -> Self {
        let (rescan, settle) = (Duration::from_mins(1), Duration::from_millis(500));
        Self { rescan, settle, notice: Notice::FileSystem }
    }
}

impl Lake {
    /// Takes in what is new in the sources, again and again, until `stop` is set. `on_round` hears of each round that
    /// took something in or could not read something.
    pub fn watch(
        &mut self,
        sources: &[Source],
        options: &IngestOptions,
        watch: &WatchOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
        on_round: &mut dyn FnMut(&IngestReport),
    ) -> Result<(), LakeError> {
        let notices = Notices::new(sources, watch.notice)?;
        let mut seen = Seen::default();
        let mut unreadable = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut listing = source::list(sources)?;
            listing.files.retain(|file| seen.is_ready(&file.path, watch.settle));
            let resting = seen.is_resting();
            let plan = self.plan(listing)?;
            if !plan.is_empty() {
                let report = self.take_in(plan, options, progress)?;
                report.unreadable.iter().for_each(|it| seen.forget(&it.path));
                // What still cannot be read was told before.
                if report.files_new > 0 || report.unreadable != unreadable {
                    on_round(&report);
                }
                unreadable = report.unreadable;
            }
            notices.wait(if resting { watch.rescan } else { watch.settle.min(watch.rescan) }, stop);
        }
        Ok(())
    }
}

/// The files as they looked.
#[derive(Default)]
struct Seen(HashMap<PathBuf, Look>);

struct Look {
    len: u64,
    modified: Option<SystemTime>,
    since: Instant,
    taken: bool,
}

impl Seen {
    /// Whether a file has not changed for `settle`, and was not yet handed out like this.
    fn is_ready(&mut self, path: &Path, settle: Duration) -> bool {
        // A file that vanished meanwhile is handed out, so that reading it says why it cannot be read.
        let Ok(metadata) = fs::metadata(path) else { return true };
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        let now = Instant::now();
        let look = self.0.entry(path.to_owned()).or_insert(Look {
            len,
            modified,
            since: now,
            taken: false,
        });
        if (look.len, look.modified) != (len, modified) {
            *look = Look { len, modified, since: now, taken: false };
        }
        let is_ready = !look.taken && now.duration_since(look.since) >= settle;
        look.taken |= is_ready;
        is_ready
    }

    /// Whether nothing waits for its time to settle.
    fn is_resting(&self) -> bool {
        self.0.values().all(|look| look.taken)
    }

    fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }
}

/// Notices of the file system that something changed, if it gives any.
struct Notices {
    _watcher: Option<RecommendedWatcher>,
    receiver: Receiver<()>,
}

impl Notices {
    fn new(sources: &[Source], notice: Notice) -> Result<Self, LakeError> {
        let (sender, receiver) = channel();
        if notice == Notice::RescanOnly {
            return Ok(Self { _watcher: None, receiver });
        }
        let tell = move |event: notify::Result<Event>| {
            // Our own reading is reported too, and must not wake us. Anything else does, errors and overflows included.
            let is_read = |kind| matches!(kind, EventKind::Access(access) if access != WRITTEN);
            if !event.is_ok_and(|event| is_read(event.kind)) {
                // If nobody listens any more, there is nobody to wake.
                sender.send(()).unwrap_or_default();
            }
        };
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| LakeError::Watch { path, source }
        };
        let mut watcher = notify::recommended_watcher(tell).map_err(fail(Path::new("anything")))?;
        for source in sources {
            let path = source.path();
            watcher.watch(path, RecursiveMode::Recursive).map_err(fail(path))?;
        }
        Ok(Self { _watcher: Some(watcher), receiver })
    }

    /// Waits for a notice, the end of `time` or a `stop`.
    fn wait(&self, time: Duration, stop: &AtomicBool) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left.min(STOP_INTERVAL)) {
                Ok(()) => {
                    // Notices come in swarms. One look answers all that arrive in this while.
                    std::thread::sleep(STOP_INTERVAL);
                    while self.receiver.try_recv().is_ok() {}
                    return;
                }
                Err(RecvTimeoutError::Timeout)
                    if left > STOP_INTERVAL && !stop.load(Ordering::Relaxed) => {}
                Err(RecvTimeoutError::Timeout) => return,
                // Nobody will give notice: the rescan alone.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(left.min(STOP_INTERVAL));
                    if left <= STOP_INTERVAL || stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        }
    }
}
