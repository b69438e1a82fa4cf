//! The ledger as its users see it: create, open, append.
//!
//! Appends are committed in groups, without a thread of their own. [`Ledger::enqueue`] fixes the
//! order; the first caller that waits while nobody commits becomes the leader, takes what has
//! queued up, commits it ([`Writer::commit`]) and wakes the others and a next leader. Whatever
//! arrives during one sync is the next batch, so the batches grow with the load by themselves.
//!
//! Locks: `queue` is held for moments only and never during I/O; `writer` belongs to the leader,
//! hence is never waited for, except by [`Ledger::close`].

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

use crate::checkpoint::Checkpoint;
use crate::entry::EntryKind;
use crate::error::LedgerError;
use crate::frame::{FRAME_OVERHEAD, PAYLOAD_LEN_MAX, STATE_LEN_MAX};
use crate::hash::Hash;
use crate::note::{SignedNote, SigningKey, VerifyingKey};
use crate::notice;
use crate::origin::Origin;
use crate::recover;
use crate::seal::Seal;
use crate::storage::{LOCK_FILE, PUBLIC_KEY_FILE, Storage};
use crate::tip::Tip;
use crate::writer::{Committed, OpenSegment, Writer, begin_segment, failed, own};

/// Entries that may wait to be committed: 30 full batches. More means that the disk is stuck.
const QUEUE_ENTRIES_MAX: usize = 1 << 17;
/// Times that a leader lets others run before it takes a batch. Each costs below a microsecond when
/// nobody comes.
const GATHER_ROUNDS_MAX: usize = 64;
/// Bytes that may wait to be committed.
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// A source of random bytes fit for secrets; the salts come from it.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buf: &mut [u8]);
}

/// How a ledger is written. The defaults are for real use, other values for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A new segment is begun once one has this many bytes; 128 MiB at most. The default, 16 MiB,
    /// is read in some 10 ms when a ledger is opened.
    pub segment_bytes: u64,
    /// Entries in one batch at most. The default, 4096, hashes in about as long as one sync takes.
    pub batch_entries: usize,
    /// Bytes in one batch at most, unless its only entry is larger; 64 MiB at most. The default is
    /// 4 MiB.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, batch_entries: 4096, batch_bytes: 4 << 20 }
    }
}

impl Options {
    /// Values under which a segment stays below the length that readers accept.
    fn within_limits(self) -> Self {
        Self {
            segment_bytes: self.segment_bytes.min(128 << 20),
            batch_entries: self.batch_entries.max(1),
            batch_bytes: self.batch_bytes.min(PAYLOAD_LEN_MAX),
        }
    }
}

/// What is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Any kind but `Start` and `Recovery`, which the ledger writes itself.
    pub kind: EntryKind,
    /// Nanoseconds since the Unix epoch; raised to the time of the entry before where it is less.
    pub time_ns: u64,
    /// The content; 64 MiB at most.
    pub payload: Vec<u8>,
    /// A sealed state change that belongs to the content, or nothing; 1 MiB at most. Whoever reads
    /// the files reads it: sealing it is the caller's part.
    pub state: Vec<u8>,
}

/// Says that an entry is durable and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the log.
    pub sequence: u64,
    /// Its leaf hash: with it a caller can later show that the log had the entry.
    pub leaf_hash: Hash,
    /// Its time, nanoseconds since the Unix epoch.
    pub time_ns: u64,
}

/// What opening a ledger found and repaired. The ledger says so itself, in a `recovery` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries that were durable and not signed, and are signed now.
    pub signed_again: u64,
    /// Files with torn tails, relative to the ledger's directory.
    pub quarantined: Vec<String>,
}

/// A ledger open for writing; the only one for its directory, in any process.
///
/// Dropping it commits what is queued and makes the checkpoint durable, as [`Ledger::close`] does,
/// but cannot say whether that worked.
pub struct Ledger {
    origin: Origin,
    verifying_key: VerifyingKey,
    options: Options,
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    published: Mutex<Published>,
    /// Keeps other writers out.
    _lock: Box<dyn Any + Send + Sync>,
}

/// The newest checkpoint.
struct Published {
    checkpoint: Checkpoint,
    note: SignedNote,
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
    ledger: &'a Ledger,
    sequence: u64,
    slot: Arc<Slot>,
}

