//! `keytrail serve`: the AWS-compatible endpoint over the data directory's engine, until a signal says stop.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keytrail_kms::Engine;
use keytrail_server::{Level, Limits, Log, SelfMadeCertificate, Server, TlsIdentity};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::report::print_facts;
use crate::{Context, Outcome, data, moment};

/// Answer the KMS API over HTTP: every request signed, decided and recorded before it is answered
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail serve
  keytrail serve --listen 127.0.0.1:0 --quiet      any free port, which is printed; log only what matters
  keytrail serve --listen 0.0.0.0:4599 --tls       encrypted; clients trust DATA/tls/certificate.pem (--ca-bundle)
  keytrail serve --clock-offset 30d                a month later: what was to be deleted by then is

  export AWS_ENDPOINT_URL=http://127.0.0.1:4599 AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=AKIA… AWS_SECRET_ACCESS_KEY=…     # from `keytrail init` or `principal create`
  aws sts get-caller-identity
  aws kms create-key

Requests are signed for one of the data directory's Regions, and see what is in it. While it serves, the engine belongs to it:
`kms` and `principal` wait for its end, `ingest`, `audit` and `verify` need not. GET /health, /ready and /metrics are
for your monitoring. SIGINT or SIGTERM ends it: requests under way are finished.")]
pub(crate) struct Arguments {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Encrypt, with a certificate made here for localhost and the address, and kept in DATA/tls
    #[arg(long)]
    tls: bool,
    /// Encrypt, with this certificate chain (PEM)
    #[arg(long, requires = "private_key", conflicts_with = "tls", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, requires = "certificate", value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// Move the engine's clock forward until it is so far ahead of this machine's: 36h, 30d, 52w. Stays, and is logged
    #[arg(long, value_parser = moment::span, value_name = "SPAN")]
    clock_offset: Option<Duration>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let limits = Limits::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(limits.calls_in_flight)
        .build()
        .context("starting the threads")?;
    let engine = context.data.open_engine()?;
    set_clock(context, &engine, arguments.clock_offset)?;
    let facts = [
        ("account", json!(engine.config().account.as_str())),
        ("regions", json!(data::join(&engine.config().regions))),
    ];
    let log =
        Arc::new(StderrLog { level: if context.quiet { Level::Warning } else { Level::Info } });
    let identity = identity(context, arguments)?;
    let scheme = if identity.is_some() { "https" } else { "http" };
    let server = Server::new(engine, data::environment(), limits, identity, log);
    runtime.block_on(async {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let listener = TcpListener::bind(arguments.listen)
            .await
            .with_context(|| format!("listening on {}", arguments.listen))?;
        let address = listener.local_addr()?;
        print_facts(
            context.format,
            &[&[("endpoint", json!(format!("{scheme}://{address}")))], &facts[..]].concat(),
        )?;
        if scheme == "http" {
            warn_of_plain_text(context, address.ip());
        }
        server.run(listener, first_of(signals)).await?;
        Ok(Outcome::Fine)
    })
}

/// Moves the clock if that was asked for, and says so if it is ahead: it stays ahead when nobody thinks of it any more.
pub(crate) fn set_clock(
    context: &Context,
    engine: &Engine,
    offset: Option<Duration>,
) -> anyhow::Result<()> {
    if let Some(offset) = offset {
        engine.set_clock_offset(offset)?;
    }
    if !engine.clock_offset().is_zero() {
        context.remark(&format!(
            "the clock of this data directory was moved forward: it shows {}",
            engine.now().event_time()
        ));
    }
    Ok(())
}

/// Signatures protect requests from being changed, not from being read, and answers hold plaintexts.
fn warn_of_plain_text(context: &Context, address: IpAddr) {
    if !address.is_loopback() {
        context.remark(
            "other machines can reach this address, and nothing is encrypted on the way: use --tls, or put TLS in front of it",
        );
    }
}

/// What the endpoint shows its clients; `None` without TLS.
fn identity(context: &Context, arguments: &Arguments) -> anyhow::Result<Option<TlsIdentity>> {
    let (certificate, private_key) = match (&arguments.certificate, &arguments.private_key) {
        (Some(certificate), Some(private_key)) => (certificate.clone(), private_key.clone()),
        _ if arguments.tls => self_made(&context.data.root().join("tls"), arguments.listen.ip())?,
        _ => return Ok(None),
    };
    let read = |file: &Path| fs::read(file).with_context(|| file.display().to_string());
    let (chain, key) = (read(&certificate)?, Zeroizing::new(read(&private_key)?));
    let identity = TlsIdentity::from_pem(&chain, &key);
    Ok(Some(identity.with_context(|| certificate.display().to_string())?))
}

/// The files of a certificate of our own, made at the first time. It stays, because clients are told to trust it.
fn self_made(folder: &Path, address: IpAddr) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, private_key) =
        (folder.join("certificate.pem"), folder.join("private-key.pem"));
    if !certificate.exists() {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from).into_iter();
        let made = SelfMadeCertificate::make(names.chain([address.to_string()]).collect())?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        // The key first: a certificate whose key was never written would be kept for good.
        write_private(&private_key, made.private_key_pem.as_bytes())
            .with_context(|| private_key.display().to_string())?;
        fs::write(&certificate, made.certificate_pem)
            .with_context(|| certificate.display().to_string())?;
    }
    Ok((certificate, private_key))
}

/// A file that only its owner can read, from the first byte on.
fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(content)
}

async fn first_of((mut interrupt, mut terminate): (Signal, Signal)) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Log lines to stderr. A closed stderr is no reason to stop answering.
struct StderrLog {
    level: Level,
}

impl Log for StderrLog {
    fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    fn line(&self, line: &str) {
        // One write, so that lines of several threads do not mix.
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    }
}
