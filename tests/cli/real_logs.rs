//! CloudTrail's own files: every record a row, none twice, all of them rebuilt from columns.

use serde_json::json;

use crate::support::{Home, shared};

#[test]
fn a_real_trail_is_ingested_once_and_without_loss() {
    let Some(trail) = shared("stratus-2023") else { return };
    let home = Home::new();

    let report = home.json(&["ingest", trail.to_str().unwrap()]);
    assert_eq!(report["records"], 1289);
    assert_eq!(report["rows"], 1289);
    assert_eq!(report["quarantined"], json!([]));
    let kms = "select count(*) from events where event_source='kms.amazonaws.com'";
    assert_eq!(home.ok(&["query", kms, "--format", "csv"]), "count(*)\n98\n");

    let again = home.json(&["ingest", trail.to_str().unwrap()]);
    assert_eq!((&again["records"], &again["rows"]), (&json!(0), &json!(0)));
    assert_eq!(home.rows("select count(*) as n from records"), [json!({"n": 1289})]);
}

#[test]
fn nearly_every_real_record_is_rebuilt_from_its_columns() {
    let Some(trail) = shared("stratus-2023") else { return };
    let home = Home::new();
    home.ok(&["ingest", trail.to_str().unwrap()]);
    let rebuilt = home
        .rows("select raw is null as rebuilt, count(*) as n from records group by 1")
        .iter()
        .filter(|row| row["rebuilt"] == true)
        .map(|row| row["n"].as_i64().unwrap())
        .sum::<i64>();
    assert!(rebuilt * 100 >= 1289 * 99, "{rebuilt} of 1289 rebuilt from columns");

    let verdict = home.json(&["verify", "lake"]);
    assert_eq!(verdict["verdict"], "OK", "{verdict}");
    assert_eq!(verdict["findings"], json!([]));
    assert_eq!(verdict["checked"]["rows"], 1289);
}

#[test]
fn every_published_version_of_the_record_goes_through() {
    let (Some(versions), Some(examples)) = (shared("event-versions"), shared("kms-examples"))
    else {
        return;
    };
    let home = Home::new();
    let report = home.json(&["ingest", versions.to_str().unwrap(), examples.to_str().unwrap()]);
    assert_eq!(report["quarantined"], json!([]), "{report}");
    assert_eq!(report["records"], report["rows"]);
    let versions = home.rows("select distinct event_version from records order by 1");
    assert!(versions.len() >= 10, "{versions:?}");
    assert_eq!(home.json(&["verify", "lake"])["verdict"], "OK");
}
