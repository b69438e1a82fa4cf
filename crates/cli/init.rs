//! `keytrail init`: makes a data directory and prints what its owner must keep.

use std::path::PathBuf;

use keytrail_kms::Engine;
use keytrail_ledger::Random as _;
use serde_json::json;

use crate::data::{self, DEFAULT_ACCOUNT, DEFAULT_REGION, Settings};
use crate::report::print_facts;
use crate::root_key::Source;
use crate::{Context, Outcome};

/// Make a data directory; print account, root access key and public keys
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail init
  keytrail --data /srv/keytrail init --account 111122223333 --region eu-central-1 --region us-east-1

  keytrail init --root-key passphrase          asked for at every start, or in --passphrase-file
  keytrail init --root-key-file /etc/keytrail/root.key

Back up DATA/keys, DATA/ledger and the root key, the root key apart from the rest: who has all has the keys.
DATA/keys cannot be rebuilt from the ledger, and a copy of it brings erased key material back: let old copies go.
Regions can be added to `regions` in keytrail.toml later; one that has keys must stay.
The secret access key is printed once and never again. The two public keys are what a third party
needs to verify the ledger and the lake: keep them, and a checkpoint now and then, on another machine.")]
pub(crate) struct Arguments {
    /// The account that owns keys and records: 12 digits
    #[arg(long, default_value = DEFAULT_ACCOUNT)]
    account: String,
    /// A Region that keys can be in; may be given several times, the first is that of a caller who says none
    #[arg(long, default_value = DEFAULT_REGION)]
    region: Vec<String>,
    /// The log's name in its checkpoints: a host name and a path, without a scheme [default: made at random]
    #[arg(long)]
    origin: Option<String>,
    /// Where the root key comes from, which seals all others
    #[arg(long, value_name = "SOURCE", default_value = "file")]
    root_key: Source,
    /// The file of the root key, outside the data directory [default: DATA/root.key]
    #[arg(long, value_name = "FILE")]
    root_key_file: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let settings = Settings {
        account: arguments.account.clone(),
        region: arguments.region.first().map_or(DEFAULT_REGION, String::as_str).to_owned(),
        regions: arguments.region.clone(),
        origin: arguments.origin.clone().unwrap_or_else(random_origin),
        on_demand_rotations: None,
        material_encryptions: None,
        root_key: arguments.root_key_file.as_ref().map(std::path::absolute).transpose()?,
    };
    let config = settings.engine_config()?;
    let root_key = context.data.create(&settings, arguments.root_key)?;
    let (engine, access_key) =
        Engine::create(context.data.root(), config, root_key, data::environment())?;
    context.data.open_lake()?.close()?;
    let catalog = context.data.lake().join("catalog");
    print_facts(
        context.format,
        &[
            ("data", json!(context.data.root().display().to_string())),
            ("account", json!(settings.account)),
            ("regions", json!(data::join(&engine.config().regions))),
            ("access_key_id", json!(access_key.id.as_str())),
            ("secret_access_key", json!(access_key.secret.expose())),
            ("ledger_public_key", json!(engine.ledger().verifying_key().to_string())),
            ("catalog_public_key", json!(data::public_key_of(&catalog)?.to_string())),
        ],
    )?;
    Ok(Outcome::Fine)
}

/// A name that no other log has, so that a checkpoint of one can never pass for one of the other.
fn random_origin() -> String {
    let mut bytes = [0_u8; 4];
    keytrail_kms::OsRandom.fill(&mut bytes);
    format!("keytrail.local/{:08x}", u32::from_be_bytes(bytes))
}
