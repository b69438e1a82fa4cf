//! A directory that fails on purpose.
//!
//! Every call of [`Storage`] and [`StorageFile`] is numbered. A [`Fault`] is planted at one number:
//! the call fails, having done its work wholly, in part, or not at all. After a planted *kill* no
//! later call succeeds either and the writer's lock is free: the process is gone, as far as the
//! disk can tell. What the directory then holds is for an ordinary [`DirStorage`] to open.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keytrail_ledger::{DirStorage, Storage, StorageFile};

/// What happens at the planted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error, and nothing was done.
    Failed,
    /// An error, and everything was done all the same.
    FailedButPersisted,
    /// An error, and of the bytes to be written this many were, at most. Calls that write no bytes
    /// do nothing.
    Torn(usize),
    /// The process is gone before the call.
    KilledBefore,
    /// The process is gone after the call.
    KilledAfter,
    /// The process is gone when this many of the bytes were written.
    KilledAt(usize),
}

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `append`, `sync`, `replace`, …
    pub name: &'static str,
    /// The file.
    pub file: String,
}

/// A [`DirStorage`] with faults.
#[derive(Clone)]
pub struct FaultyStorage {
    dir: DirStorage,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    planted: Option<(usize, Fault)>,
    killed: bool,
    lock: Option<Box<dyn Any + Send + Sync>>,
}

/// What a call is to do.
enum Act {
    Fully,
    /// This much of it, then fail.
    Partly(usize),
    ThenFail,
    Fail,
}

impl FaultyStorage {
    /// The directory without faults, counting calls.
    pub fn new(dir: DirStorage) -> Self {
        Self { dir, state: Arc::default() }
    }

    /// Plants a fault at the call with this number, counted from 0 since the beginning.
    #[must_use]
    pub fn with_fault(self, number: usize, fault: Fault) -> Self {
        self.state().planted = Some((number, fault));
        self
    }

    /// Plants a fault at the next call.
    pub fn fail_next(&self, fault: Fault) {
        let mut state = self.state();
        state.planted = Some((state.calls.len(), fault));
    }

    /// The calls so far, failed ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Lets the process be gone, now.
    pub fn kill(&self) {
        self.state().kill();
    }

    /// What a replacement that is cut short leaves: a part of the temporary file, and no more.
    fn leave_temporary(&self, name: &str, part: &[u8]) -> io::Result<()> {
        let temporary = self.dir.root().join(format!("{name}.tmp"));
        std::fs::create_dir_all(temporary.parent().unwrap_or(self.dir.root()))?;
        std::fs::write(temporary, part)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: notes it, and does as much of it as is planted.
    fn call<T>(
        &self,
        name: &'static str,
        file: &str,
        work: impl FnOnce(Option<usize>) -> io::Result<T>,
    ) -> io::Result<T> {
        let act = self.state().next(name, file);
        let failed = || Err(io::Error::other(format!("planted fault: {name} {file}")));
        match act {
            Act::Fully => work(None),
            Act::Partly(len) => work(Some(len)).and_then(|_| failed()),
            Act::ThenFail => work(None).and_then(|_| failed()),
            Act::Fail => failed(),
        }
    }
}

impl State {
    fn next(&mut self, name: &'static str, file: &str) -> Act {
        let number = self.calls.len();
        self.calls.push(Call { name, file: file.to_owned() });
        let fault = self.planted.filter(|&(at, _)| at == number).map(|(_, fault)| fault);
        if self.killed {
            return Act::Fail;
        }
        match fault {
            None => Act::Fully,
            Some(Fault::Failed) => Act::Fail,
            Some(Fault::FailedButPersisted) => Act::ThenFail,
            Some(Fault::Torn(len)) => Act::Partly(len),
            Some(killed) => {
                self.kill();
                match killed {
                    Fault::KilledAfter => Act::ThenFail,
                    Fault::KilledAt(len) => Act::Partly(len),
                    _ => Act::Fail,
                }
            }
        }
    }

    fn kill(&mut self) {
        self.killed = true;
        self.lock = None;
    }
}

/// Nothing, for a call that writes no bytes and is to do only a part; else the call.
fn whole(part: Option<usize>, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if part.is_some() { Ok(()) } else { work() }
}

fn cut(bytes: &[u8], part: Option<usize>) -> &[u8] {
    &bytes[..part.unwrap_or(bytes.len()).min(bytes.len())]
}

impl Storage for FaultyStorage {
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        // Held by the storage, which can let go of it when the process is "killed"; the guard
        // given out lets go of it too.
        let lock = self.call("lock", "", |_| self.dir.lock())?;
        self.state().lock = Some(lock);
        Ok(Box::new(Unlock(Arc::clone(&self.state))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call("list", "", |_| self.dir.list())
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.call("read", name, |_| self.dir.read(name, limit))
    }

    fn replace_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.call("replace_durably", name, |part| match part {
            None => self.dir.replace_durably(name, bytes),
            Some(len) => self.leave_temporary(name, &bytes[..len.min(bytes.len())]),
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call("remove", name, |part| whole(part, || self.dir.remove(name)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.call("open", name, |_| self.dir.open(name))?;
        Ok(Box::new(FaultyFile { file, name: name.to_owned(), storage: self.clone() }))
    }
}

struct Unlock(Arc<Mutex<State>>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lock = None;
    }
}

struct FaultyFile {
    file: Box<dyn StorageFile>,
    name: String,
    storage: FaultyStorage,
}

impl StorageFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let storage = self.storage.clone();
        storage.call("append", &self.name, |part| self.file.append(cut(bytes, part)))
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        let storage = self.storage.clone();
        // Within a sector there are no parts.
        storage.call("overwrite", &self.name, |part| whole(part, || self.file.overwrite(bytes)))
    }

    fn sync(&mut self) -> io::Result<()> {
        let storage = self.storage.clone();
        storage.call("sync", &self.name, |part| whole(part, || self.file.sync()))
    }
}
