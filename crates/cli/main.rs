//! `keytrail`: who used which key, when, from where, and was it allowed? With proof.
//!
//! This file is the command line itself: what can be typed, and which exit code says what. Each subcommand is a module that
//! turns flags into calls on the libraries and prints what they answer; whatever is worth testing alone is in a library.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 fine, 1 the answer is bad news, 2 usage, 3 could not do
//! it.

mod account;
mod audit;
mod data;
mod data_keys;
mod decrypt;
mod demo;
mod encrypt;
mod generate;
mod ingest;
mod init;
mod kms;
mod moment;
mod output;
mod passphrase;
mod policy;
mod principal;
mod progress;
mod query;
mod report;
mod root_key;
mod serve;
mod tamper;
mod verify;
mod who;

use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::data::DataDirectory;
use crate::passphrase::Passphrase;

/// Who used which key, when, from where, and was it allowed? With proof.
#[derive(Parser)]
#[command(name = "keytrail", version, max_term_width = 100, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine · 1 the answer is bad news (integrity failure) · 2 usage · 3 could not do it
First steps:
  keytrail demo                                the whole story in a scratch directory
  keytrail init && keytrail ingest ~/trail     your own CloudTrail folder
  keytrail audit who-used --since 30d          who used which key";

/// Flags that every command takes.
#[derive(clap::Args)]
struct Global {
    /// Data directory: ledger, keys, lake
    #[arg(long, global = true, env = "KEYTRAIL_DATA", value_name = "DIR")]
    #[arg(default_value = "keytrail-data")]
    data: PathBuf,
    /// The passphrase of the root key, in a file that only its owner can read [default: asked for]
    #[arg(long, global = true, env = "KEYTRAIL_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print results and errors only: no progress, no remarks
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// How results are printed; the formats themselves are specified in `keytrail_query::output`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Ndjson,
    /// RFC 4180, with a header line
    Csv,
    /// A Markdown table
    Markdown,
}

#[derive(Subcommand)]
enum Command {
    /// Make a data directory; print account, root access key and public keys
    Init(init::Arguments),
    /// Show the whole story in a scratch directory: keys, traffic, audits, two tamperings caught
    Demo(demo::Arguments),
    /// Answer the KMS API over HTTP: every request signed, decided and recorded before it is answered
    Serve(serve::Arguments),
    /// Call the key engine: operation names as in the AWS CLI, the API's JSON in and out
    Kms(kms::Arguments),
    /// Encrypt a file of any size under a key, as a message of the AWS Encryption SDK
    Encrypt(encrypt::Arguments),
    /// Decrypt a message of the AWS Encryption SDK
    Decrypt(decrypt::Arguments),
    /// The key that seals the data directory
    RootKey(root_key::Arguments),
    /// Accounts beside the first one
    Account(account::Arguments),
    /// Users and their access keys
    Principal(principal::Arguments),
    /// Explain decisions of key policies, identity policies and grants
    Policy(policy::Arguments),
    /// Take CloudTrail files, or the own ledger, into the lake
    Ingest(ingest::Arguments),
    /// SQL over the lake: tables events, records, sources
    Query(query::Arguments),
    /// Ready-made audits; without a name, lists them
    Audit(audit::Arguments),
    /// Validate the ledger and the lake, down to the single row
    Verify(verify::Arguments),
    /// Make a synthetic CloudTrail corpus in AWS's layout
    Generate(generate::Arguments),
}

/// What a command found out, as far as the exit code goes.
enum Outcome {
    /// Exit code 0.
    Fine,
    /// Exit code 1: the command worked, and its answer is bad news.
    BadNews,
}

/// What every command is handed: where the data lies, and how to talk.
struct Context {
    data: DataDirectory,
    format: Format,
    quiet: bool,
}

impl Context {
    /// Says something beside the result, on stderr, unless `--quiet`.
    fn remark(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Whether moving progress bars make sense: someone is watching.
    fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

fn main() -> ExitCode {
    let CommandLine { global, command } = CommandLine::parse(); // exits with 2 on wrong usage
    let context = Context {
        data: DataDirectory::at(
            global.data,
            Passphrase::from_file_or_terminal(global.passphrase_file),
        ),
        format: global.format,
        quiet: global.quiet,
    };
    let outcome = match command {
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Demo(arguments) => demo::run(&context, &arguments),
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Kms(arguments) => kms::run(&context, &arguments),
        Command::Encrypt(arguments) => encrypt::run(&context, &arguments),
        Command::Decrypt(arguments) => decrypt::run(&context, &arguments),
        Command::RootKey(arguments) => root_key::run(&context, &arguments),
        Command::Account(arguments) => account::run(&context, &arguments),
        Command::Principal(arguments) => principal::run(&context, &arguments),
        Command::Policy(arguments) => policy::run(&context, &arguments),
        Command::Ingest(arguments) => ingest::run(&context, &arguments),
        Command::Query(arguments) => query::run(&context, &arguments),
        Command::Audit(arguments) => audit::run(&context, &arguments),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Generate(arguments) => generate::run(&context, &arguments),
    };
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::BadNews) => ExitCode::from(1),
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keytrail: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
