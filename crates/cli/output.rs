//! Where data goes in and comes out: a file or a pipe, and never half of it under the name that was asked for.
//!
//! A file is written beside its name and takes it at the end, durable, when all of it is there and was found good. What a crash
//! leaves behind has another name.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use keytrail_envelope::Release;
use tempfile::NamedTempFile;

/// Many frames at a time: a call of the system for each would cost more than to encrypt it.
const BUFFER_BYTES: usize = 1 << 18;

/// The name for a pipe.
pub(crate) const PIPE: &str = "-";

/// Who may read a file that is made.
#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Whoever the umask lets.
    Umask,
    /// Its owner.
    Owner,
}

/// Opens a file for reading, or standard input for `-`.
pub(crate) fn input(name: &Path) -> anyhow::Result<Box<dyn Read>> {
    if name.as_os_str() == PIPE {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())));
    }
    let file = File::open(name).with_context(|| format!("{}", name.display()))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

/// Where results go.
pub(crate) enum Output {
    /// Standard output.
    Pipe,
    /// This file.
    File(PathBuf, Existing),
}

/// What becomes of a file that has the name already.
#[derive(Clone, Copy)]
pub(crate) enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// Its name goes to the new one.
    Replaced,
}

impl Output {
    /// What was asked for, or else `usual`, which must not be there yet: a name that nobody typed overwrites nothing.
    pub(crate) fn choose(asked: Option<&Path>, usual: &Path) -> anyhow::Result<Self> {
        match asked {
            Some(name) if name.as_os_str() == PIPE => Ok(Self::Pipe),
            None if usual.as_os_str() == PIPE => Ok(Self::Pipe),
            // Early: there may be much to read before the name is taken, which looks again.
            None if usual.exists() => {
                let name = usual.display();
                bail!("{name} is there already: remove it, or name the output with --output")
            }
            None => Ok(Self::File(usual.to_owned(), Existing::Kept)),
            Some(name) => Self::file(name),
        }
    }

    fn file(name: &Path) -> anyhow::Result<Self> {
        if !name.exists() {
            return Ok(Self::File(name.to_owned(), Existing::Replaced));
        }
        // Through links, so that a link stays one. A device or a pipe would be replaced by a file of its name.
        let path = name.canonicalize().with_context(|| format!("{}", name.display()))?;
        if path.is_file() {
            return Ok(Self::File(path, Existing::Replaced));
        }
        bail!("{} is not a file: write to standard output with --output -", name.display())
    }

    /// Refuses to write bytes that are no text to a terminal.
    pub(crate) fn is_for_bytes(&self) -> anyhow::Result<()> {
        if matches!(self, Self::Pipe) && io::stdout().is_terminal() {
            bail!("the message is not text: name a file with --output, or send it to a pipe");
        }
        Ok(())
    }

    /// Hands a writer to `write`, and lets nobody see what was written unless `write` succeeds. Only to a pipe is
    /// [`Release::PerFrame`] passed on as it comes; the rest waits in a file, for a pipe in one without a name.
    pub(crate) fn write<T>(
        &self,
        release: Release,
        readers: Readers,
        write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match (self, release) {
            (Self::File(path, existing), _) => write_file(path, *existing, readers, write),
            (Self::Pipe, Release::PerFrame) => {
                write(&mut BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()))
            }
            (Self::Pipe, Release::AtTheEnd) => {
                let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
                let result = buffered(&file, write)?;
                file.rewind().context("cannot read the temporary file again")?;
                io::copy(&mut file, &mut io::stdout().lock())?;
                Ok(result)
            }
        }
    }
}

fn write_file<T>(
    path: &Path,
    existing: Existing,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let name = || format!("{}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let temporary = temporary_file(folder, readers).with_context(name)?;
    let result = buffered(temporary.as_file(), write)?;
    temporary.as_file().sync_all().with_context(name)?;
    let named = match existing {
        Existing::Kept => temporary.persist_noclobber(path),
        Existing::Replaced => temporary.persist(path),
    };
    named.map_err(|error| error.error).with_context(name)?;
    // The new name is durable with its folder.
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(name)?;
    Ok(result)
}

fn temporary_file(folder: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keytrail-");
    #[cfg(unix)]
    if matches!(readers, Readers::Umask) {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn buffered<T>(
    file: &File,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let result = write(&mut writer)?;
    writer.flush().context("cannot write the output")?;
    Ok(result)
}
