//! The real clients: where they come from, and one call of each.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::case::Case;

/// The clients, and the judge of what they are told (`offline.py`).
const PACKAGES: [&str; 3] = ["awscli==1.46.3", "boto3==1.44.5", "cryptography==50.0.2"];

/// How this version of the CLI ends when the service refused.
pub(crate) const EXIT_REFUSED: i32 = 255;

/// As whom, where to, and in which folder a client runs.
pub(crate) struct Setting<'a> {
    /// Access key id, secret, and of a session its token; `None` is anonymous.
    pub(crate) credentials: Option<Vec<String>>,
    pub(crate) region: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) folder: &'a Path,
}

/// The folder of a virtual environment's programs, made if this is the first test that needs these packages. What is in it is
/// in its name.
pub(crate) fn environment(packages: &[&str]) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_keytrail"));
    let target = binary.ancestors().nth(2).unwrap(); // target/PROFILE/keytrail
    let name = packages.join("-").replace("==", "-").replace(['[', ']'], "-");
    let folder = target.join("clients").join(name);
    fs::create_dir_all(&folder).unwrap();
    // Tests run in threads, and several test processes may share a target folder.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.join("ready").exists() {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        succeed(Command::new(folder.join("venv/bin/python")).args(pip).args(packages));
        fs::write(folder.join("ready"), "").unwrap();
    }
    folder.join("venv/bin")
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} failed");
}

/// What a call of the CLI printed.
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit_code: Option<i32>,
}

/// Runs `aws ARGUMENTS…`.
pub(crate) fn aws(setting: &Setting<'_>, arguments: &[String]) -> Printed {
    let mut command = Command::new(environment(&PACKAGES).join("aws"));
    command
        .args(arguments)
        .current_dir(setting.folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", setting.folder)
        .env("AWS_ENDPOINT_URL", setting.endpoint)
        .env("AWS_DEFAULT_REGION", setting.region)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    match &setting.credentials {
        Some(credentials) => {
            command.envs(names.iter().zip(credentials));
        }
        None => {
            command.arg("--no-sign-request");
        }
    }
    let output = command.output().unwrap();
    Printed {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        exit_code: output.status.code(),
    }
}

/// A Python process that calls boto3 for us: a JSON line in, a JSON line out (`boto3_client.py`).
pub(crate) struct Boto3 {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Boto3 {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/boto3_client.py");
        let mut process = Command::new(environment(&PACKAGES).join("python"))
            .arg(script)
            .env_clear()
            .env("PYTHONDONTWRITEBYTECODE", "1") // nothing of a test's own among the sources
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers }
    }

    /// Makes the call of a case: `{"answer": …, "request_id": …}` or `{"error": "An error occurred (…", …}`. `input` is the
    /// case's, with all filled in.
    pub(crate) fn call(&mut self, setting: &Setting<'_>, case: &Case, input: &Value) -> Value {
        let request = json!({
            "endpoint": setting.endpoint, "region": setting.region, "credentials": setting.credentials,
            "method": case.call, "input": input, "clock_seconds": case.clock_seconds, "unchecked": case.unchecked,
        });
        writeln!(self.requests, "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{} {input}: {line:?}", case.name))
    }
}

impl Drop for Boto3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
