//! Group commit: many callers, one sync.
//!
//! There is no thread for it. [`Group::enqueue`] fixes the order; the first caller that waits while
//! nobody commits becomes the leader, takes what has queued up, commits it ([`Writer::commit`]), and
//! wakes the others and a next leader. Whatever arrives during one sync is the next batch, so the
//! batches grow with the load by themselves.
//!
//! Locks: `queue` is held for moments and never during I/O; `writer` belongs to the leader, so that
//! nobody ever waits for it; `published` is held for a copy. No two at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

use crate::checkpoint::Checkpoint;
use crate::entry::EntryKind;
use crate::error::LedgerError;
use crate::frame::{FRAME_OVERHEAD, PAYLOAD_LEN_MAX, STATE_LEN_MAX};
use crate::ledger::{Append, Options, Receipt};
use crate::note::SignedNote;
use crate::writer::{Committed, Writer};

/// Entries that may wait to be committed: 30 full batches. More means that the disk is stuck.
const QUEUE_ENTRIES_MAX: usize = 1 << 17;
/// Bytes that may wait to be committed.
const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Times that a leader lets others run before it takes a batch. Each costs below a microsecond when
/// nobody comes.
const GATHER_ROUNDS_MAX: usize = 64;

/// The queue before the writer, and whoever takes turns at committing it.
pub(crate) struct Group {
    options: Options,
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    published: Mutex<Published>,
}

/// The newest checkpoint.
pub(crate) struct Published {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: SignedNote,
}

/// Appends in order, not yet taken by a leader.
struct Queue {
    waiting: VecDeque<Queued>,
    bytes: usize,
    next_sequence: u64,
    /// Whether a thread is committing.
    led: bool,
    /// The failure after which nothing is accepted any more.
    stopped: Option<String>,
}

struct Queued {
    append: Append,
    slot: Arc<Slot>,
    /// Whether the next one was enqueued together with this one, and is in the same batch.
    goes_on: bool,
}

/// Where a leader leaves the outcome for the caller who waits.
#[derive(Default)]
struct Slot {
    /// `None` within: the ledger stopped.
    outcome: OnceLock<Option<Receipt>>,
    waiter: OnceLock<Thread>,
}

/// An append whose place in the log is fixed, and which is neither durable nor signed yet.
///
/// Dropped without waiting, it is still committed, with the next batch or when the ledger is
/// closed; nobody is told.
#[must_use = "nothing is known to be durable until `wait` returns"]
pub struct Pending<'a> {
    group: &'a Group,
    sequence: u64,
    slot: Arc<Slot>,
}

impl Group {
    /// The queue before `writer`, which stands at what it has published.
    pub(crate) fn new(writer: Writer, published: Published) -> Self {
        Self {
            options: writer.options,
            queue: Mutex::new(Queue::from(published.checkpoint.size)),
            writer: Mutex::new(writer),
            published: Mutex::new(published),
        }
    }

