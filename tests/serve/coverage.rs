//! What the cases cover: all operations of the API, each in several ways. The claim is in the README; this holds it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::SESSIONS;
use crate::case::Session;

/// Cases that there are at least, of all operations together.
const CASES_MIN: usize = 40;

/// Cases of KMS by operation, over all sessions.
fn cases_by_operation() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, text) in SESSIONS {
        for case in Session::parse(text).cases {
            if let Some(("kms", operation)) = case.operation() {
                *counts.entry(operation).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn every_case_is_one_of_an_operation_of_the_api() {
    let schema = include_str!("../../schemas/kms-api.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let api: BTreeSet<&str> =
        schema["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    let counts = cases_by_operation();
    let total: usize = counts.values().sum();
    assert!(total >= CASES_MIN, "{total} cases");
    assert!(counts.keys().all(|name| api.contains(name.as_str())), "a case of no operation");
    #[expect(clippy::print_stdout, reason = "shown with --nocapture")]
    {
        println!("{total} cases of {} operations: {counts:?}", counts.len());
    }
}

#[test]
fn every_case_says_what_it_expects_under_a_name_of_its_own() {
    for (file, text) in SESSIONS {
        let mut names = BTreeSet::new();
        for case in Session::parse(text).cases {
            assert!(names.insert(case.name.clone()), "{file}: two cases are called {}", case.name);
            assert_ne!(case.run.is_empty(), case.call.is_empty(), "{file}: {}", case.name);
        }
    }
}

#[test]
fn every_file_of_cases_is_a_session() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/cases");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let sessions: BTreeSet<String> =
        SESSIONS.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(files, sessions);
}
