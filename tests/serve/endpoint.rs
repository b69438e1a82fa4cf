//! A data directory with two users, and `keytrail serve` on a free port over it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keytrail_ledger::{EntryKind, Reader};
use serde_json::Value;
use tempfile::TempDir;

/// What alice may do. Mallory may do nothing.
const ALICES_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Resource": "*",
    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]}}"#;

/// A running endpoint. What it logs goes to `serve.log` in its folder.
pub(crate) struct Endpoint {
    folder: TempDir,
    pub(crate) url: String,
    /// By name: `root`, `alice`, `mallory`; access key id and secret.
    pub(crate) credentials: BTreeMap<&'static str, (String, String)>,
    process: Option<Child>,
}

impl Endpoint {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more flags for `serve`.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut endpoint =
            Self { folder, url: String::new(), credentials: BTreeMap::new(), process: None };
        let made = endpoint.keytrail(&["init", "--account", "111122223333"]);
        endpoint.remember("root", &made);
        std::fs::write(endpoint.folder().join("alice.json"), ALICES_POLICY).unwrap();
        let alice = endpoint.keytrail(&["principal", "create", "alice", "--policy", "alice.json"]);
        endpoint.remember("alice", &alice);
        let mallory = endpoint.keytrail(&["principal", "create", "mallory"]);
        endpoint.remember("mallory", &mallory);

        let mut process = endpoint
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--format", "json"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(File::create(endpoint.folder().join("serve.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        endpoint.process = Some(process);
        let facts: Value = serde_json::from_str(&line).unwrap();
        facts["endpoint"].as_str().unwrap().clone_into(&mut endpoint.url);
        endpoint
    }

    fn remember(&mut self, name: &'static str, made: &Value) {
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        self.credentials.insert(name, (text("access_key_id"), text("secret_access_key")));
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

    /// The records in the ledger, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let frames = Reader::open(&self.data().join("ledger")).unwrap().frames(0);
        frames
            .map(Result::unwrap)
            .filter(|frame| frame.entry.kind == EntryKind::Record)
            .map(|frame| serde_json::from_slice(&frame.payload).unwrap())
            .collect()
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
