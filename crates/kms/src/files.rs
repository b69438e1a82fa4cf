//! Small files written so that a crash leaves the old content or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file by a temporary one and a rename; content and name are durable on return.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Like [`replace_durably`], and the bytes of the old file are overwritten once the new one is durable: a rename alone
/// leaves them on the disk, where whoever reads the device finds them.
pub(crate) fn replace_and_wipe(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut old = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(old.metadata()?.len()).map_err(io::Error::other)?;
    replace_durably(path, bytes)?;
    old.write_all(&vec![0; length])?;
    old.sync_all()
}

/// Makes the name of a new file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// A whole file, refused above `limit` bytes before it is read.
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// A hard link keeps the old file reachable, as a reader of the device would find it.
    #[test]
    fn what_was_replaced_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let [path, device] = ["secret", "device"].map(|name| folder.path().join(name));
        fs::write(&path, b"old secret").unwrap();
        fs::hard_link(&path, &device).unwrap();
        replace_and_wipe(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&device).unwrap(), [0; 10]);
    }
}