impl Ledger {
    /// Creates a ledger in an empty directory and appends its first entry, `start`.
    ///
    /// When it fails, there may be files already; remove them before another try.
    pub fn create(
        storage: Arc<dyn Storage>,
        origin: Origin,
        key: SigningKey,
        random: Arc<dyn Random>,
        time_ns: u64,
        options: Options,
    ) -> Result<Self, LedgerError> {
        let lock = lock(&*storage)?;
        let names = storage.list().map_err(failed("list", "the ledger's directory"))?;
        if let Some(file) = names.into_iter().find(|name| name != LOCK_FILE) {
            return Err(LedgerError::AlreadyExists { file });
        }
        let public = format!("{}\n", key.verifying_key(&origin));
        let written = storage.replace_durably(PUBLIC_KEY_FILE, public.as_bytes());
        written.map_err(failed("write", PUBLIC_KEY_FILE))?;
        let (seal, tip) = (Seal::new(&key, &origin), Tip::start(&origin));
        let segment = begin_segment(&*storage, &origin, &tip, &seal)?;
        let writer = Writer {
            storage,
            random,
            options: options.within_limits(),
            origin,
            key,
            seal,
            tip,
            segment,
            checkpoint: None,
            settled: 0,
            buffer: Vec::new(),
        };
        Self::start(writer, lock, Vec::new(), time_ns)
    }

    /// Opens a ledger, finds its end, and appends a `start` entry.
    ///
    /// A batch that a crash cut short is put into quarantine, and a `recovery` entry tells of it.
    /// Everything else that is not as it was signed is refused: see [`LedgerError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        key: SigningKey,
        random: Arc<dyn Random>,
        time_ns: u64,
        options: Options,
    ) -> Result<(Self, Recovery), LedgerError> {
        let lock = lock(&*storage)?;
        let verifying_key = recover::read_public_key(&*storage)?;
        let origin = verifying_key.name().clone();
        let found = key.verifying_key(&origin);
        if found != verifying_key {
            let (expected, found) = (verifying_key.to_string(), found.to_string());
            return Err(LedgerError::WrongKey { expected, found });
        }
        let (_, signed) = recover::read_checkpoint(&*storage, &verifying_key)?;
        let seal = Seal::new(&key, &origin);
        let names = storage.list().map_err(failed("list", "the ledger's directory"))?;
        let end = recover::find_end(&*storage, &names, &verifying_key, &seal, &signed)?;

        recover::remove_temporaries(&*storage, &names)?;
        let wreck = recover::put_aside(&*storage, &names, &end)?;
        recover::rewrite(&*storage, &end, &signed)?;
        let recovery = Recovery {
            signed_again: end.tip.size() - signed.size,
            quarantined: wreck.torn.iter().map(|torn| torn.file.clone()).collect(),
        };
        let told =
            (!wreck.torn.is_empty()).then(|| own(EntryKind::Recovery, time_ns, wreck.write()));

        let file = storage.open(&end.segment).map_err(failed("open", &end.segment))?;
        let segment = OpenSegment { name: end.segment, len: end.whole.len() as u64, file };
        let writer = Writer {
            storage,
            random,
            options: options.within_limits(),
            origin,
            key,
            seal,
            tip: end.tip,
            segment,
            checkpoint: None,
            settled: 0,
            buffer: Vec::new(),
        };
        let ledger = Self::start(writer, lock, told.into_iter().collect(), time_ns)?;
        Ok((ledger, recovery))
    }

    /// Commits `first` and a `start` entry.
    fn start(
        mut writer: Writer,
        lock: Box<dyn Any + Send + Sync>,
        mut first: Vec<Append>,
        time_ns: u64,
    ) -> Result<Self, LedgerError> {
        let verifying_key = writer.key.verifying_key(&writer.origin);
        let start = notice::start(env!("CARGO_PKG_VERSION"), &verifying_key);
        first.push(own(EntryKind::Start, time_ns, start));
        let Committed { checkpoint, note, .. } = writer.commit(&first)?;
        Ok(Self {
            origin: writer.origin.clone(),
            verifying_key,
            options: writer.options,
            queue: Mutex::new(Queue::from(checkpoint.size)),
            writer: Mutex::new(writer),
            published: Mutex::new(Published { checkpoint, note }),
            _lock: lock,
        })
    }

    /// Fixes the place of an append behind all earlier ones. Cheap, without I/O or hashing: may be
    /// called under a lock that orders the caller's own state changes, and the lock released
    /// before [`Pending::wait`].
    pub fn enqueue(&self, append: Append) -> Result<Pending<'_>, LedgerError> {
        check(&append)?;
        let slot = Arc::new(Slot::default());
        let queued = Queued { append, slot: Arc::clone(&slot) };
        let mut queue = held(&self.queue);
        if let Some(cause) = &queue.stopped {
            return Err(LedgerError::Poisoned { cause: cause.clone() });
        }
        let bytes = queue.bytes + queued.bytes();
        if queue.waiting.len() == QUEUE_ENTRIES_MAX
            || (bytes > QUEUE_BYTES_MAX && !queue.waiting.is_empty())
        {
            return Err(LedgerError::QueueFull { entries: queue.waiting.len() });
        }
        let sequence = queue.next_sequence;
        queue.next_sequence += 1;
        queue.bytes = bytes;
        queue.waiting.push_back(queued);
        Ok(Pending { ledger: self, sequence, slot })
    }

    /// Appends, and returns when the entry is durable and signed.
    pub fn append(&self, append: Append) -> Result<Receipt, LedgerError> {
        self.enqueue(append)?.wait()
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        held(&self.published).checkpoint.clone()
    }

    /// The newest checkpoint with its signature, as in the file `checkpoint`.
    pub fn signed_checkpoint(&self) -> SignedNote {
        held(&self.published).note.clone()
    }

    /// Entries that are durable and signed.
    pub fn size(&self) -> u64 {
        held(&self.published).checkpoint.size
    }

    /// The public key, under the log's name.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// The name of the log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Commits what is queued, makes the checkpoint durable, and lets the next writer in.
    pub fn close(self) -> Result<(), LedgerError> {
        self.finish()
    }

    fn finish(&self) -> Result<(), LedgerError> {
        // Every `Pending` borrows the ledger, so nobody waits and nobody leads.
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
        held(&self.writer).settle()
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

impl Drop for Ledger {
    fn drop(&mut self) {
        // Who wants to know calls `close`. Everything acknowledged is durable in any case.
        let _ = self.finish();
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
            let mut queue = held(&self.ledger.queue);
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
                let batch = self.ledger.gather(queue);
                self.ledger.lead(batch);
            }
        }
    }
}