    /// The newest checkpoint.
    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        held(&self.published)
    }

    /// Whether nothing is accepted any more.
    pub(crate) fn is_stopped(&self) -> bool {
        held(&self.queue).stopped.is_some()
    }

    /// Puts an append behind all earlier ones.
    pub(crate) fn enqueue(&self, append: Append) -> Result<Pending<'_>, LedgerError> {
        check([&append])?;
        let slot = Arc::new(Slot::default());
        let queued = Queued { append, slot: Arc::clone(&slot), goes_on: false };
        let sequence = held(&self.queue).push([queued])?;
        Ok(Pending { group: self, sequence, slot })
    }

    /// Puts appends behind all earlier ones and behind each other, all into the same batch.
    pub(crate) fn enqueue_together(
        &self,
        appends: Vec<Append>,
    ) -> Result<Vec<Pending<'_>>, LedgerError> {
        check(&appends)?;
        let count = appends.len();
        let queued: Vec<_> = appends
            .into_iter()
            .zip(1..)
            .map(|(append, number)| {
                let slot = Arc::new(Slot::default());
                Queued { append, slot, goes_on: number < count }
            })
            .collect();
        let slots: Vec<_> = queued.iter().map(|queued| Arc::clone(&queued.slot)).collect();
        let first = held(&self.queue).push(queued)?;
        let pending = |(slot, sequence)| Pending { group: self, sequence, slot };
        Ok(slots.into_iter().zip(first..).map(pending).collect())
    }

    /// Commits what is queued, and makes the checkpoint durable.
    pub(crate) fn finish(&self) -> Result<(), LedgerError> {
        // Every `Pending` borrows the group, so nobody waits and nobody leads.
        loop {
            let mut queue = held(&self.queue);
            if let Some(cause) = &queue.stopped {
                return Err(LedgerError::Poisoned { cause: cause.clone() });
            }
            if queue.waiting.is_empty() {
                break;
            }
            let batch = queue.take(&self.options);
            drop(queue);
            self.lead(batch);
        }
        let settled = held(&self.writer).settle();
        if let Err(error) = &settled {
            self.stop(&[], chain(error));
        }
        settled
    }

    /// Takes the next batch, once the callers whom the last one released had a chance to queue up
    /// again. Without that, the first of them leads alone and the others wait for a whole commit:
    /// batches alternate between one and all but one, and half of the syncs are wasted.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> Vec<Queued> {
        let mut len = queue.waiting.len();
        for _ in 0..GATHER_ROUNDS_MAX {
            drop(queue);
            thread::yield_now();
            queue = held(&self.queue);
            if queue.waiting.len() == len {
                break;
            }
            len = queue.waiting.len();
        }
        queue.take(&self.options)
    }

    /// Commits a batch as the leader, and hands on.
    fn lead(&self, batch: Vec<Queued>) {
        let (appends, slots): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|queued| (queued.append, queued.slot)).unzip();
        let panicked = StopOnUnwind(self, &slots);
        let committed = held(&self.writer).commit(&appends);
        std::mem::forget(panicked);
        match committed {
            Ok(Committed { checkpoint, note, receipts }) => {
                *held(&self.published) = Published { checkpoint, note };
                for (slot, receipt) in slots.iter().zip(receipts) {
                    slot.outcome.get_or_init(|| Some(receipt));
                }
                self.hand_on(&slots);
            }
            Err(error) => self.stop(&slots, chain(&error)),
        }
    }

    /// Gives up the lead, wakes the callers of `done`, and one caller who leads next.
    fn hand_on(&self, done: &[Arc<Slot>]) {
        let mut queue = held(&self.queue);
        queue.led = false;
        // A caller that is not waiting yet will find out by itself that nobody leads.
        let next = queue.waiting.iter().find_map(|queued| queued.slot.waiter.get()).cloned();
        drop(queue);
        // The next leader first: the disk is idle until it runs.
        let waiters = done.iter().filter_map(|slot| slot.waiter.get());
        next.iter().chain(waiters).for_each(Thread::unpark);
    }

    /// Refuses everything from now on, and tells all who wait.
    fn stop(&self, taken: &[Arc<Slot>], cause: String) {
        let mut queue = held(&self.queue);
        queue.stopped = Some(cause);
        queue.bytes = 0;
        let waiting = std::mem::take(&mut queue.waiting);
        for slot in taken.iter().chain(waiting.iter().map(|queued| &queued.slot)) {
            slot.outcome.get_or_init(|| None);
        }
        drop(queue);
        for slot in taken.iter().chain(waiting.iter().map(|queued| &queued.slot)) {
            slot.waiter.get().map(Thread::unpark);
        }
    }
}

