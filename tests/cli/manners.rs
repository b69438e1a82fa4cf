//! Help, exit codes, formats, and errors that say what to do.

use crate::support::Home;

#[test]
fn every_command_has_help_with_examples() {
    let home = Home::empty();
    let top = home.ok(&["--help"]);
    for command in [
        "init",
        "demo",
        "serve",
        "kms",
        "encrypt",
        "decrypt",
        "principal",
        "policy",
        "ingest",
        "query",
        "audit",
        "verify",
        "generate",
    ] {
        assert!(top.contains(command), "{command} is missing from --help");
        let help = home.ok(&[command, "--help"]);
        assert!(help.contains("Examples:"), "{command} --help has no examples");
        assert!(help.contains("--data"), "{command} --help hides the global flags");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_inability_with_3() {
    let home = Home::empty();
    assert_eq!(home.run(&["frobnicate"]).code, 2);
    assert_eq!(home.run(&["verify", "moon"]).code, 2);
    let ran = home.run(&["query", "select 1"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("init"), "does not say what to do: {}", ran.stderr);

    home.ok(&["init"]);
    let again = home.run(&["init"]);
    assert_eq!(again.code, 3);
    assert!(again.stderr.contains("is a data directory already"), "{}", again.stderr);
    let empty = home.run(&["query", "select count(*) from events"]);
    assert_eq!(empty.code, 0, "init leaves an empty lake that can be asked: {}", empty.stderr);
    let nonsense = home.run(&["query", "selec 1"]);
    assert_eq!(nonsense.code, 3);
    assert!(nonsense.stderr.contains("selec"), "{}", nonsense.stderr);
    let writing = home.run(&["query", "create table t as select 1"]);
    assert_eq!(writing.code, 3, "{}", writing.stdout);
}

#[test]
fn an_sql_error_says_what_is_wrong_and_not_where_it_was_noticed() {
    let home = Home::new();
    for (sql, expected) in [
        ("selec 1", "found: selec at Line: 1"),
        ("select nope from events", "No field named nope"),
        ("select * from nope", "nope' not found"),
        ("select * from events where event_time > 5", "Timestamp"),
        ("select event_time > 'x' from events", "'x'"),
        ("select 1/0", "Divide by zero"),
    ] {
        let ran = home.run(&["query", sql]);
        assert_eq!(ran.code, 3, "{sql}");
        assert!(ran.stderr.contains(expected), "{sql}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{sql}: {}", ran.stderr);
    }
}

#[test]
fn results_are_on_stdout_and_quiet_is_quiet() {
    let home = Home::new();
    home.ok(&["kms", "create-key"]);
    let ran = home.run(&["--quiet", "ingest", "--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with('{'), "{}", ran.stdout);
    let query = "select event_name, read_only from events where event_name = 'CreateKey'";
    assert_eq!(
        home.ok(&["query", query, "--format", "csv"]),
        "event_name,read_only\nCreateKey,false\n"
    );
    assert_eq!(
        home.ok(&["query", query, "--format", "ndjson"]),
        "{\"event_name\":\"CreateKey\",\"read_only\":false}\n"
    );
    assert_eq!(
        home.ok(&["query", query, "--format", "json"]).trim_end(),
        "[\n{\"event_name\":\"CreateKey\",\"read_only\":false}\n]"
    );
}

#[test]
fn the_root_key_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let file = home.data().join("root.key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.run(&["kms", "list-keys"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("0600"), "{}", ran.stderr);
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let home = Home::new();
    let ran = home.run(&["ingest", "no/such/folder"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("no/such/folder"), "{}", ran.stderr);
}
