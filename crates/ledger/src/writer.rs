//! The writer: one batch at a time, from bytes in memory to a signed checkpoint.
//!
//! [`Writer::commit`] is the whole protocol in one linear function, and each step says what a crash
//! there means. Who calls it, and with which appends, is for [`crate::ledger`]; what is done about
//! a crash, for [`crate::recover`]. An error of any step stops the ledger for good: after a failed
//! write or sync it is unknown what the disk has, and a second try may be told "done" about pages
//! that were dropped.

use std::io;
use std::sync::Arc;

use crate::batch::read_batch;
use crate::checkpoint::Checkpoint;
use crate::entry::{EntryKind, SALT_LEN, commitment};
use crate::error::LedgerError;
use crate::frame::{self, Trailer};
use crate::ledger::{Append, Options, Random, Receipt};
use crate::note::{SignedNote, SigningKey};
use crate::origin::Origin;
use crate::seal::Seal;
use crate::segment::{Header, segment_name};
use crate::storage::{CHECKPOINT_FILE, Storage, StorageFile};
use crate::tip::Tip;

/// Appends batches to the last segment of a ledger. There is one per ledger.
pub(crate) struct Writer {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: Options,
    pub(crate) origin: Origin,
    pub(crate) key: SigningKey,
    pub(crate) seal: Seal,
    /// Where the log stands: behind everything that was committed.
    pub(crate) tip: Tip,
    /// The last segment.
    pub(crate) segment: OpenSegment,
    /// The checkpoint's file, once this writer has signed one.
    pub(crate) checkpoint: Option<Box<dyn StorageFile>>,
    /// The size of the log at which the checkpoint was last made durable.
    pub(crate) settled: u64,
    /// The batch being written; kept for its capacity.
    pub(crate) buffer: Vec<u8>,
}

/// A segment open for appending.
pub(crate) struct OpenSegment {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) file: Box<dyn StorageFile>,
}

/// A batch that is durable and signed.
pub(crate) struct Committed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: SignedNote,
    pub(crate) receipts: Vec<Receipt>,
}

impl Writer {
    /// Makes `appends`, of which there is at least one, durable and signs the log with them.
    pub(crate) fn commit(&mut self, appends: &[Append]) -> Result<Committed, LedgerError> {
        // 1. A full segment is followed by a new one. The checkpoint is made durable first, so that
        //    opening after a crash has few segments to read. A crash leaves a segment without
        //    entries, to which the next opening appends.
        if self.segment.len >= self.options.segment_bytes {
            self.settle()?;
            self.segment = begin_segment(&*self.storage, &self.origin, &self.tip, &self.seal)?;
        }

        // 2. Encode the batch: entries in the order of the queue, then the trailer. A crash here
        //    and before leaves nothing of it.
        let mut tip = self.tip.clone();
        let receipts = self.encode(appends, &mut tip);
        let (first, size, root) = (self.tip.size(), tip.size(), tip.frontier.root());
        let trailer = Trailer { first, size, root, mac: self.seal.batch(first, size, &root) };
        frame::write_trailer(&mut self.buffer, &trailer);

        // 3. Write it. A crash leaves any part of it, in any order of its sectors: a torn tail. No
        //    caller was told anything, so the tail is put aside when the ledger is opened.
        let at_segment = |action| failed(action, &self.segment.name);
        self.segment.file.append(&self.buffer).map_err(at_segment("append to"))?;

        // 4. Make it durable. A crash after this leaves the whole batch, unsigned: the next opening
        //    recognises it by the code in its trailer and signs it. Callers have not been told,
        //    and may find their entries in the log all the same.
        self.segment.file.sync().map_err(at_segment("sync"))?;

        // 5. Read the batch back from the buffer that was written, and hash it a second time. A
        //    bit that flipped in memory since would otherwise be signed, and no later batch could
        //    ever be consistent with what is on the disk. Nothing is signed before the disk has it:
        //    a signature over lost entries could not be told from one over a second history.
        let written = read_batch(&self.buffer, &self.tip).map_err(|_| LedgerError::MemoryFault)?;
        if written.tip != tip || written.len != self.buffer.len() {
            return Err(LedgerError::MemoryFault);
        }

        // 6. Sign, and put the checkpoint where readers look. It is the last word on how long the
        //    log is: a ledger with fewer entries is refused. Not synced, for one sync is what a
        //    caller waits for, and not renamed into place, for that would put a new file into the
        //    journal that the next sync waits for. After a crash of the machine an older checkpoint
        //    may be back; the codes in the trailers make up for that.
        let checkpoint =
            Checkpoint { origin: self.origin.clone(), size: trailer.size, root: trailer.root };
        let note = checkpoint.sign(&self.key).map_err(|error| LedgerError::Refused {
            file: CHECKPOINT_FILE,
            source: error.into(),
        })?;
        self.publish(&note, trailer.size)?;

        // 7. Only now do callers learn of it.
        self.segment.len += self.buffer.len() as u64;
        self.tip = tip;
        Ok(Committed { checkpoint, note, receipts })
    }

