//! The fuzzer's corpus, run through the functions that the fuzzer runs: what it once found stays fixed, and its targets
//! build with everything else. No coverage, no mutation; that is `fuzz/run`.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

/// The targets, which are a library of their own workspace.
#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library over there, a module here")]
mod targets;

/// Runs every input of a target, in order of their names.
fn run(target: &str, mut check: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.collect::<Vec<_>>();
    files.sort();
    assert!(files.len() >= 10, "{}: {} inputs", folder.display(), files.len());
    for file in files {
        // Captured, and shown when the input fails.
        eprintln!("{}", file.display());
        check(&std::fs::read(&file).unwrap());
    }
    check(b"");
}

#[test]
fn requests_on_the_wire() {
    let mut endpoint = targets::Endpoint::default();
    run("request", |input| endpoint.request(input));
}

#[test]
fn calls_of_the_engine() {
    let mut world = targets::World::default();
    run("call", |input| world.call(input));
}

#[test]
fn ciphertexts_and_tokens() {
    let mut world = targets::World::default();
    run("blob", |input| world.blob(input));
    run("token", |input| world.token(input));
}

#[test]
fn policies() {
    run("policy", targets::policy);
}

#[test]
fn signatures() {
    run("sigv4", targets::sigv4);
}

#[test]
fn files_of_a_ledger() {
    let ledgers = targets::Ledgers::default();
    run("ledger", |input| ledgers.ledger(input));
}

#[test]
fn encrypted_messages() {
    let messages = targets::Messages::default();
    run("message", |input| messages.message(input));
}

#[test]
fn log_files() {
    run("event", targets::event);
}
