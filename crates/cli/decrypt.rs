//! `keytrail decrypt`: a message of the AWS Encryption SDK, ours or somebody else's.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keytrail_envelope::{Commitment, Demands, Release, open};
use serde_json::json;

use crate::data_keys::KeyHolder;
use crate::encrypt::{ENDING, context_to_json};
use crate::output::{self, Output, PIPE, Readers};
use crate::report::print_facts;
use crate::{Context, Outcome, policy};

/// Decrypt a message of the AWS Encryption SDK
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail decrypt backup.tar.encrypted
  keytrail decrypt backup.msg --output backup.tar --key alias/recovery --context host=db1
  keytrail decrypt orders.msg --output - | psql orders

The data key is opened with Decrypt, which is in the ledger with the message's encryption context. Nothing appears under
the output's name before all of it was found good. On standard output, data of a signed message waits in a temporary file
for the signature; that of an unsigned one comes frame by frame, so a consumer has to look at the exit code at the end.
Messages of AWS's SDKs are read too, if a symmetric KMS key holds their data key; frames up to 256 MiB.")]
pub(crate) struct Arguments {
    /// The message, or - for standard input
    file: PathBuf,
    /// Only with this key, by id, ARN or alias; may be given several times [default: any that the message names]
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// A pair that the encryption context must have; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = policy::read_pair)]
    context: Vec<(String, String)>,
    /// Where the data goes, or - for standard output [default: FILE without .encrypted]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read messages without key commitment too (suites of before 2020): whoever made one may have made it so that
    /// another key opens another text
    #[arg(long)]
    allow_uncommitted: bool,
    /// The user that calls: NAME, or ACCOUNT:NAME of another account [default: the first account's root]
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments { file, key: keys, .. } = arguments;
    let output = output(arguments)?;
    let mut input = output::input(file)?;
    let holder = KeyHolder {
        data: &context.data,
        principal: arguments.principal.as_deref(),
        region: None, // the message names its keys in full
        keys,
    };
    let commitment =
        if arguments.allow_uncommitted { Commitment::Optional } else { Commitment::Required };
    let demands = Demands { commitment, context: arguments.context.clone() };
    let name = || format!("{}", file.display());
    let opened = open(&mut input, &demands, |keys, context| holder.decrypt(keys, context));
    let opened = opened.with_context(name)?;
    let (suite, release) = (opened.suite(), opened.release());
    let encryption_context = context_to_json(opened.context());
    let contents = output.write(release, Readers::Owner, |plaintext| {
        opened.write_to(plaintext).with_context(name)
    })?;
    if let Output::File(path, _) = &output {
        let signature = if release == Release::AtTheEnd { "verified" } else { "none" };
        print_facts(
            context.format,
            &[
                ("output", json!(path.display().to_string())),
                ("suite", json!(suite.to_string())),
                ("signature", json!(signature)),
                ("plaintext_bytes", json!(contents.plaintext_bytes)),
                ("message_bytes", json!(contents.message_bytes)),
                ("frames", json!(contents.frames)),
                ("encryption_context", encryption_context),
            ],
        )?;
    }
    Ok(Outcome::Fine)
}

fn output(Arguments { file, output, .. }: &Arguments) -> anyhow::Result<Output> {
    let usual = match file.to_str() {
        Some(PIPE) => Some(PIPE),
        name => name.and_then(|name| name.strip_suffix(ENDING)),
    };
    match (output, usual) {
        (Some(name), _) => Output::choose(Some(name), name),
        (None, Some(usual)) => Output::choose(None, Path::new(usual)),
        (None, None) => {
            let name = file.display();
            anyhow::bail!("{name} does not end with {ENDING}: name the output with --output")
        }
    }
}
