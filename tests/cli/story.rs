//! `demo` from end to end, and the README's own first steps.

use crate::support::Home;

#[test]
fn the_demo_tells_the_whole_story_and_catches_both_tamperings() {
    let home = Home::empty();
    let story = home.ok(&["demo"]);
    for part in [
        "keytrail audit who-used",
        "keytrail audit last-use",
        "keytrail audit denied",
        "\nOK\n",
        "Tampering, the first",
        "Tampering, the second",
        "All put back",
    ] {
        assert!(story.contains(part), "{part:?} is missing from the demo:\n{story}");
    }
    assert_eq!(story.matches("\nFAILED\n").count(), 2, "{story}");
    let (_, second) = story.split_once("Tampering, the second").unwrap();
    assert!(second.contains("principal_arn"), "the edited column is not named:\n{second}");
    assert!(!home.data().exists(), "the demo touched the data directory");
}

#[test]
fn a_kept_demo_is_a_data_directory_like_any_other() {
    let home = Home::empty();
    home.ok(&["demo", "--keep", home.data().to_str().unwrap()]);
    assert_eq!(home.json(&["verify"])["verdict"], "OK");
    let sources = home.rows("select count(*) as n from sources");
    assert!(sources[0]["n"].as_i64().unwrap() > 1, "{sources:?}");
}

#[test]
fn the_sample_logs_answer_the_readmes_questions() {
    let home = Home::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-logs");
    let report = home.json(&["ingest", sample]);
    assert_eq!(report["quarantined"], serde_json::json!([]));
    assert!(report["duplicates"].as_i64().unwrap() > 0, "{report}");
    for audit in ["who-used", "last-use", "denied"] {
        let rows = home.json(&["audit", audit]);
        assert!(!rows.as_array().unwrap().is_empty(), "{audit} found nothing");
    }
    let context = "select count(*) as n from events \
                   where request_parameters->'encryptionContext'->>'invoice' = '7'";
    assert_eq!(home.rows(context)[0]["n"], 2, "one Encrypt and one Decrypt of invoice 7");
    assert_eq!(home.json(&["verify", "lake"])["verdict"], "OK");
}

#[test]
fn the_readmes_first_steps_work_as_they_are_printed() {
    let home = Home::empty();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-logs");
    let steps: [&[&str]; 7] = [
        &["init"],
        &["ingest", sample],
        &["audit", "who-used", "--since", "30d"],
        &["audit", "last-use"],
        &["audit", "denied"],
        &["query", "select aws_region, count(*) from events group by 1"],
        &["verify"],
    ];
    for step in steps {
        let ran = home.run_plainly(step);
        assert_eq!(ran.code, 0, "{step:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert!(home.path().join("keytrail-data/lake/events/_delta_log").is_dir());
}
