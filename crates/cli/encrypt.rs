//! `keytrail encrypt`: a file of any size, under a data key that the engine makes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keytrail_envelope::{
    EncryptOptions, EncryptionContext, FRAME_LENGTH_DEFAULT, Release, Sealed, Suite, encrypt,
};
use keytrail_event::Region;
use keytrail_kms::{OsRandom, Random as _};
use serde_json::{Map, Value, json};

use crate::data_keys::{self, KeyHolder};
use crate::output::{self, Output, PIPE, Readers};
use crate::report::print_facts;
use crate::{Context, Outcome, policy};

/// The ending of an encrypted file's name, as with AWS's own command line.
pub(crate) const ENDING: &str = ".encrypted";

/// Encrypt a file of any size under a key, as a message of the AWS Encryption SDK
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail encrypt backup.tar --key alias/backups --context host=db1
  keytrail encrypt backup.tar --key alias/backups --key alias/recovery --output backup.msg
  pg_dump orders | keytrail encrypt - --key alias/backups > orders.msg

The file is encrypted under a data key of its own, made with GenerateDataKey; that and an Encrypt for each further key
are in the ledger, with the encryption context. Any one of the keys opens the message. The context is not secret: it is
in the message's header, and in the records of everybody who opens it. AWS's SDKs and its aws-encryption-cli read it too;
they are what to use while `keytrail serve` has the data directory.")]
pub(crate) struct Arguments {
    /// The file, or - for standard input
    file: PathBuf,
    /// The key, by id, ARN or alias; may be given several times, and any of them opens the message
    #[arg(long, required = true, value_name = "KEY")]
    key: Vec<String>,
    /// A pair of the encryption context; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = policy::read_pair)]
    context: Vec<(String, String)>,
    /// Where the message goes, or - for standard output [default: FILE.encrypted]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No signature (suite 0x0478): whoever reads the message as a stream may use each frame at once
    #[arg(long)]
    unsigned: bool,
    /// Bytes in a frame
    #[arg(long, value_name = "BYTES", default_value_t = FRAME_LENGTH_DEFAULT)]
    frame_length: u32,
    /// The user that calls: NAME, or ACCOUNT:NAME of another account [default: the first account's root]
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// The Region of keys named by id or alias [default: the data directory's first]
    #[arg(long, env = "KEYTRAIL_REGION")]
    region: Option<Region>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments { file, key: keys, frame_length, .. } = arguments;
    let output = Output::choose(arguments.output.as_deref(), &usual_name(file))?;
    output.is_for_bytes()?;
    let mut input = output::input(file)?;
    let holder = KeyHolder {
        data: &context.data,
        principal: arguments.principal.as_deref(),
        region: arguments.region.as_ref(),
        keys,
    };
    let mut message_id = [0; 32];
    OsRandom.fill(&mut message_id);
    let suite = if arguments.unsigned { Suite::COMMITTED } else { Suite::COMMITTED_AND_SIGNED };
    let encryption_context = EncryptionContext::new(arguments.context.iter().cloned())?;
    let options = EncryptOptions {
        suite,
        frame_length: *frame_length,
        ..EncryptOptions::new(encryption_context, message_id)
    };
    // Ciphertext gives nothing away before it is whole.
    let sealed = output.write(Release::PerFrame, Readers::Umask, |message| {
        encrypt(&mut input, message, options, |context| holder.generate(suite, context))
            .with_context(|| format!("{}", file.display()))
    })?;
    if let Output::File(path, _) = &output {
        print_facts(context.format, &facts(path, suite, &sealed))?;
    }
    Ok(Outcome::Fine)
}

fn usual_name(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    if name != PIPE {
        name.push(ENDING);
    }
    name.into()
}

fn facts(path: &Path, suite: Suite, sealed: &Sealed) -> Vec<(&'static str, Value)> {
    let keys: Vec<String> = sealed.encrypted_data_keys.iter().map(data_keys::name).collect();
    vec![
        ("output", json!(path.display().to_string())),
        ("suite", json!(suite.to_string())),
        ("plaintext_bytes", json!(sealed.plaintext_bytes)),
        ("message_bytes", json!(sealed.message_bytes)),
        ("frames", json!(sealed.frames)),
        ("encryption_context", context_to_json(&sealed.context)),
        ("keys", json!(keys)),
    ]
}

/// The context as one JSON object.
pub(crate) fn context_to_json(context: &EncryptionContext) -> Value {
    let pairs = context.pairs().map(|(key, value)| (key.to_owned(), json!(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}
