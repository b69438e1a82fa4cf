//! `keytrail serve` and the real clients: the unmodified AWS CLI, boto3 and AWS Encryption SDK, against a running endpoint.
//!
//! A case is data (`cases/*.toml`): who calls, what is called, the answer or the error's text, and the record that the call
//! leaves. Each file is one session on one data directory, from top to bottom. The clients come from PyPI, pinned, into a
//! virtual environment under `target/`, made by the first test that needs it and used by all later ones. Most cases are
//! called by boto3, whose one process makes hundreds of calls in the time in which the CLI makes one; the CLI where it is the
//! CLI that matters.
//!
//! | module | what it is |
//! |---|---|
//! | `accounts` | two accounts, and the AWS CLI in each of them |
//! | `case` | how a case is written |
//! | `session` | the cases of a file: calling, comparing |
//! | `values` | expected values and found ones |
//! | `record` | what every record says |
//! | `clients` | the virtual environment, one CLI call, one boto3 call |
//! | `endpoint` | a data directory with its users, and `keytrail serve` on a free port over it |
//! | `encryption_sdk` | the AWS Encryption SDK with its keyrings, and files of `keytrail encrypt` |
//! | `roles` | a profile that assumes a role |
//! | `coverage` | that each operation has its cases |
//! | `offline.py` | the judge: signs, verifies, encrypts and wraps without us |

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accounts;
mod case;
mod clients;
mod coverage;
mod encryption_sdk;
mod endpoint;
mod record;
mod roles;
mod session;
mod values;

use endpoint::Endpoint;
use serde_json::json;

/// The text of a file of cases. It is read when the test runs, so that a changed case needs no compiler.
fn cases(name: &str) -> String {
    let path = format!("{}/tests/serve/cases/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a file of cases on an endpoint of its own.
fn run(name: &str) {
    session::run_alone(name, &cases(name));
}

/// The tutorial of AWS, typed into its CLI; then the questions that Keytrail is for.
#[test]
fn the_tutorial_works_with_the_unmodified_aws_cli_and_is_proven_afterwards() {
    let mut endpoint = Endpoint::start();
    let saved = session::run(&endpoint, &cases("tutorial"));
    endpoint.stop();

    endpoint.keytrail(&["ingest"]);
    let uses = endpoint.keytrail(&["audit", "who-used", "--key", "alias/payments"]);
    let uses = uses.as_array().unwrap();
    let key = format!("arn:aws:kms:us-east-1:111122223333:key/{}", saved["key"]);
    for (actor, operation) in [
        ("arn:aws:iam::111122223333:user/alice", "Encrypt"),
        ("arn:aws:iam::111122223333:user/alice", "Decrypt"),
        ("arn:aws:iam::111122223333:root", "DisableKey"),
        ("arn:aws:iam::111122223333:user/mallory", "Decrypt"),
    ] {
        let named = uses.iter().find(|row| row["actor"] == actor && row["operation"] == operation);
        let row = named.unwrap_or_else(|| panic!("{actor} {operation} is not in {uses:?}"));
        assert_eq!((&row["key"], &row["source_ips"]), (&json!(key), &json!(["127.0.0.1"])));
        assert!(row["first_use"].is_string() && row["last_use"].is_string(), "{row}");
    }
    assert_eq!(endpoint.keytrail(&["verify"])["verdict"], "OK");
}

#[test]
fn who_is_not_authenticated_is_refused_in_the_words_of_aws_and_leaves_no_record() {
    run("refusals");
}

/// The clients keep the real clock, and sign with it.
#[test]
fn a_month_passes_in_a_second() {
    let mut endpoint = Endpoint::start();
    session::run(&endpoint, &cases("clock"));
    let (_, seen) = endpoint.records_from(0);
    endpoint.stop();
    endpoint.serve(&["--clock-offset", "30d"]);
    let (records, _) = endpoint.records_from(seen);
    let names = records.iter().map(|record| &record["eventName"]).collect::<Vec<_>>();
    assert_eq!(names, ["MoveClock", "DeleteKey"]);
    session::run(&endpoint, &cases("clock-later"));
    endpoint.stop();
    let listed = endpoint.keytrail(&["kms", "list-keys", "--clock-offset", "52w"]);
    assert_eq!(listed["Keys"], json!([]));

    endpoint.keytrail(&["ingest"]);
    let sql = "SELECT service_event_details AS moved FROM events WHERE event_name = 'MoveClock'";
    let moves = [(0, 2_592_000), (2_592_000, 31_449_600)].map(|(before, after)| {
        json!({"moved": {"previousClockOffsetSeconds": before, "clockOffsetSeconds": after}})
    });
    assert_eq!(endpoint.keytrail(&["query", sql]), json!(moves));
    assert_eq!(endpoint.keytrail(&["verify"])["verdict"], "OK");
}

#[test]
fn over_tls_with_a_certificate_of_our_own_records_tell_the_connection() {
    run("encrypted");
}

#[test]
fn keys_of_every_kind_are_made_described_and_listed() {
    run("keys");
}

#[test]
fn ciphertexts_open_under_their_key_in_their_context_and_nowhere_else() {
    run("encrypt");
}

#[test]
fn data_keys_and_pairs_are_made_and_open_again() {
    run("data_keys");
}

#[test]
fn macs_are_made_and_verified() {
    run("mac");
}

#[test]
fn signatures_of_every_algorithm_are_verified_here_and_elsewhere() {
    run("sign");
}

#[test]
fn both_sides_derive_the_same_secret() {
    run("derive");
}

#[test]
fn aliases_name_keys_and_move() {
    run("aliases");
}

#[test]
fn there_are_no_custom_key_stores() {
    run("custom_key_stores");
}

#[test]
fn tags_are_put_listed_and_taken_off() {
    run("tags");
}

#[test]
fn key_policies_and_identity_policies_decide() {
    run("policies");
}

#[test]
fn grants_allow_are_passed_on_and_end() {
    run("grants");
}

#[test]
fn each_operation_heeds_the_state_of_its_key() {
    run("states");
}

#[test]
fn keys_rotate_and_old_ciphertexts_open() {
    run("rotation");
}

#[test]
fn material_from_outside_is_imported_and_does_what_it_does_there() {
    run("import");
}

#[test]
fn multi_region_keys_are_related_and_others_are_not() {
    run("multi_region");
}

#[test]
fn time_ages_tokens_and_deletes_expires_and_rotates_keys() {
    run("time");
}

#[test]
fn what_is_wrong_with_a_request_is_told_in_awss_order() {
    run("validation");
}

#[test]
fn each_region_has_its_own_keys() {
    run("regions");
}

#[test]
fn roles_are_assumed_and_their_sessions_end() {
    run("roles");
}

#[test]
fn conditions_of_policies_hold_or_do_not() {
    run("conditions");
}

#[test]
fn what_people_type_into_the_cli_works() {
    run("cli");
}

#[test]
fn replicas_share_id_and_material_and_nothing_else() {
    run("replicas");
}
