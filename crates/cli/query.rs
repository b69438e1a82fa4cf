//! `keytrail query`: SQL over the lake, once or line by line.

use std::io::{BufRead as _, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use keytrail_query::{Answer, Emphasis, Printer, Session, SessionOptions, Style};
use tokio::runtime::Runtime;

use crate::{Context, Format, Outcome};

/// SQL over the lake: tables events, records, sources
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail query \"select event_name, count(*) from events group by 1 order by 2 desc\"
  keytrail query \"select * from sources\" --format json
  keytrail query \"select request_parameters->'encryptionContext' from events where event_name='Decrypt'\"
  keytrail query -f report.sql --format csv > report.csv
  keytrail query                       a shell: one statement a line, \\q ends it

Tables: events (no duplicates), records (all, with provenance), sources (what was ingested).
`show tables`, `show columns from events`. Only queries run; nothing is ever written.")]
pub(crate) struct Arguments {
    /// One query; without it and without --file, an interactive shell
    sql: Option<String>,
    /// Read the query from a file (`-`: standard input)
    #[arg(long, short, conflicts_with = "sql", value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sql = match (&arguments.sql, &arguments.file) {
        (Some(sql), _) => Some(sql.clone()),
        (None, Some(file)) if file.as_os_str() == "-" => {
            Some(std::io::read_to_string(std::io::stdin()).context("standard input")?)
        }
        (None, Some(file)) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?)
        }
        (None, None) => None,
    };
    let runtime = runtime()?;
    let session = open(context, &runtime)?;
    match sql {
        Some(sql) => {
            runtime.block_on(async { print(context, session.sql(&sql).await?).await })?;
        }
        None => shell(context, &session, &runtime)?,
    }
    Ok(Outcome::Fine)
}

/// A session over the lake as it is now, on all cores.
pub(crate) fn open(context: &Context, runtime: &Runtime) -> anyhow::Result<Session> {
    let options = SessionOptions { threads: threads(), memory_bytes_max: None };
    Ok(runtime.block_on(Session::over(context.data.snapshot()?, options))?)
}

/// The runtime that queries are driven by; nothing else in this program is async.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .build()
        .context("cannot start the threads that run queries")
}

/// The cores of this machine.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Prints an answer on stdout in the format that was asked for.
pub(crate) async fn print(context: &Context, answer: Answer) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    // https://no-color.org: set and not empty means no colour, whatever the value.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is where the environment is read"
    )]
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let style = Style {
        format: context.format.into(),
        // Cut to the window for people only; whoever reads from a pipe gets every cell whole.
        width_max: terminal.then(|| usize::from(console::Term::stdout().size().1)),
        emphasis: if terminal && !no_color { Emphasis::Ansi } else { Emphasis::Plain },
    };
    let printer = Printer::new(BufWriter::new(stdout.lock()), &answer.schema(), style);
    let rows = answer.print(printer).await?;
    if terminal {
        context.remark(&format!("{rows} rows"));
    }
    Ok(())
}

/// One statement a line. An error is printed and the shell goes on: that is what one sits in it for.
fn shell(context: &Context, session: &Session, runtime: &Runtime) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("no query: give one as an argument, or with -f FILE (`-f -` for standard input)");
    }
    let mut line = String::new();
    loop {
        eprint!("keytrail> ");
        std::io::stderr().flush()?;
        line.clear();
        if stdin.lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim().trim_end_matches(';') {
            "" => {}
            "\\q" | "exit" | "quit" => return Ok(()),
            sql => {
                let ran = runtime.block_on(async { print(context, session.sql(sql).await?).await });
                if let Err(error) = ran {
                    eprintln!("{error:#}");
                }
            }
        }
    }
}

impl From<Format> for keytrail_query::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Json => Self::Json,
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv,
            Format::Markdown => Self::Markdown,
        }
    }
}
