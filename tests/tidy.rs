//! The rules of this repository that a program can hold.
//!
//! Architecture lives in `crates/README.md`; this file is its teeth. Each test reads the tree or `cargo metadata` and
//! names the file and line that breaks a rule. A rule that needs an exception names the exception here, with its reason.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree should stop at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each crate may name in `[dependencies]`. Tests may use `testkit`,
/// `trail` for its corpus, and `envelope` because the fuzzer's targets are one library.
/// An edge that is not here is an architecture change: it belongs in `crates/README.md` first.
const EDGES: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("ledger", &[]),
    ("auth", &["event"]),
    ("kms", &["event", "auth", "ledger"]),
    ("trail", &["event", "ledger"]),
    ("lake", &["event", "ledger", "trail"]),
    ("query", &["event", "ledger", "trail", "lake"]),
    ("server", &["event", "auth", "kms", "ledger"]),
    ("envelope", &[]),
    ("testkit", &["event", "ledger", "auth", "kms", "trail", "lake", "query"]),
];

/// Everything that may lie at the top of the repository, dotfiles aside.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "fuzz",
    "sample-logs",
    "schemas",
    "tests",
];

/// Licences that let Keytrail be shipped under Apache-2.0. A dependency passes when one side of each `OR` is here.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that may be in the lock file more than once: all of them deep below others, none in our own interfaces.
/// The list only shrinks by itself: an entry that is no longer a duplicate fails the test.
const DUPLICATES: &[(&str, &str)] = &[
    ("base64", "object_store's reqwest is a release ahead of parquet"),
    ("block-buffer", "RustCrypto 0.10 generation, below object_store"),
    ("crypto-common", "RustCrypto 0.10 generation, below object_store"),
    ("digest", "RustCrypto 0.10 generation, below object_store"),
    ("foldhash", "one per hashbrown"),
    ("getrandom", "three generations of rand"),
    ("hashbrown", "maps of three dependencies"),
    ("itertools", "datafusion and delta_kernel"),
    ("num-bigint", "arrow and bigdecimal"),
    ("rand", "datafusion and object_store"),
    ("rand_core", "one per rand"),
    ("reqwest", "delta_kernel and object_store"),
    ("syn", "derive macros of two generations"),
    ("synstructure", "below an optional parser of rcgen, which is locked but never built"),
    ("winnow", "toml's parser and its cousins"),
];

