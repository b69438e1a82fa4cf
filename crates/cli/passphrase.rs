//! The secrets that people hand over for the root key: a passphrase, typed or in a file, and digits in the environment. They
//! are read here and nowhere else, and never taken from the command line, which every user of the machine can see.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use console::Term;
use zeroize::Zeroizing;

/// The variable that holds a root key which is kept in the environment.
pub(crate) const ROOT_KEY: &str = "KEYTRAIL_ROOT_KEY";
/// The variable that holds the root key to come, while it is changed.
pub(crate) const NEW_ROOT_KEY: &str = "KEYTRAIL_NEW_ROOT_KEY";

/// A passphrase is not longer: a file that is was not meant.
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// Where the passphrase of a data directory comes from. It is asked for when it is needed, and once.
#[derive(Default)]
pub(crate) struct Passphrase {
    file: Option<PathBuf>,
    known: OnceCell<Zeroizing<Vec<u8>>>,
}

impl Passphrase {
    /// In this file, or else typed.
    pub(crate) fn from_file_or_terminal(file: Option<PathBuf>) -> Self {
        Self { file, known: OnceCell::new() }
    }

    /// The passphrase that is in force.
    pub(crate) fn ask(&self) -> anyhow::Result<&[u8]> {
        self.know(|| ask_terminal("Passphrase: "))
    }

    /// A passphrase that nothing was sealed with yet: who types it types it twice.
    pub(crate) fn ask_for_new(&self) -> anyhow::Result<&[u8]> {
        self.know(|| {
            let first = ask_terminal("New passphrase: ")?;
            let second = ask_terminal("The same again: ")?;
            if first != second {
                bail!("these are two passphrases: nothing was done");
            }
            Ok(first)
        })
    }

    fn know(
        &self,
        typed: impl FnOnce() -> anyhow::Result<Zeroizing<Vec<u8>>>,
    ) -> anyhow::Result<&[u8]> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let passphrase = match &self.file {
            Some(file) => {
                read(file).with_context(|| format!("the passphrase in {}", file.display()))?
            }
            None => typed()?,
        };
        Ok(self.known.get_or_init(|| passphrase))
    }
}

/// A passphrase as the whole of a file, but for the line end behind it.
fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    refuse_readable_by_others(&file)?;
    // Reserved in one go: growing later would leave a copy in freed memory.
    let mut passphrase = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
    file.take(PASSPHRASE_BYTES_MAX as u64 + 1).read_to_end(&mut passphrase)?;
    if passphrase.len() > PASSPHRASE_BYTES_MAX {
        bail!("it is longer than {PASSPHRASE_BYTES_MAX} bytes");
    }
    for end in [b'\n', b'\r'] {
        passphrase.pop_if(|last| *last == end);
    }
    Ok(passphrase)
}

/// A file that others may read holds no secret. Pipes (`<(…)`) are their maker's.
#[cfg(unix)]
fn refuse_readable_by_others(file: &File) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        bail!("others can read it: set its mode to 0600");
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &File) -> anyhow::Result<()> {
    Ok(())
}

/// Asks whoever sits at the terminal, without echo.
fn ask_terminal(question: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let terminal = Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        bail!(
            "the root key comes from a passphrase, and there is no terminal to ask at: name a file with --passphrase-file \
             or KEYTRAIL_PASSPHRASE_FILE"
        );
    }
    terminal.write_str(question)?;
    Ok(Zeroizing::new(terminal.read_secure_line()?.into_bytes()))
}

/// A root key in the environment.
pub(crate) fn digits_in(variable: &str) -> anyhow::Result<Zeroizing<String>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line reads the environment, and this secret must not be a flag"
    )]
    let digits = std::env::var(variable);
    digits.map(Zeroizing::new).with_context(|| {
        format!(
            "the root key is kept in the environment: set {variable} to its 64 hexadecimal digits"
        )
    })
}
