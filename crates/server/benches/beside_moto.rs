//! The endpoint under load beside `moto_server`: the same client, the same requests, alternating in one run.
//!
//! ```text
//! cargo bench -p keytrail-server --bench beside_moto [-- FOLDER [SECONDS [ROUNDS]]]     (default: target/tmp 3 3)
//! ```
//!
//! 64 connections send one signed request after the other, signed anew when the second changes: within one second the same
//! request has the same signature, and a client that computed it again would only keep the processor from the servers. Ours
//! verifies each signature, decides, and answers when the record is durable and signed (in FOLDER: on a disk its sync counts, on a tmpfs it does not); moto looks at
//! no signature and keeps no record. At the end every answered request must be in the ledger. moto comes from PyPI, pinned,
//! into a virtual environment under `target/tmp`.
//!
//! What is not alike, and in whose favour: the client runs on the same cores, which costs ours more; ours runs in the
//! client's process and logs no requests, moto in its own; moto closes each connection after its answer, so that its requests
//! also pay for a new one, and ours keep theirs.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keytrail_auth::AccessKey;
use keytrail_auth::sigv4::{SignedRequest, sign};
use keytrail_kms::{Clock as _, Config, Engine, Environment, OsRandom, RootKey, SystemClock};
use keytrail_ledger::{EntryKind, Origin, Reader};
use keytrail_server::{Level, Limits, Log, Server};
use serde_json::{Value, json};
use tokio::sync::oneshot;

const MOTO: &str = "moto[server]==5.2.5";
const CONNECTIONS: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let folder =
        arguments.next().map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (seconds, rounds) = (number(3), number(3));
    let data = tempfile::tempdir_in(folder).unwrap();
    let (ours, access_key) = Endpoint::start(data.path());
    let moto = Moto::start();

    println!("{CONNECTIONS} connections, {seconds} s each      requests/s   p50 ms   p99 ms");
    let mut answered = 0;
    let targets = [("keytrail", ours.address), ("moto", moto.address)];
    let prepared = targets.map(|(_, address)| prepare(address, &access_key));
    for round in 1..=rounds {
        for (operation, _) in &prepared[0] {
            for ((name, address), bodies) in targets.iter().zip(&prepared) {
                let body = &bodies.iter().find(|(other, _)| other == operation).unwrap().1;
                let load =
                    load(*address, &access_key, operation, body, Duration::from_secs(seconds));
                println!("{round}  {operation:<16} {name:<10} {load}");
                answered += if *name == "keytrail" { load.micros.len() } else { 0 };
            }
        }
    }
    ours.stop();
    let recorded = records(data.path());
    // Two CreateKey and one Encrypt of the preparation; the founding of the data directory.
    assert_eq!(recorded, answered + 4, "every answered request is in the ledger, and nothing else");
    println!("{recorded} records in the ledger: every answered request");
}

/// Makes two keys; the operations with their bodies.
fn prepare(address: SocketAddr, access_key: &AccessKey) -> [(&'static str, String); 4] {
    let mut client = Client::connect(address);
    let mut call = |operation: &str, body: &Value| -> Value {
        let answer = client.call(access_key, operation, &body.to_string());
        serde_json::from_slice(&answer).unwrap()
    };
    let key = call("CreateKey", &json!({}))["KeyMetadata"]["KeyId"].clone();
    let context = json!({"purpose": "bench"});
    let plaintext = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="; // 32 bytes
    let encrypt = json!({"KeyId": key, "Plaintext": plaintext, "EncryptionContext": context});
    let blob = call("Encrypt", &encrypt)["CiphertextBlob"].clone();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": context});
    let data_key = json!({"KeyId": key, "KeySpec": "AES_256"});
    let pair = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    let pair = call("CreateKey", &pair)["KeyMetadata"]["KeyId"].clone();
    let sign = json!({"KeyId": pair, "Message": plaintext, "SigningAlgorithm": "ECDSA_SHA_256"});
    [
        ("Encrypt", encrypt.to_string()),
        ("Decrypt", decrypt.to_string()),
        ("GenerateDataKey", data_key.to_string()),
        ("Sign", sign.to_string()),
    ]
}

/// The latencies of one operation under load, ascending.
struct Load {
    micros: Vec<u32>,
    took: Duration,
}

impl std::fmt::Display for Load {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: usize| f64::from(self.micros[(self.micros.len() - 1) * share / 100]) / 1e3;
        let rate = self.micros.len() as f64 / self.took.as_secs_f64();
        write!(f, "{rate:>16.0} {:>8.1} {:>8.1}", at(50), at(99))
    }
}