/// Of these there is one version and no more: their types cross our own interfaces.
const SINGLE: &[&str] = &[
    "arrow",
    "arrow-array",
    "arrow-schema",
    "datafusion",
    "object_store",
    "parquet",
    "serde_json",
    "sha2",
];

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer, each one linear story that would read worse in pieces.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All dependencies of this platform: those of others were never downloaded, so `--offline` could not read them.
fn all_packages() -> Vec<Value> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut metadata = metadata(&["--filter-platform", &host]);
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// The Rust files of the repository, as (path relative to the root, content).
fn rust_files() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let content = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), content));
            }
        }
    }
    let mut files = Vec::new();
    for folder in ["crates", "fuzz", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    files.sort();
    files
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn crates_use_only_the_edges_of_the_architecture() {
    let metadata = metadata(&["--no-deps"]);
    let mut broken = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(name) = text(package, "name").strip_prefix("keytrail-") else { continue };
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            broken.push(format!("{name} is not in the architecture"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(used) = text(dependency, "name").strip_prefix("keytrail-") else { continue };
            let for_tests = text(dependency, "kind") == "dev"
                && ["envelope", "testkit", "trail"].contains(&used);
            if !allowed.contains(&used) && !for_tests {
                broken.push(format!("{name} must not use {used}"));
            }
        }
    }
    assert_none("edges that crates/README.md does not draw", &broken);
}

#[test]
fn the_architecture_document_names_every_crate() {
    let document = std::fs::read_to_string(root().join("crates/README.md")).unwrap();
    let missing: Vec<String> = EDGES
        .iter()
        .filter(|(name, _)| !document.contains(&format!("`{name}`")))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_none("crates that crates/README.md does not describe", &missing);
}

#[test]
fn the_top_level_holds_nothing_unexpected() {
    let tracked = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let Some(tracked) = tracked.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: not a git checkout");
        return;
    };
    let unexpected: BTreeSet<String> = String::from_utf8(tracked.stdout)
        .unwrap()
        .lines()
        .map(|path| path.split('/').next().unwrap_or(path).to_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(unexpected.is_empty(), "unexpected at the top level: {unexpected:?}");
}

#[test]
fn every_file_opens_with_its_paragraph() {
    let broken: Vec<String> = rust_files()
        .into_iter()
        .filter(|(_, content)| !content.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_none("files without a `//!` paragraph in their first line", &broken);
}

#[test]
fn every_crate_says_what_it_is_not() {
    let broken: Vec<String> = EDGES
        .iter()
        .map(|(name, _)| root().join(format!("crates/{name}/src/lib.rs")))
        .filter(|path| !std::fs::read_to_string(path).unwrap().contains("//! # What it is not"))
        .map(|path| path.display().to_string())
        .collect();
    assert_none("crate docs without `# What it is not`", &broken);
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    // Put together at run time, so that this file does not find itself.
    let words = [("#[ign", "ore"), ("todo", "!("), ("unimpl", "emented!("), ("FIX", "ME")]
        .map(|(start, end)| format!("{start}{end}"));
    let mut broken = Vec::new();
    for (path, content) in rust_files() {
        for (number, line) in content.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                broken.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none("unfinished work", &broken);
}

#[test]
fn files_and_functions_stay_readable() {
    let mut broken = Vec::new();
    for (path, content) in rust_files() {
        let lines: Vec<&str> = content.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            broken.push(format!("{}: {} lines", path.display(), lines.len()));
        }
        for (start, name, length) in functions(&lines) {
            let place = path.display().to_string();
            let excepted = LONG_FUNCTIONS.contains(&(place.as_str(), name.as_str()));
            if length > FUNCTION_LINES_MAX && !excepted {
                broken.push(format!("{place}:{start}: fn {name} has {length} lines"));
            }
        }
    }
    assert_none("too long to proofread", &broken);
}

/// The functions of a file as (line, name, length): from `fn` to the closing brace at the same indentation, which is
/// where rustfmt puts it.
fn functions(lines: &[&str]) -> Vec<(usize, String, usize)> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_definition = before.trim().split(' ').all(|word| {
            word.is_empty() || word.starts_with("pub") || ["async", "const"].contains(&word)
        });
        if !is_definition || line.trim_end().ends_with('}') || line.trim_end().ends_with(';') {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap_or("").to_owned();
        let end = lines[start..].iter().position(|closing| {
            closing.trim_start().starts_with('}') && indentation(closing) == indentation(line)
        });
        found.push((start + 1, name, end.unwrap_or(0) + 1));
    }
    found
}

#[test]
fn the_lock_file_has_one_arrow_and_no_new_duplicates() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in all_packages() {
        versions
            .entry(text(&package, "name").to_owned())
            .or_default()
            .insert(text(&package, "version").to_owned());
    }
    let mut broken = Vec::new();
    for (name, found) in &versions {
        let allowed = DUPLICATES.iter().any(|(known, _)| known == name);
        if found.len() > 1 && (!allowed || SINGLE.contains(&name.as_str())) {
            broken.push(format!("{name}: {found:?}"));
        }
    }
    for (name, _) in DUPLICATES {
        if versions.get(*name).is_none_or(|found| found.len() < 2) {
            broken.push(format!("{name} is no duplicate any more: strike it from the list"));
        }
    }
    assert_none("duplicates in Cargo.lock", &broken);
}

#[test]
fn every_licence_lets_us_ship() {
    let mut broken = Vec::new();
    for package in all_packages() {
        let licence = text(&package, "license").replace(" / ", "/").replace('/', " OR ");
        if !licence_is_allowed(&licence) {
            broken.push(format!("{}: {licence:?}", text(&package, "name")));
        }
    }
    assert_none("licences outside the list", &broken);
}

/// SPDX expressions as they occur: `A OR B`, `A AND B`, and `(A OR B) AND C`.
fn licence_is_allowed(expression: &str) -> bool {
    expression.split(" AND ").all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
    })
}

#[test]
fn the_licence_rule_says_no() {
    assert!(licence_is_allowed("MIT OR GPL-3.0"));
    assert!(licence_is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!licence_is_allowed("GPL-3.0"));
    assert!(!licence_is_allowed("MIT AND GPL-3.0"));
    assert!(!licence_is_allowed(""));
}