impl Queue {
    fn from(next_sequence: u64) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, next_sequence, led: false, stopped: None }
    }

    /// Takes the next batch: as much as fits, and at least one.
    fn take(&mut self, options: &Options) -> Vec<Queued> {
        let mut bytes = 0;
        let fitting = self.waiting.iter().take(options.batch_entries).take_while(|queued| {
            bytes += queued.bytes();
            bytes <= options.batch_bytes
        });
        let count = fitting.count().max(1).min(self.waiting.len());
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
struct StopOnUnwind<'a>(&'a Ledger, &'a [Arc<Slot>]);

impl Drop for StopOnUnwind<'_> {
    fn drop(&mut self) {
        self.0.stop(self.1, "the writer panicked".to_owned());
    }
}

fn check(append: &Append) -> Result<(), LedgerError> {
    if matches!(append.kind, EntryKind::Start | EntryKind::Recovery) {
        return Err(LedgerError::ReservedKind { kind: append.kind });
    }
    let parts = [
        ("payload", append.payload.len(), PAYLOAD_LEN_MAX),
        ("state", append.state.len(), STATE_LEN_MAX),
    ];
    match parts.into_iter().find(|(_, len, limit)| len > limit) {
        Some((what, len, limit)) => Err(LedgerError::TooLarge { what, len, limit }),
        None => Ok(()),
    }
}

fn lock(storage: &dyn Storage) -> Result<Box<dyn Any + Send + Sync>, LedgerError> {
    storage.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => LedgerError::Locked,
        _ => failed("lock", LOCK_FILE)(error),
    })
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