    /// Writes the checkpoint: the first one of this writer to a file of its own, durably, the others
    /// over it. Checkpoints of one log never become shorter, so nothing of an older one remains.
    fn publish(&mut self, note: &SignedNote, size: u64) -> Result<(), LedgerError> {
        let text = note.to_string();
        if let Some(file) = &mut self.checkpoint {
            return file.overwrite(text.as_bytes()).map_err(failed("write", CHECKPOINT_FILE));
        }
        let written = self.storage.replace_durably(CHECKPOINT_FILE, text.as_bytes());
        written.map_err(failed("write", CHECKPOINT_FILE))?;
        let file = self.storage.open(CHECKPOINT_FILE).map_err(failed("open", CHECKPOINT_FILE))?;
        self.checkpoint = Some(file);
        self.settled = size;
        Ok(())
    }

    /// Makes the newest checkpoint durable.
    pub(crate) fn settle(&mut self) -> Result<(), LedgerError> {
        if let Some(file) = self.checkpoint.as_mut().filter(|_| self.settled != self.tip.size()) {
            file.sync().map_err(failed("sync", CHECKPOINT_FILE))?;
            self.settled = self.tip.size();
        }
        Ok(())
    }

    /// Fills the buffer with the frames of `appends`, which continue `tip`.
    fn encode(&mut self, appends: &[Append], tip: &mut Tip) -> Vec<Receipt> {
        let mut salts = vec![0; SALT_LEN * appends.len()];
        self.random.fill(&mut salts);
        self.buffer.clear();
        let salts = salts.as_chunks::<SALT_LEN>().0;
        let encoded = appends.iter().zip(salts).map(|(append, salt)| {
            let commit = commitment(salt, &append.state, &append.payload);
            let entry = tip.next(append.kind, append.time_ns, commit);
            frame::write_frame(&mut self.buffer, &entry, salt, &append.payload, &append.state);
            let leaf_hash = entry.leaf_hash();
            tip.push(&entry, leaf_hash);
            Receipt { sequence: entry.sequence, leaf_hash, time_ns: entry.time_ns }
        });
        encoded.collect()
    }
}

/// Begins the segment that continues `tip`. Durable on return, so that a segment never lacks its
/// header or its name once it has entries.
pub(crate) fn begin_segment(
    storage: &dyn Storage,
    origin: &Origin,
    tip: &Tip,
    seal: &Seal,
) -> Result<OpenSegment, LedgerError> {
    let name = segment_name(tip.size());
    let header = Header::write(origin, tip, seal);
    storage.replace_durably(&name, &header).map_err(failed("create", &name))?;
    let file = storage.open(&name).map_err(failed("open", &name))?;
    Ok(OpenSegment { name, len: header.len() as u64, file })
}

/// An entry that the ledger writes about itself.
pub(crate) fn own(kind: EntryKind, time_ns: u64, payload: Vec<u8>) -> Append {
    Append { kind, time_ns, payload, state: Vec::new() }
}

/// Says what was being done, and to which file, when the system refused.
pub(crate) fn failed(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> LedgerError {
    move |source| LedgerError::Storage { action, file: file.to_owned(), source }
}
