//! Directories as values: what a test cuts, flips and swaps.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use keytrail_ledger::{DirStorage, Storage};
use tempfile::TempDir;

/// A directory for one test, removed with the value. In memory where the system has a file system
/// for that: these tests sync thousands of times.
///
/// # Panics
///
/// When there is no place for temporary files.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }
        .expect("a place for temporary files")
}

/// All files of a directory, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Content by name; `/` separates the parts of a name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Reads a directory.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn read(dir: &Path) -> Self {
        let names = DirStorage::new(dir).list().expect("a readable directory");
        let read = |name: String| {
            let bytes = fs::read(dir.join(&name)).expect("a readable file");
            (name, bytes)
        };
        Self { files: names.into_iter().map(read).collect() }
    }

    /// Writes a directory that holds these files and no others.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, dir: &Path) {
        if dir.exists() {
            fs::remove_dir_all(dir).expect("a removable directory");
        }
        for (name, bytes) in &self.files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir)).expect("a writable directory");
            fs::write(path, bytes).expect("a writable directory");
        }
    }

    /// The content of a file.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn file(&mut self, name: &str) -> &mut Vec<u8> {
        self.files.get_mut(name).expect("a file of this name")
    }

    /// The names of the files in a folder, in order.
    pub fn names_in(&self, folder: &str) -> Vec<String> {
        self.files.keys().filter(|name| name.starts_with(folder)).cloned().collect()
    }
}
