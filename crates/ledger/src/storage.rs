//! The few file operations that a ledger needs, as a trait whose comments are the contract, and
//! the directory that fulfils it.
//!
//! The trait exists for the tests: a fault, a lost write, a kill at any call is a few lines there.
//! What it assumes of a disk is written down in `schemas/ledger.md`.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The directory of one ledger. Names are relative, with `/` between parts.
///
/// Unless a method says *durable*, its effect may be lost, wholly or in part, when the machine (not
/// just the process) goes down. After an error the effect of a call is unknown: it may have
/// happened, also durably.
pub trait Storage: Send + Sync {
    /// Keeps every other writer out, in this process and in others, until the guard is dropped.
    /// Fails with [`io::ErrorKind::WouldBlock`] if there is another.
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// The names of all files, sorted, including those that nobody here wrote.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A whole file, refused with [`io::ErrorKind::FileTooLarge`] above `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// Creates or replaces a file; *durable* on return: content and name. At every moment a reader
    /// sees the old or the new content, never a mixture, also after a crash.
    fn replace_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Opens an existing file for writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
}

/// An existing file that is open for writing.
pub trait StorageFile: Send {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Writes over the beginning of the file: 512 bytes at most, which is a sector, so that it
    /// happens as a whole or not at all, whatever goes down. A reader at the same moment may see a
    /// mixture.
    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything that was written *durable*. Fails when the file no longer is the one under
    /// its name: what is written to an unlinked file is lost with the process.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the local file system.
#[derive(Clone, Debug)]
pub struct DirStorage {
    root: PathBuf,
}

/// The newest signed checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// The public key, one line.
pub(crate) const PUBLIC_KEY_FILE: &str = "public-key";
/// Held locked by the writer. Always empty.
pub(crate) const LOCK_FILE: &str = "writer.lock";
/// Ending of a file that [`Storage::replace_durably`] is writing.
pub(crate) const TEMPORARY: &str = ".tmp";

impl DirStorage {
    /// The ledger in this directory, which is created when it is written to.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Storage for DirStorage {
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        fs::create_dir_all(&self.root)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(LOCK_FILE))?;
        file.try_lock()?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        list_below(&self.root, "", &mut names)?;
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let path = self.path(name);
        if fs::metadata(&path)?.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::read(path)
    }

    fn replace_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let temporary = self.path(&format!("{name}{TEMPORARY}"));
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        // The name is durable once its directory is, and a new directory once the one above is.
        path.ancestors().skip(1).take(2).try_for_each(|dir| File::open(dir)?.sync_all())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let path = self.path(name);
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Box::new(DirFile { file, path }))
    }
}

struct DirFile {
    file: File,
    path: PathBuf,
}

impl StorageFile for DirFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(bytes)
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if same_file(&self.file.metadata()?, &fs::symlink_metadata(&self.path)?) {
            Ok(())
        } else {
            Err(io::Error::other("the file was moved, replaced or unlinked while it was open"))
        }
    }
}

#[cfg(unix)]
fn same_file(open: &fs::Metadata, named: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn same_file(open: &fs::Metadata, named: &fs::Metadata) -> bool {
    open.len() == named.len()
}

/// Adds the names of all files below `dir`, links and other special files included.
pub(crate) fn list_below(dir: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let item = item?;
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        if item.file_type()?.is_dir() {
            list_below(&item.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
