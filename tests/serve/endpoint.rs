//! A data directory with two users, and `keytrail serve` on a free port over it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keytrail_ledger::{EntryKind, Reader};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::{Role, Session};

/// The account of all sessions.
pub(crate) const ACCOUNT: &str = "111122223333";

/// What alice may do. Mallory may do nothing.
const ALICES_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Resource": "*",
    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]}}"#;

/// A running endpoint. What it logs goes to `serve.log` in its folder.
pub(crate) struct Endpoint {
    folder: TempDir,
    pub(crate) url: String,
    /// By name: `root`, `alice`, `mallory` and those of the session; access key id and secret.
    pub(crate) credentials: BTreeMap<String, (String, String)>,
    process: Option<Child>,
}

impl Endpoint {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more flags for `serve`.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let mut endpoint = Self::initialized(&[]);
        endpoint.serve(flags);
        endpoint
    }

    /// With these Regions.
    pub(crate) fn in_regions(regions: &[&str]) -> Self {
        let flags: Vec<&str> = regions.iter().flat_map(|region| ["--region", region]).collect();
        let mut endpoint = Self::initialized(&flags);
        endpoint.serve(&[]);
        endpoint
    }

    /// As a session wants it.
    pub(crate) fn of(session: &Session) -> Self {
        let flags = |flags: &'_ [String]| flags.to_vec();
        let (init, serve) = (flags(&session.init), flags(&session.serve));
        let mut endpoint = Self::initialized(&init.iter().map(String::as_str).collect::<Vec<_>>());
        for (name, policy) in &session.users {
            endpoint.create_user(name, policy);
        }
        for (name, role) in &session.roles {
            endpoint.create_role(name, role);
        }
        endpoint.serve(&serve.iter().map(String::as_str).collect::<Vec<_>>());
        endpoint
    }

    fn initialized(flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut endpoint =
            Self { folder, url: String::new(), credentials: BTreeMap::new(), process: None };
        let made = endpoint.keytrail(&[&["init", "--account", ACCOUNT], flags].concat());
        endpoint.remember("root", &made);
        endpoint.create_user("alice", ALICES_POLICY);
        endpoint.create_user("mallory", "");
        endpoint
    }

    /// Makes a user with an identity policy, or without one.
    fn create_user(&mut self, name: &str, policy: &str) {
        let file = format!("{name}.json");
        let mut arguments = vec!["principal", "create", name];
        if !policy.is_empty() {
            std::fs::write(self.folder().join(&file), policy).unwrap();
            arguments.extend(["--policy", &file]);
        }
        let made = self.keytrail(&arguments);
        self.remember(name, &made);
    }

    pub(crate) fn create_role(&self, name: &str, role: &Role) {
        let files = ["trust", "policy"].map(|kind| format!("{name}-{kind}.json"));
        for (file, text) in files.iter().zip([&role.trust, &role.policy]) {
            std::fs::write(self.folder().join(file), text).unwrap();
        }
        let [trust, policy] = &files;
        self.keytrail(&["principal", "create-role", name, "--trust", trust, "--policy", policy]);
    }

    /// Starts it, again after [`Endpoint::stop`].
    pub(crate) fn serve(&mut self, flags: &[&str]) {
        let mut process = self
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--format", "json"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder().join("serve.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.process = Some(process);
        let log = || std::fs::read_to_string(self.folder().join("serve.log")).unwrap();
        let facts: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", log()));
        facts["endpoint"].as_str().unwrap().clone_into(&mut self.url);
    }

    fn remember(&mut self, name: &str, made: &Value) {
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        let credentials = (text("access_key_id"), text("secret_access_key"));
        self.credentials.insert(name.to_owned(), credentials);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.arg("--data").arg(self.data()).current_dir(self.folder());
        command
    }

    /// Runs another command of ours on the same data directory; its answer.
    pub(crate) fn keytrail(&self, arguments: &[&str]) -> Value {
        let output = self.command().args(["--format", "json"]).args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The records in the ledger from an entry on, oldest first; and the sequence of the next entry.
    pub(crate) fn records_from(&self, sequence: u64) -> (Vec<Value>, u64) {
        let frames = Reader::open(&self.data().join("ledger")).unwrap().frames(sequence);
        let (mut records, mut next) = (Vec::new(), sequence);
        for frame in frames.map(Result::unwrap) {
            next = frame.entry.sequence + 1;
            if frame.entry.kind == EntryKind::Record {
                records.push(serde_json::from_slice(&frame.payload).unwrap());
            }
        }
        (records, next)
    }

    /// Ends it as `systemd` would; it has to end well.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let id = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = process.wait().unwrap();
        let log = std::fs::read_to_string(self.folder().join("serve.log")).unwrap();
        assert!(status.success(), "{status}: {log}");
        for (_, secret) in self.credentials.values() {
            assert!(!log.contains(secret), "a secret in the log");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
