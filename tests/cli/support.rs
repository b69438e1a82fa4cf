//! A data directory of its own for each test, and the binary run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A scratch folder with a data directory in it.
pub(crate) struct Home {
    folder: TempDir,
}

/// What a command printed and how it ended.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Home {
    /// A folder in which nothing was initialised.
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A folder with an initialised data directory.
    pub(crate) fn new() -> Self {
        let home = Self::empty();
        home.ok(&["init"]);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Runs `keytrail --data DATA ARGUMENTS…` in the scratch folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let data = self.data();
        let mut all = vec!["--data", data.to_str().unwrap()];
        all.extend(arguments);
        self.run_plainly(&all)
    }

    /// Runs `keytrail ARGUMENTS…` in the scratch folder, as somebody would who has read the README.
    pub(crate) fn run_plainly(&self, arguments: &[&str]) -> Ran {
        self.run_in(&[], arguments)
    }

    /// Like [`Home::run`], with variables in the environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let data = self.data();
        self.run_in(variables, &[&["--data", data.to_str().unwrap()], arguments].concat())
    }

    /// Without a terminal, so that nothing can be asked.
    fn run_in(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_keytrail"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("KEYTRAIL_DATA")
            .env_remove("KEYTRAIL_ROOT_KEY")
            .env_remove("KEYTRAIL_PASSPHRASE_FILE")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs a command that has to end with exit code 0; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\nstdout: {}\nstderr: {}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Like [`Home::ok`], with `--format json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--format", "json"]);
        let text = self.ok(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// The rows of an SQL query.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Value> {
        self.json(&["query", sql]).as_array().unwrap().clone()
    }

    /// One KMS call on the engine; its answer.
    pub(crate) fn kms(&self, operation: &str, input: &Value) -> Value {
        let text = self.ok(&["kms", operation, "--input", &input.to_string()]);
        serde_json::from_str(&text).unwrap()
    }
}

/// Real CloudTrail data beside the repository; `None`, said aloud, where it is absent.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cloudtrail").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}
