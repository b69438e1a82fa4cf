//! `kill -9`, over and over, of a process whose callers change all there is to change; after each, the log is the judge.
//!
//! The story: whoever got an answer was promised that its record is durable, and that the state is what the records say.
//! So the child ([`load`]) tells every answer before it makes the next call. The parent ends it somewhere, opens the engine
//! again, and checks ([`check`], [`model`]):
//!
//! - the ledger verifies, and still begins with what was read the round before;
//! - each answer, refusals too, has exactly one record, in the order of its caller; a caller has at most the one call more
//!   that was under way; no request or event id is there twice;
//! - a model that knows the records alone predicts the answer to every question about every key, alias, grant and user:
//!   `DescribeKey`, `GetKeyPolicy`, `ListResourceTags`, `ListGrants`, `GetKeyRotationStatus`, `ListKeyRotations`,
//!   `GetKeyLastUsage`, `ListAliases`, `ListKeys`, `ListUsers`, whole;
//! - no record stands where it could not: no Encrypt behind the `DisableKey` of its key;
//! - what was encrypted, signed and authenticated is good while its key is enabled, and refused while it is not: all of the
//!   round and one of every older material each time, everything at the end.
//!
//! The rounds ([`End`]) go on in one data directory, so that recovery meets its own leftovers. Besides kills under load there
//! are kills while the engine opens, kills while recovery from a kill goes on, kills while it closes and writes its snapshot, a
//! disk that is full in the middle of a write, and orderly ends; now and then the snapshot is gone or an old one is back.
//! (Failed and half-done syncs, which need a storage that fails on purpose, are in `src/engine/faults.rs`.) Each round is at a
//! later date, so that what falls due meets crashes as well.
//!
//! What the callers do and how rounds end follows from a seed, which is printed; `KEYTRAIL_CRASH_SEED` gives another, and
//! `KEYTRAIL_CRASH_ROUNDS` more rounds. When a kill hits, and how the threads run, is the machine's.
//!
//! This test has a `main` of its own, because it is also the program that it kills.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the child reports its answers, the parent its result")]

mod check;
mod load;
mod model;
mod story;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keytrail_testkit::{SeededRandom, scratch};
use serde_json::Value;

use check::Judge;
use load::Orders;
use story::below;

const SEED: u64 = 4;
const ROUNDS: u64 = 110;
/// Answers in a round at most; a kill comes earlier.
const ANSWERS: u64 = 70;
/// A program that is to be killed does not end before.
const NEVER: i64 = i64::MAX;

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Killed a moment after so many answers.
    Killed {
        answers: u64,
    },
    /// Killed while it opens, or soon after.
    KilledOpening,
    /// Killed while it writes its snapshot, or soon before or after.
    KilledClosing,
    Closed,
    /// No file can grow beyond so many bytes more than the ledger has.
    DiskFull {
        bytes: u64,
    },
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments[place].parse().unwrap();
    match arguments.first().map(String::as_str) {
        Some("--load") => {
            let answers = arguments[5].parse().unwrap();
            let (data, seed) = (PathBuf::from(&arguments[1]), number(2));
            load::run(&Orders { data, seed, round: number(3), days: number(4), answers });
        }
        Some("--recover") => load::run_recovery(Path::new(&arguments[1]), number(2)),
        _ => {
            the_state_is_what_the_log_says();
            println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        }
    }
}

fn the_state_is_what_the_log_says() {
    let folder = scratch();
    let (seed, rounds) =
        (given("KEYTRAIL_CRASH_SEED", SEED), given("KEYTRAIL_CRASH_ROUNDS", ROUNDS));
    println!("seed {seed}, {rounds} rounds");
    let mut stage = Stage {
        data: folder.path(),
        random: SeededRandom::new(seed),
        seed,
        days: 0,
        opening: Duration::from_millis(20),
        old_snapshot: None,
    };
    story::create(folder.path()).close().unwrap();
    let mut judge = Judge::default();
    let mut ends = BTreeMap::new();
    for round in 0..rounds {
        let end = stage.play(round, &mut judge);
        *ends.entry(end).or_insert(0) += 1;
    }
    let engine = story::open(folder.path(), stage.days).unwrap();
    judge.check_all_probes(&engine);
    println!(
        "{ends:?}: {} answers ({} refusals), {} records, none lost",
        judge.answers,
        judge.refusals,
        judge.records()
    );
    println!("{} ciphertexts, signatures and codes tried; {:?}", judge.probes(), judge.successes);
    if rounds >= ROUNDS {
        check_variety(&judge);
    }
}

/// A load that does not do what it is for would prove nothing.
fn check_variety(judge: &Judge) {
    for operation in [
        "CancelKeyDeletion",
        "CreateAccessKey",
        "CreateAlias",
        "CreateGrant",
        "CreateKey",
        "CreateUser",
        "Decrypt",
        "DeleteAccessKey",
        "DeleteAlias",
        "DeleteExpiredKeyMaterial",
        "DeleteImportedKeyMaterial",
        "DeleteKey",
        "DeleteUser",
        "DeleteUserPolicy",
        "DisableKey",
        "DisableKeyRotation",
        "EnableKey",
        "EnableKeyRotation",
        "Encrypt",
        "GenerateMac",
        "ImportKeyMaterial",
        "PutKeyPolicy",
        "PutUserPolicy",
        "RetireGrant",
        "RevokeGrant",
        "RotateKey",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
        "Sign",
        "TagResource",
        "UntagResource",
        "UpdateAlias",
        "UpdateKeyDescription",
    ] {
        assert!(judge.successes.contains_key(operation), "{operation} never succeeded");
    }
}