fn load(
    address: SocketAddr,
    access_key: &AccessKey,
    operation: &str,
    body: &str,
    length: Duration,
) -> Load {
    let start = Instant::now();
    let run = || {
        let mut client = Client::connect(address);
        let mut micros = Vec::new();
        let mut request = Signed::default();
        while start.elapsed() < length {
            let sent = Instant::now();
            request.renew(&client.host, access_key, operation, body);
            client.exchange(&request);
            micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap());
        }
        micros
    };
    let mut micros: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let took = start.elapsed();
    micros.sort_unstable();
    Load { micros, took }
}

/// One keep-alive connection; made anew where the server closes it, as moto does after each answer.
struct Client {
    address: SocketAddr,
    host: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { address, host: address.to_string(), stream: BufReader::new(stream) }
    }

    /// Signs, sends, and reads the answer, which must be a success.
    fn call(&mut self, access_key: &AccessKey, operation: &str, body: &str) -> Vec<u8> {
        let mut request = Signed::default();
        request.renew(&self.host, access_key, operation, body);
        self.exchange(&request)
    }

    fn exchange(&mut self, request: &Signed) -> Vec<u8> {
        self.stream.get_mut().write_all(request.text.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let succeeded = line.starts_with("HTTP/1.1 200 ");
        let (mut length, mut closes) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("connection") => {
                    closes = value.trim().eq_ignore_ascii_case("close");
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert!(succeeded, "{}", String::from_utf8_lossy(&body));
        if closes {
            *self = Self::connect(self.address);
        }
        body
    }
}

/// A request as it is sent, with the second that it was signed in.
#[derive(Default)]
struct Signed {
    second: u64,
    text: String,
}

impl Signed {
    /// Signs it again if it was signed in another second.
    fn renew(&mut self, host: &str, access_key: &AccessKey, operation: &str, body: &str) {
        let now = SystemClock.now();
        if now.unix_seconds() == self.second {
            return;
        }
        self.second = now.unix_seconds();
        let date: String =
            now.event_time().chars().filter(|letter| !"-:".contains(*letter)).collect();
        let target = format!("TrentService.{operation}");
        let content_type = "application/x-amz-json-1.1";
        let headers = [
            ("content-type", content_type.as_bytes()),
            ("host", host.as_bytes()),
            ("x-amz-date", date.as_bytes()),
            ("x-amz-target", target.as_bytes()),
        ];
        let request = SignedRequest { method: "POST", headers: &headers, body: body.as_bytes() };
        let authorization = sign(&request, access_key, "us-east-1", "kms").unwrap();
        self.text = format!(
            "POST / HTTP/1.1\r\ncontent-type: {content_type}\r\nhost: {host}\r\nx-amz-date: {date}\r\nx-amz-target: {target}\r\n\
             authorization: {authorization}\r\nuser-agent: bench/1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// Ours, in this process.
struct Endpoint {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

struct NoLog;

impl Log for NoLog {
    fn wants(&self, level: Level) -> bool {
        level > Level::Info
    }

    fn line(&self, line: &str) {
        println!("{line}");
    }
}

impl Endpoint {
    fn start(data: &Path) -> (Self, AccessKey) {
        let config = Config {
            account: "111122223333".parse().unwrap(),
            regions: vec!["us-east-1".parse().unwrap()],
            origin: Origin::new("bench.example/keytrail").unwrap(),
        };
        let root_key = RootKey::generate(&OsRandom);
        let environment = Environment::system();
        let (engine, access_key) =
            Engine::create(data, config, root_key, environment.clone()).unwrap();
        let server = Server::new(engine, environment, Limits::default(), None, Arc::new(NoLog));
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                server.run(listener, async { drop(stopped.await) }).await.unwrap();
            });
        });
        let address = address.recv().unwrap();
        (Self { address, stop, thread }, access_key)
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn records(data: &Path) -> usize {
    let frames = Reader::open(&data.join("ledger")).unwrap().frames(0);
    frames.filter(|frame| frame.as_ref().unwrap().entry.kind == EntryKind::Record).count()
}

/// `moto_server`, in a process of its own as it is meant to be.
struct Moto {
    address: SocketAddr,
    process: Child,
}

impl Moto {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
        if !folder.join("ready").exists() {
            succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            succeed(
                Command::new(folder.join("bin/python"))
                    .args(["-m", "pip", "install", "--quiet", MOTO]),
            );
            std::fs::write(folder.join("ready"), "").unwrap();
        }
        // A port that is free now; moto cannot be asked for any free one.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(folder.join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { address, process };
        // Nobody listens at first, and a connection to a free port of one's own can end up at itself.
        let answers = || {
            TcpStream::connect(address).is_ok_and(|stream| stream.local_addr().unwrap() != address)
        };
        while !answers() {
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} failed");
}
