//! `keytrail kms`: the KMS API on the embedded engine, without a server.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use keytrail_event::Region;
use keytrail_kms::{Caller, Engine, KmsError};

use crate::serve::set_clock;
use crate::who::Who;
use crate::{Context, Outcome, data, moment};

/// Call the key engine: operation names as in the AWS CLI, the API's JSON in and out
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail kms create-key --input '{\"Description\":\"payments\"}'
  keytrail kms create-alias --input '{\"AliasName\":\"alias/payments\",\"TargetKeyId\":\"1234abcd-…\"}'
  keytrail kms encrypt --input '{\"KeyId\":\"alias/payments\",\"Plaintext\":\"aGVsbG8=\"}'
  keytrail kms decrypt --principal alice --input @request.json
  keytrail kms list-keys --region eu-central-1

Blobs are base64, as in the API. Every call leaves a record in the ledger, refused ones too. Whoever may read
root.key may act as any principal; the record says as whom.")]
pub(crate) struct Arguments {
    /// The operation: create-key, encrypt, list-keys, …
    operation: String,
    /// The request: JSON text, or @FILE
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE")]
    input: String,
    /// The user or service that calls [default: the account's root]
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// The Region that it calls in [default: the data directory's first]
    #[arg(long, env = "KEYTRAIL_REGION")]
    region: Option<Region>,
    /// First move the engine's clock forward until it is so far ahead of this machine's: 36h, 30d. Stays, and is logged
    #[arg(long, value_parser = moment::span, value_name = "SPAN")]
    clock_offset: Option<Duration>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let input = match arguments.input.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| file.to_owned())?,
        None => arguments.input.clone().into_bytes(),
    };
    let engine = context.data.open_engine()?;
    set_clock(context, &engine, arguments.clock_offset)?;
    let caller = caller(&engine, arguments.principal.as_deref())?;
    let caller = in_region(caller, arguments.region.as_ref(), &engine)?;
    let operation = operation_name(&arguments.operation);
    let answer = match engine.call(&caller, &operation, &input) {
        Ok(answer) => answer,
        Err(error) => bail!(in_words(&operation, &error)),
    };
    // As the engine wrote it: the answer may hold a plaintext, and another copy would be one more to wipe.
    writeln!(std::io::stdout().lock(), "{}", answer.json())?;
    engine.close()?;
    Ok(Outcome::Fine)
}

/// The caller that a record will name: `alice`, or `444455556666:alice` of another account than the first.
pub(crate) fn caller(engine: &Engine, principal: Option<&str>) -> anyhow::Result<Caller> {
    match principal {
        None => Ok(engine.root_caller()?),
        Some(text) => Who::parse(text).map_err(anyhow::Error::msg)?.caller(engine),
    }
}

/// The caller in the Region that is asked for, if the engine has it.
pub(crate) fn in_region(
    caller: Caller,
    region: Option<&Region>,
    engine: &Engine,
) -> anyhow::Result<Caller> {
    let regions = &engine.config().regions;
    match region {
        None => Ok(caller),
        Some(region) if regions.contains(region) => Ok(caller.in_region(region.clone())),
        Some(region) => {
            let known = data::join(regions);
            bail!("no keys can be in {region} here, only in {known}: `regions` in keytrail.toml")
        }
    }
}

/// A refusal in the words of the AWS CLI, which people know how to read and search for.
pub(crate) fn in_words(operation: &str, error: &KmsError) -> String {
    format!(
        "an error occurred ({}) when calling the {operation} operation: {}",
        error.code(),
        error.message().unwrap_or_default()
    )
}

/// `generate-data-key` → `GenerateDataKey`. Names that already are in the API's spelling stay as they are.
fn operation_name(typed: &str) -> String {
    typed
        .split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect::<String>()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_names_are_those_of_the_cli_or_the_api() {
        assert_eq!(operation_name("create-key"), "CreateKey");
        assert_eq!(operation_name("GenerateDataKey"), "GenerateDataKey");
        assert_eq!(operation_name("re-encrypt"), "ReEncrypt");
        assert_eq!(operation_name("--"), "");
    }
}
