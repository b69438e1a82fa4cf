//! `keytrail root-key`: another root key for a data directory, and where root keys come from.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use keytrail_kms::{OsRandom, RootKey, Stretching};
use serde_json::json;

use crate::passphrase::{self, Passphrase};
use crate::report::print_facts;
use crate::{Context, Outcome};

/// The key that seals the data directory
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail root-key rewrap --to passphrase                     asked for on the terminal, twice
  keytrail root-key rewrap --to file                           a fresh key in root.key
  KEYTRAIL_NEW_ROOT_KEY=$(openssl rand -hex 32) keytrail root-key rewrap --to environment

Only the store key in DATA/keys/store-key is sealed anew: keys, ciphertexts, access keys and public keys
stay. The engine must not be running. If it is interrupted, the old root key opens or the new one does, as
root.key says; the ledger tells of it as RewrapStoreKey. Copies of DATA/keys from before still open with
the old root key: destroy them if it is known to others.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Seal the store key under a new root key, and forget the old one
    Rewrap {
        /// Where the new root key comes from
        #[arg(long, value_name = "SOURCE")]
        to: Source,
        /// The new passphrase, in a file that only its owner can read [default: asked for]
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
}

/// Where a root key comes from.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// A fresh one, in root.key (mode 0600)
    File,
    /// From a passphrase, by Argon2id; root.key tells its costs and salt
    Passphrase,
    #[value(help = "64 hexadecimal digits in KEYTRAIL_ROOT_KEY; root.key only says so")]
    Environment,
}

impl Source {
    /// A root key that nothing was sealed with yet.
    pub(crate) fn new_root_key(
        self,
        passphrase: &Passphrase,
        variable: &str,
    ) -> anyhow::Result<RootKey> {
        Ok(match self {
            Self::File => RootKey::generate(&OsRandom),
            Self::Passphrase => {
                let stretching = Stretching::generate(&OsRandom);
                RootKey::from_passphrase(passphrase.ask_for_new()?, stretching)?
            }
            Self::Environment => RootKey::from_digits(&passphrase::digits_in(variable)?)?,
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase => "passphrase",
            Self::Environment => "environment",
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Action::Rewrap { to, new_passphrase_file } = &arguments.action;
    let engine = context.data.open_engine()?;
    let passphrase = Passphrase::from_file_or_terminal(new_passphrase_file.clone());
    let root_key = to.new_root_key(&passphrase, passphrase::NEW_ROOT_KEY)?;
    let file = context.data.root_key_file()?;
    engine.rewrap(&root_key, &file)?;
    engine.close()?;
    print_facts(
        context.format,
        &[
            ("root_key_source", json!(to.as_str())),
            ("root_key_file", json!(file.display().to_string())),
        ],
    )?;
    if *to == Source::Environment {
        context.remark("from now on it is expected in KEYTRAIL_ROOT_KEY");
    }
    Ok(Outcome::Fine)
}
