//! What the cases cover: all operations of the API, each in several ways. The claim is in the README; this holds it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::Session;
use crate::cases;

/// Cases that there are at least, of all operations together.
const CASES_MIN: usize = 1_000;
/// Cases of each operation.
const CASES_OF_OPERATION_MIN: usize = 3;

/// All files of cases, by name.
fn sessions() -> Vec<(String, Session)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/cases");
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = |file: String| file.strip_suffix(".toml").unwrap().to_owned();
    files.map(name).map(|name| (name.clone(), Session::parse(&cases(&name)))).collect()
}

/// Cases of KMS by operation, over all sessions.
fn cases_by_operation() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, session) in sessions() {
        for case in session.cases {
            if let Some(("kms", operation)) = case.operation() {
                *counts.entry(operation).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn every_operation_of_the_api_has_its_cases() {
    let schema = include_str!("../../schemas/kms-api.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let api: BTreeSet<&str> =
        schema["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    let counts = cases_by_operation();
    let few: Vec<_> = api
        .iter()
        .map(|name| (name, counts.get(*name).copied().unwrap_or_default()))
        .filter(|(_, count)| *count < CASES_OF_OPERATION_MIN)
        .collect();
    assert!(few.is_empty(), "operations with too few cases: {few:?}");
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
    for (file, session) in sessions() {
        let mut names = BTreeSet::new();
        for case in session.cases {
            assert!(names.insert(case.name.clone()), "{file}: two cases are called {}", case.name);
            let ways = [!case.run.is_empty(), !case.call.is_empty(), !case.serve.is_empty()];
            assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{file}: {}", case.name);
        }
    }
}

#[test]
fn every_file_of_cases_is_run_by_a_test() {
    let tests = include_str!("main.rs");
    for (name, _) in sessions() {
        let run = [format!("run(\"{name}\")"), format!("cases(\"{name}\")")];
        assert!(run.iter().any(|call| tests.contains(call)), "no test runs {name}.toml");
    }
}
