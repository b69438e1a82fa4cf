//! `keytrail audit`: the ready-made questions.

use anyhow::Context as _;
use keytrail_query::{Audit, AuditFilters};

use crate::report::print_rows;
use crate::{Context, Outcome, data, moment, query};

/// Ready-made audits; without a name, lists them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail audit                                    list them
  keytrail audit who-used --key alias/payments --since 30d
  keytrail audit last-use --format csv
  keytrail audit denied --principal alice --since 2026-01-01 --until 2026-02-01
  keytrail audit who-used --sql                     the SQL behind it, to start your own from")]
pub(crate) struct Arguments {
    /// The audit's name
    name: Option<String>,
    /// Only this key: an id, an ARN, or an alias
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only this principal: an ARN, a user or role name, or an access key id
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Only events at or after this time: RFC 3339, a date, or a span back from now such as 7d or 36h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print the audit's SQL instead of running it
    #[arg(long, requires = "name")]
    sql: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Some(name) = &arguments.name else { return list(context) };
    let audit = Audit::named(name)?;
    if arguments.sql {
        write_stdout(&audit.sql)?;
        return Ok(Outcome::Fine);
    }
    let now = data::now();
    let time = |text: &Option<String>, flag: &str| {
        text.as_deref().map(|text| moment::parse(text, now)).transpose().context(flag.to_owned())
    };
    let filters = AuditFilters {
        key: arguments.key.clone(),
        principal: arguments.principal.clone(),
        since: time(&arguments.since, "--since")?,
        until: time(&arguments.until, "--until")?,
    };
    let runtime = query::runtime()?;
    let session = query::open(context, &runtime)?;
    runtime
        .block_on(async { query::print(context, session.audit(&audit, &filters).await?).await })?;
    Ok(Outcome::Fine)
}

fn list(context: &Context) -> anyhow::Result<Outcome> {
    let audits = Audit::built_in()?;
    let rows = audits
        .iter()
        .map(|audit| [audit.name.clone(), audit.severity.name().to_owned(), audit.title.clone()]);
    print_rows(context, ["audit", "severity", "what_it_answers"], rows)?;
    Ok(Outcome::Fine)
}

fn write_stdout(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