impl Pending<'_> {
    /// The place in the log that the append will have, unless the ledger stops before.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Blocks until the append is durable and signed.
    ///
    /// After an error the entry may be in the log or not; opening the ledger again decides it.
    pub fn wait(self) -> Result<Receipt, LedgerError> {
        loop {
            let mut queue = held(&self.group.queue);
            // Looked at under the lock: a leader takes it after leaving the outcomes and before
            // looking for waiters, so either the outcome is seen here or the waiter there.
            if let Some(outcome) = self.slot.outcome.get() {
                let cause = || queue.stopped.clone().unwrap_or_default();
                return outcome.ok_or_else(|| LedgerError::Poisoned { cause: cause() });
            }
            if queue.led {
                self.slot.waiter.get_or_init(thread::current);
                drop(queue);
                thread::park();
            } else {
                queue.led = true;
                let batch = self.group.gather(queue);
                self.group.lead(batch);
            }
        }
    }
}

impl Queue {
    fn from(next_sequence: u64) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, next_sequence, led: false, stopped: None }
    }

    /// Puts all of these behind the others, or none. Returns the sequence of the first.
    fn push<Q>(&mut self, queued: Q) -> Result<u64, LedgerError>
    where
        Q: AsRef<[Queued]> + IntoIterator<Item = Queued>,
    {
        if let Some(cause) = &self.stopped {
            return Err(LedgerError::Poisoned { cause: cause.clone() });
        }
        let (count, bytes) = {
            let queued = queued.as_ref();
            (queued.len(), self.bytes + queued.iter().map(Queued::bytes).sum::<usize>())
        };
        if self.waiting.len() + count > QUEUE_ENTRIES_MAX
            || (bytes > QUEUE_BYTES_MAX && !self.waiting.is_empty())
        {
            return Err(LedgerError::QueueFull { entries: self.waiting.len() });
        }
        let first = self.next_sequence;
        self.next_sequence += count as u64;
        self.bytes = bytes;
        self.waiting.extend(queued);
        Ok(first)
    }

    /// Takes the next batch: as much as fits, at least one, and never a part of what was enqueued
    /// together.
    fn take(&mut self, options: &Options) -> Vec<Queued> {
        let (mut count, mut bytes) = (0, 0);
        for (before, queued) in self.waiting.iter().enumerate() {
            bytes += queued.bytes();
            let fits = before < options.batch_entries && bytes <= options.batch_bytes;
            if !fits && count > 0 {
                break;
            }
            if !queued.goes_on {
                count = before + 1;
            }
        }
        let batch: Vec<_> = self.waiting.drain(..count).collect();
        self.bytes -= batch.iter().map(Queued::bytes).sum::<usize>();
        batch
    }
}

impl Queued {
    fn bytes(&self) -> usize {
        FRAME_OVERHEAD + self.append.payload.len() + self.append.state.len()
    }
}

/// Stops the ledger when committing panics: a thread that waits for a dead leader waits for ever.
struct StopOnUnwind<'a>(&'a Group, &'a [Arc<Slot>]);

impl Drop for StopOnUnwind<'_> {
    fn drop(&mut self) {
        self.0.stop(self.1, "the writer panicked".to_owned());
    }
}

/// Refuses what cannot be one batch: together they are held to what one of them may have.
fn check<'a>(appends: impl IntoIterator<Item = &'a Append>) -> Result<(), LedgerError> {
    let (mut payload, mut state) = (0, 0);
    for append in appends {
        if matches!(append.kind, EntryKind::Start | EntryKind::Recovery) {
            return Err(LedgerError::ReservedKind { kind: append.kind });
        }
        payload += append.payload.len();
        state += append.state.len();
    }
    let parts = [("payload", payload, PAYLOAD_LEN_MAX), ("state", state, STATE_LEN_MAX)];
    match parts.into_iter().find(|(_, len, limit)| len > limit) {
        Some((what, len, limit)) => Err(LedgerError::TooLarge { what, len, limit }),
        None => Ok(()),
    }
}

/// Locks. A panic while holding one of these locks leaves nothing half done that matters: the queue
/// and the checkpoint are replaced whole, and a panic of the writer stops the ledger.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |source| source.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