/// Where the rounds take place: one data directory, at a date.
struct Stage<'a> {
    data: &'a Path,
    random: SeededRandom,
    seed: u64,
    days: u64,
    /// How long the last opening took: an early kill comes about then.
    opening: Duration,
    old_snapshot: Option<Vec<u8>>,
}

impl Stage<'_> {
    fn play(&mut self, round: u64, judge: &mut Judge) -> &'static str {
        self.days += [0, 0, 0, 2, 2, 3, 9, 45][self.below(8)];
        let end = self.end();
        let answers = self.run_load(round, end);
        for _ in 0..[0, 0, 0, 1, 3][self.below(5)] {
            self.kill_recovery();
        }
        let begun = Instant::now();
        let engine = story::open(self.data, self.days)
            .unwrap_or_else(|no| panic!("round {round}, {end:?}: {no}"));
        self.opening = begun.elapsed();
        judge.check(self.data, &engine, round, &answers);
        engine.close().unwrap();
        self.change_snapshot();
        match end {
            End::Killed { .. } => "killed",
            End::KilledOpening => "killed opening",
            End::KilledClosing => "killed closing",
            End::Closed => "closed",
            End::DiskFull { .. } => "disk full",
        }
    }

    fn below(&self, limit: u64) -> usize {
        usize::try_from(below(&self.random, limit)).unwrap()
    }

    fn end(&self) -> End {
        match self.below(20) {
            0..=11 => End::Killed { answers: below(&self.random, ANSWERS) },
            12..=13 => End::KilledOpening,
            14..=16 => End::KilledClosing,
            17 => End::Closed,
            _ => End::DiskFull { bytes: below(&self.random, 60_000) },
        }
    }

    /// Starts the callers, ends them, and gives back every answer they told.
    fn run_load(&self, round: u64, end: End) -> Vec<Value> {
        let answers = match end {
            End::Closed | End::KilledClosing => self.below(ANSWERS).to_string(),
            End::Killed { .. } | End::KilledOpening => NEVER.to_string(),
            End::DiskFull { .. } => "2000".to_owned(),
        };
        let numbers = [self.seed, round, self.days].map(|number| number.to_string());
        let mut child = match end {
            End::DiskFull { bytes } => self.command_with_limit(bytes),
            _ => Command::new(std::env::current_exe().unwrap()),
        };
        child.arg("--load").arg(self.data).args(numbers).arg(answers);
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        if end == End::KilledOpening {
            self.wait(self.opening * 2 + Duration::from_millis(10));
            child.kill().unwrap();
        }
        let lines = self.listen(&mut child, end);
        let status = child.wait().unwrap();
        let last = lines.iter().rfind(|line| line.is_string()).and_then(Value::as_str);
        match end {
            End::Closed => assert_eq!(last, Some("closed"), "{status}"),
            End::DiskFull { .. } => {
                assert!(status.success(), "{status}");
                assert!(matches!(last, Some("stopped" | "closed")), "{last:?}");
            }
            _ => assert!(status.signal() == Some(9) || last == Some("closed"), "{status}"),
        }
        lines.into_iter().filter(Value::is_object).collect()
    }

    /// Reads what the child tells, kills it when it is time, and goes on to read what lies in the pipe: that was acknowledged
    /// too. Only an unfinished line was not.
    fn listen(&self, child: &mut Child, end: End) -> Vec<Value> {
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let (mut lines, mut line) = (Vec::new(), String::new());
        let (mut answers, mut kills) = (0, 1);
        while reader.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            let told: Value = serde_json::from_str(&line).unwrap();
            answers += u64::from(told.is_object());
            let due = match end {
                End::Killed { answers: enough } => answers >= enough && told != "closed",
                End::KilledClosing => told == "closing",
                _ => false,
            };
            if due && kills > 0 {
                kills -= 1;
                self.wait(Duration::from_millis(4));
                child.kill().unwrap(); // SIGKILL
            }
            lines.push(told);
            line.clear();
        }
        lines
    }

    /// A shell that lets no file grow beyond what the newest segment has, and some bytes; then it becomes this program. A
    /// write that crosses the limit is cut short, the next one fails.
    fn command_with_limit(&self, bytes: u64) -> Command {
        let segments = std::fs::read_dir(self.data.join("ledger/segments")).unwrap();
        let newest = segments.map(|entry| entry.unwrap().path()).max().unwrap();
        let limit = std::fs::metadata(newest).unwrap().len() + bytes;
        let mut shell = Command::new("sh");
        // The blocks of `ulimit -f` have 512 bytes. Without the trap the signal of that limit would kill.
        shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#, "sh"]);
        shell.arg((limit / 512).to_string()).arg(std::env::current_exe().unwrap());
        shell
    }

    /// Opens the directory in a process of its own and kills it on the way.
    fn kill_recovery(&self) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--recover")
            .arg(self.data)
            .arg(self.days.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.wait(self.opening * 2 + Duration::from_millis(5));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.signal() == Some(9) || status.success(), "{status}");
    }

    /// A snapshot may be lost, or come back from a backup.
    fn change_snapshot(&mut self) {
        let path = self.data.join("keys/snapshot");
        let old = &mut self.old_snapshot;
        match below(&self.random, 32) {
            0 => std::fs::remove_file(path).unwrap(),
            1..=9 => *old = Some(std::fs::read(path).unwrap()),
            10..=13 => drop(old.as_ref().map(|old| std::fs::write(path, old).unwrap())),
            _ => {}
        }
    }

    /// Waits for some time up to `longest`.
    fn wait(&self, longest: Duration) {
        let part = u32::try_from(below(&self.random, 1000)).unwrap();
        std::thread::sleep(longest * part / 1000);
    }
}

/// A number from the environment, for long runs.
fn given(name: &str, default: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test with a main of its own has no other flags"
    )]
    let given = std::env::var(name);
    given.map_or(default, |given| given.parse().unwrap())
}
