//! `keytrail policy check`: may this principal do this, and which statement or grant says so?

use clap::Subcommand;
use keytrail_event::Region;
use keytrail_kms::{Consideration, PolicyAnswer, PolicyQuestion};
use serde_json::{Value, json};

use crate::report::print_facts;
use crate::who::Who;
use crate::{Context, Format, Outcome, kms};

/// Explain decisions of key policies, identity policies and grants
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail policy check --principal alice --action Encrypt --key alias/payments
  keytrail policy check --principal alice --action kms:Decrypt --key 1234abcd-… --context kms:EncryptionContext:order=7
  keytrail policy check --principal role/app --session run1 --action Decrypt --key alias/payments
  keytrail policy check --action kms:ListKeys --context aws:SourceIp=203.0.113.7")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say whether a call would be allowed, by which statement or grant, or why by none
    #[command(after_help = "\
Examples:
  keytrail policy check --principal alice --action Encrypt --key alias/payments
  keytrail policy check --principal alice --action kms:Decrypt --key 1234abcd-… --context kms:EncryptionContext:order=7
  keytrail policy check --principal role/app --session run1 --action Decrypt --key alias/payments
  keytrail policy check --principal alice --action sts:AssumeRole --key arn:aws:iam::111122223333:role/app

The decision is the one that a call would get; nothing is called and nothing recorded. Exit codes: 0 allowed, 1 denied.
What a request would say (its encryption context, address, date, …) is given by --context; what is not given is as in a
call from this machine now.")]
    Check(Check),
}

#[derive(clap::Args)]
struct Check {
    /// Who would call: a user's name, role/NAME, a service, or an ARN [default: the account's root]
    #[arg(long, value_name = "PRINCIPAL", value_parser = Who::parse)]
    principal: Option<Who>,
    /// Of a role: the session's name, where policies speak about one
    #[arg(long, value_name = "NAME", requires = "principal")]
    session: Option<String>,
    /// The Region that it would call in [default: the data directory's first]
    #[arg(long, env = "KEYTRAIL_REGION")]
    region: Option<Region>,
    /// What would be done: kms:Encrypt, or Encrypt
    #[arg(long, value_name = "ACTION")]
    action: String,
    /// The key, by id, ARN or alias; of sts:AssumeRole the role, by ARN; leave it out for actions that have none
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A condition key and its value; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = read_pair)]
    context: Vec<(String, String)>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Action::Check(check) = &arguments.action;
    let Check { principal, session, region, action, key, context: pairs } = check;
    let engine = context.data.open_engine()?;
    let caller = match principal {
        Some(who) => who.imagined(&engine, session.as_deref())?,
        None => engine.root_caller()?,
    };
    let caller = kms::in_region(caller, region.as_ref(), &engine)?;
    let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs = pairs.collect::<Vec<_>>();
    let answer = engine.check_policy(&PolicyQuestion {
        caller: &caller,
        action,
        key: key.as_deref(),
        context: &pairs,
    })?;
    engine.close()?;
    print(context.format, &answer)?;
    Ok(if answer.is_allowed() { Outcome::Fine } else { Outcome::BadNews })
}

fn print(format: Format, answer: &PolicyAnswer) -> anyhow::Result<()> {
    let decision = if answer.is_allowed() { "allowed" } else { "denied" };
    let decided_by = answer.decided_by.as_ref().map(ToString::to_string);
    let mut facts = vec![
        ("decision", json!(decision)),
        ("decided_by", json!(decided_by.as_deref().unwrap_or("nothing allows it"))),
        ("principal", json!(answer.principal)),
        ("action", json!(answer.action)),
        ("resource", json!(answer.resource)),
    ];
    facts.extend(answer.denied.as_ref().map(|denied| ("text", json!(denied.to_string()))));
    match format {
        Format::Json | Format::Ndjson => {
            facts.push(("considered", answer.considered.iter().map(to_json).collect()));
        }
        Format::Table | Format::Csv | Format::Markdown => {
            facts.extend(answer.considered.iter().map(|one| ("considered", json!(sentence(one)))));
        }
    }
    print_facts(format, &facts)
}

fn sentence(considered: &Consideration) -> String {
    let Consideration { source, effect, finding, .. } = considered;
    format!("{effect:?}, {source}: {finding}")
}

fn to_json(considered: &Consideration) -> Value {
    let Consideration { source, effect, finding, .. } = considered;
    json!({"source": source.to_string(), "effect": format!("{effect:?}"), "finding": finding.to_string()})
}

/// What is typed as `KEY=VALUE`.
pub(crate) fn read_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
