//! The endpoint over real sockets: raw bytes, and stories whose calls are signed with a known key.
//!
//! An input that is a story (`script`) is sent call by call, each on its own connection. A call's rest is written as for
//! [`sigv4()`](super::sigv4()): header lines, an empty line, the body. Every header but the length is signed, so that they reach the
//! engine. Any other input goes to the wire as it is, and can be nobody's call.
//!
//! Whatever comes in: no panic, no answer that is our fault, and as many records of calls as requests were authenticated.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keytrail_auth::AccessKey;
use keytrail_auth::sigv4::{SignedRequest, sign};
use keytrail_server::{Level, Limits, Log, Server};
use tokio::sync::oneshot;

use super::fixture::{Fixture, Recorded};
use super::script::{Step, Who, steps};
use super::sigv4::Written;

/// A ledger of more entries than this is exchanged for a fresh one: records are counted by reading it.
const ENTRIES_MAX: u64 = 300;
/// Half a request is waited for as long; short, because most inputs are one.
const SOON: Duration = Duration::from_millis(30);
/// An answer that takes longer will not come.
const LATE: Duration = Duration::from_mins(1);

/// Counts requests that were authenticated, and watches for answers that are our fault.
#[derive(Default)]
struct Lines {
    authenticated: AtomicUsize,
}

impl Log for Lines {
    fn wants(&self, _: Level) -> bool {
        true
    }

    fn line(&self, line: &str) {
        assert!(!line.contains("\"status\":5"), "{line}");
        if line.contains("\"event\":\"request\"") {
            self.authenticated.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// An endpoint that runs.
pub struct Endpoint {
    fixture: Fixture,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    lines: Arc<Lines>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Default for Endpoint {
    fn default() -> Self {
        let fixture = Fixture::new();
        let running = Some(Running::start(&fixture));
        Self { fixture, running }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(running) = self.running.take().filter(|_| !thread::panicking()) {
            running.stop();
        }
    }
}

impl Endpoint {
    /// Sends a story or raw bytes, and looks at what comes back and what is on record.
    pub fn request(&mut self, data: &[u8]) {
        let before = self.fixture.entries();
        let filled = self.fixture.fill_in(data);
        let Some(steps) = steps(&filled) else {
            let answer = self.exchange(data, Shutdown::Write);
            let ours = answer.windows(10).any(|window| window == b"HTTP/1.1 5");
            assert!(!ours, "{}", String::from_utf8_lossy(&answer));
            assert_eq!(self.fixture.entries(), before, "raw bytes are nobody's call");
            return;
        };
        let mut moved = false;
        for step in steps {
            match step {
                Step::Wait(time) => {
                    self.fixture.advance(time);
                    moved = true;
                }
                Step::Call { who, operation, rest } => {
                    let target = format!("TrentService.{}", one_line(&operation));
                    let content = ("content-type", "application/x-amz-json-1.1");
                    self.send(who, "kms", &[content, ("x-amz-target", &target)], rest);
                }
                Step::Sts { action, rest } => {
                    let content = ("content-type", "application/x-www-form-urlencoded");
                    let mut rest = rest.to_vec();
                    rest.extend_from_slice(format!("&Action={action}").as_bytes());
                    self.send(Who::Alice, "sts", &[content], &rest);
                }
            }
        }
        let recorded = self.check_records(before);
        if moved || recorded.changes > 0 || self.fixture.entries() > ENTRIES_MAX {
            self.restart();
        }
    }

    /// Signs a request, sends it, and reads the answers until the connection is closed.
    fn send(&self, who: Who, service: &str, known: &[(&str, &str)], rest: &[u8]) {
        let Written { headers: written, body } = Written::read(rest);
        let date = self.fixture.date();
        let mut headers: Vec<(&str, &[u8])> =
            vec![("host", b"fuzz"), ("x-amz-date", date.as_bytes())];
        if who == Who::Session {
            let token = self.fixture.session.session_token.as_bytes();
            headers.push(("x-amz-security-token", token));
        }
        headers.extend(known.iter().map(|(name, value)| (*name, value.as_bytes())));
        headers.extend(written.iter().copied().filter(|(name, _)| !name.is_empty()));
        let request = SignedRequest { method: "POST", headers: &headers, body };
        let authorization =
            sign(&request, self.key(who), who.region(), service).unwrap_or_default();
        let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
        let framed = |(name, _): &&(&str, &[u8])| {
            ["content-length", "transfer-encoding"]
                .iter()
                .any(|framing| name.eq_ignore_ascii_case(framing))
        };
        for (name, value) in &headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !headers.iter().any(|header| framed(&header)) {
            bytes.extend(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend(
            format!("connection: close\r\nauthorization: {authorization}\r\n\r\n").as_bytes(),
        );
        bytes.extend_from_slice(body);
        for status in statuses(&self.exchange(&bytes, Shutdown::Read)) {
            assert!((100..500).contains(&status), "{status}");
        }
    }

    /// All that comes back until the other side closes. Without a half-closed connection as the end of `bytes`, it does so
    /// when it has answered, or has waited for more in vain.
    fn exchange(&self, bytes: &[u8], end: Shutdown) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.running().address).expect("it listens");
        stream.set_read_timeout(Some(LATE)).expect("a time");
        // It may close before all is written: then what it said by then counts.
        let _ = stream.write_all(bytes);
        if end == Shutdown::Write {
            let _ = stream.shutdown(end);
        }
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("it neither answers nor closes")
            }
            _ => answer,
        }
    }

    /// One record for each authenticated request since `before`.
    fn check_records(&self, before: u64) -> Recorded {
        let mut waited = Duration::ZERO;
        loop {
            // A client that is gone does not end its call, so the last may still be under way.
            let authenticated = self.running().lines.authenticated.load(Ordering::SeqCst);
            let recorded = self.fixture.recorded_since(before);
            if authenticated == recorded.calls {
                self.running().lines.authenticated.store(0, Ordering::SeqCst);
                return recorded;
            }
            assert!(waited < LATE, "{authenticated} authenticated, {} on record", recorded.calls);
            thread::sleep(SOON);
            waited += SOON;
        }
    }

    /// Begins anew, with a fresh copy of the data directory.
    fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
        self.running = Some(Running::start(&self.fixture));
    }

    fn key(&self, who: Who) -> &AccessKey {
        match who {
            Who::Root | Who::Abroad => &self.fixture.root,
            Who::Alice => &self.fixture.alice,
            Who::Stranger => &self.fixture.stranger,
            Who::Session => &self.fixture.session.access_key,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("exchanged, never taken away")
    }
}

impl Running {
    fn start(fixture: &Fixture) -> Self {
        let lines = Arc::new(Lines::default());
        let limits = Limits { header_wait: SOON, body_wait: SOON, ..Limits::default() };
        let log = Arc::<Lines>::clone(&lines);
        let server = Server::new(fixture.open(), fixture.environment(), limits, None, log);
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                server.run(listener, async { drop(stopped.await) }).await.expect("it closes well");
            });
        });
        let address = address.recv().expect("it listens");
        Self { address, lines, stop, thread }
    }

    fn stop(self) {
        let _ = self.stop.send(());
        self.thread.join().expect("it stops");
    }
}

/// A header's value cannot have a line break.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// The status of each answer in a row, as far as they can be told apart.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut rest = answers;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        statuses.push(status.unwrap_or_else(|| panic!("no answer: {head}")));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |digits| digits.parse().expect("a length"));
        rest = rest.get(end + 4 + length..).unwrap_or_default();
    }
    statuses
}
