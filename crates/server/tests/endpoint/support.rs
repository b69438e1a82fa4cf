//! An endpoint with a given clock in a temporary directory, and a client that signs.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use keytrail_auth::AccessKey;
use keytrail_auth::sigv4::{SignedRequest, sign};
use keytrail_event::Timestamp;
use keytrail_kms::{Clock, Config, Engine, Environment, OsRandom, Quotas, RootKey};
use keytrail_ledger::{Origin, Reader};
use keytrail_server::{Level, Limits, Log, Server, ServerError, TlsIdentity};
use keytrail_testkit::START_NS;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A clock that stands still until it is moved.
pub(crate) struct GivenClock(AtomicU64);

impl Clock for GivenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Keeps the lines that an endpoint logs.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn wants(&self, _: Level) -> bool {
        true
    }

    fn line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// A running endpoint.
pub(crate) struct Endpoint {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) root: AccessKey,
    pub(crate) lines: Arc<Lines>,
    clock: Arc<GivenClock>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

pub(crate) fn config() -> Config {
    Config {
        account: "111122223333".parse().unwrap(),
        regions: ["us-east-1", "eu-central-1"].map(|region| region.parse().unwrap()).to_vec(),
        origin: Origin::new("test.example/keytrail").unwrap(),
    }
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::over(limits, None)
    }

    pub(crate) fn over(limits: Limits, tls: Option<TlsIdentity>) -> Self {
        Self::start(limits, tls, |engine| (engine, ())).0
    }

    pub(crate) fn of(limits: Limits, tls: Option<TlsIdentity>, quotas: Quotas) -> Self {
        Self::start(limits, tls, |engine| (engine.with_quotas(quotas), ())).0
    }

    /// An endpoint whose engine was prepared before it began to serve.
    pub(crate) fn prepared<T>(prepare: impl FnOnce(&Engine) -> T) -> (Self, T) {
        let prepare = |engine: Engine| {
            let prepared = prepare(&engine);
            (engine, prepared)
        };
        Self::start(Limits::default(), None, prepare)
    }

    fn start<T>(
        limits: Limits,
        tls: Option<TlsIdentity>,
        prepare: impl FnOnce(Engine) -> (Engine, T),
    ) -> (Self, T) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(GivenClock(AtomicU64::new(START_NS)));
        let environment =
            Environment { clock: Arc::clone(&clock) as _, random: Arc::new(OsRandom) };
        let root_key = RootKey::generate(&OsRandom);
        root_key.save(&folder.path().join("root.key")).unwrap();
        let (engine, root) =
            Engine::create(folder.path(), config(), root_key, environment.clone()).unwrap();
        let (engine, prepared) = prepare(engine);
        let lines = Arc::new(Lines::default());
        let server = Server::new(engine, environment, limits, tls, Arc::clone(&lines) as _);
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                server.run(listener, async { drop(stopped.await) }).await
            })
        });
        let address = address.recv().unwrap();
        let stop = Some(stop);
        let thread = Some(thread);
        (Self { folder, address, root, lines, clock, stop, thread }, prepared)
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.clock.0.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    /// A signed request of the KMS API.
    pub(crate) fn request(&self, operation: &str, body: &str) -> Request {
        Request {
            region: "us-east-1",
            service: "kms",
            headers: vec![
                header("host", &self.address.to_string()),
                header("content-type", "application/x-amz-json-1.1"),
                header("x-amz-date", "20250521T054745Z"),
                header("x-amz-target", &format!("TrentService.{operation}")),
            ],
            unsigned: vec![header("user-agent", "test-client/1.0")],
            body: body.to_owned(),
        }
    }

    /// A signed request of STS.
    pub(crate) fn sts(&self, form: &str) -> Request {
        let mut request = self.request("", form);
        request.service = "sts";
        request.headers.pop();
        request.headers[1] =
            header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        request
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.exchange(&request.to_bytes(&self.root))
    }

    /// A call that succeeds.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> Value {
        let answer = self.send(&self.request(operation, &body.to_string()));
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
    }

    pub(crate) fn exchange(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Answer::read(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The records in the ledger, beginning with the one of making the data directory.
    pub(crate) fn records(&self) -> Vec<Value> {
        let reader = Reader::open(&self.folder.path().join("ledger")).unwrap();
        let payload = |frame: keytrail_ledger::Frame| serde_json::from_slice(&frame.payload).ok();
        reader.frames(0).filter_map(|frame| payload(frame.unwrap())).collect()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.lines.0.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks the endpoint to stop and waits until it has; it must end well.
    pub(crate) fn stop(&mut self) {
        self.stop_and_say().unwrap();
    }

    /// Asks the endpoint to stop, waits until it has, and says how it ended.
    pub(crate) fn stop_and_say(&mut self) -> Result<(), ServerError> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub(crate) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A request before it is signed.
pub(crate) struct Request {
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
    /// Signed and sent.
    pub(crate) headers: Vec<(String, String)>,
    /// Sent only.
    pub(crate) unsigned: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The bytes on the wire, signed.
    pub(crate) fn to_bytes(&self, access_key: &AccessKey) -> Vec<u8> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let signed =
            SignedRequest { method: "POST", headers: &headers, body: self.body.as_bytes() };
        let authorization = sign(&signed, access_key, self.region, self.service).unwrap();
        self.to_bytes_with(Some(&authorization))
    }

    /// The bytes on the wire with any `Authorization` header, or with none.
    pub(crate) fn to_bytes_with(&self, authorization: Option<&str>) -> Vec<u8> {
        let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in self.headers.iter().chain(&self.unsigned) {
            write!(bytes, "{name}: {value}\r\n").unwrap();
        }
        if let Some(authorization) = authorization {
            write!(bytes, "authorization: {authorization}\r\n").unwrap();
        }
        write!(bytes, "content-length: {}\r\n\r\n{}", self.body.len(), self.body).unwrap();
        bytes
    }
}

/// An answer as it came over the wire.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads one answer, which leaves the connection open for the next.
    pub(crate) fn read(stream: &mut impl Read) -> Self {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut answer = Self { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}
