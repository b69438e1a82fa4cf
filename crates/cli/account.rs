//! `keytrail account`: the accounts of a data directory. Each change is an audited call of Organizations on the engine.

use clap::Subcommand;
use keytrail_event::AccountId;
use serde_json::json;

use crate::report::{print_facts, print_rows};
use crate::{Context, Outcome, kms};

/// Accounts beside the first one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail account create 444455556666
  keytrail account list
  keytrail principal create mallory --as 444455556666:root --policy may-encrypt.json
  keytrail kms list-keys --principal 444455556666:mallory

A new account has a root user and nothing else. What it may do with keys of other accounts, their key policies and grants
say; its users need an identity policy besides. A call across accounts is recorded in both.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Who asks for it: a user of the first account [default: its root]
    #[arg(long = "as", global = true, value_name = "NAME")]
    caller: Option<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Make an account; the secret of its root user's access key is printed once
    Create {
        /// Twelve digits
        account: AccountId,
    },
    /// List accounts
    List,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let engine = context.data.open_engine()?;
    let caller = kms::caller(&engine, arguments.caller.as_deref())?;
    match &arguments.action {
        Action::Create { account } => {
            let key = engine.create_account(&caller, account)?;
            print_facts(
                context.format,
                &[
                    ("account", json!(account.as_str())),
                    ("access_key_id", json!(key.id.as_str())),
                    ("secret_access_key", json!(key.secret.expose())),
                ],
            )?;
        }
        Action::List => {
            let accounts = engine.accounts(&caller)?;
            print_rows(context, ["account"], accounts.iter().map(|it| [it.as_str().to_owned()]))?;
        }
    }
    engine.close()?;
    Ok(Outcome::Fine)
}
