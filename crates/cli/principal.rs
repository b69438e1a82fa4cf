//! `keytrail principal`: users and their access keys. Each change is an audited IAM call on the engine.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use crate::report::{print_facts, print_rows};
use crate::{Context, Outcome, kms};

/// Users and their access keys
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail principal create alice --policy may-encrypt.json
  keytrail principal list
  keytrail principal delete alice

A policy file is an IAM identity policy:
  {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"kms:Encrypt\",\"kms:Decrypt\"],\"Resource\":\"*\"}]}")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The user that makes the change [default: the account's root]
    #[arg(long = "as", global = true, value_name = "NAME")]
    caller: Option<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Make a user and one access key; its secret is printed once
    Create {
        /// The user's name: 1 to 64 of letters, digits and +=,.@_-
        name: String,
        /// An identity policy (JSON); may be given several times
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
    },
    /// List users
    List,
    /// Delete a user and its access keys
    Delete {
        /// The user's name
        name: String,
    },
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let engine = context.data.open_engine()?;
    let caller = kms::caller(&engine, arguments.caller.as_deref())?;
    match &arguments.action {
        Action::Create { name, policy } => {
            let policies = read_policies(policy)?;
            let policies: Vec<(&str, &str)> =
                policies.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let key = engine.create_user(&caller, name, &policies)?;
            print_facts(
                context.format,
                &[
                    ("user_name", json!(name)),
                    ("access_key_id", json!(key.id.as_str())),
                    ("secret_access_key", json!(key.secret.expose())),
                ],
            )?;
        }
        Action::List => {
            let users = engine.users(&caller)?;
            let rows = users.iter().map(|user| {
                let (keys, policies) = (&user.access_key_ids, &user.policy_names);
                [&user.user_name, &user.arn, &keys.join(" "), &policies.join(" ")].map(String::from)
            });
            print_rows(context, ["user_name", "arn", "access_key_ids", "policies"], rows)?;
        }
        Action::Delete { name } => {
            engine.delete_user(&caller, name)?;
            context.remark(&format!("deleted user {name}"));
        }
    }
    engine.close()?;
    Ok(Outcome::Fine)
}

/// Policy documents with the names they get: their files' names without the ending.
fn read_policies(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let read = |file: &PathBuf| {
        let name = file.file_stem().context("a policy file has a name")?.to_string_lossy();
        let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        Ok((name.into_owned(), text))
    };
    files.iter().map(read).collect()
}
