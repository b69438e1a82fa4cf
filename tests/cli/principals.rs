//! Users, roles and services from the command line, and what policies say about them.

use serde_json::{Value, json};

use crate::support::Home;

const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
    "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}}"#;
const OF_SALES: &str = r#"{"Version": "2012-10-17", "Statement": {"Sid": "Sales", "Effect": "Allow", "Action": "kms:Encrypt",
    "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/dept": "sales"}}}}"#;

/// A home with alice, the role app that she may assume, and what acts as a service.
fn home() -> Home {
    let home = Home::empty();
    home.ok(&["init", "--account", "111122223333"]);
    std::fs::write(home.path().join("trust.json"), TRUST).unwrap();
    std::fs::write(home.path().join("sales.json"), OF_SALES).unwrap();
    home.ok(&["principal", "create", "alice", "--tag", "dept=it"]);
    let role =
        ["principal", "create-role", "app", "--trust", "trust.json", "--policy", "sales.json"];
    home.ok(
        &[&role[..], &["--tag", "dept=hr", "--path", "/batch/", "--max-session", "2h"]].concat()
    );
    home.ok(&["principal", "create", "--service", "backup.amazonaws.com"]);
    home
}

fn listed(home: &Home) -> Vec<Value> {
    home.json(&["principal", "list"]).as_array().unwrap().clone()
}

#[test]
fn principals_are_made_listed_changed_and_deleted() {
    let home = home();
    let list = listed(&home);
    let names = list.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["alice", "role/app", "backup.amazonaws.com"]);
    assert_eq!(list[0]["tags"], "dept=it");
    assert_eq!(list[1]["arn"], "arn:aws:iam::111122223333:role/batch/app");
    assert_eq!((&list[1]["policies"], &list[1]["tags"]), (&json!("sales"), &json!("dept=hr")));
    assert!(list[2]["access_key_ids"].as_str().unwrap().starts_with("AKIA"));

    home.ok(&["principal", "tag", "role/app", "dept=sales", "site=x"]);
    home.ok(&["principal", "untag", "arn:aws:iam::111122223333:role/batch/app", "site"]);
    home.ok(&["principal", "policy", "alice", "sales.json"]);
    home.ok(&["principal", "trust", "role/app", "trust.json"]);
    let list = listed(&home);
    assert_eq!((&list[0]["policies"], &list[1]["tags"]), (&json!("sales"), &json!("dept=sales")));

    for (arguments, text) in [
        (&["principal", "trust", "alice", "trust.json"][..], "only a role has a trust policy"),
        (&["principal", "tag", "backup.amazonaws.com", "a=b"], "a service has no tags"),
        (&["kms", "list-keys", "--principal", "role/app"], "a role calls through its sessions"),
        (&["principal", "delete", "role/none"], "The role with name none cannot be found."),
        (&["principal", "delete", "s3.amazonaws.com"], "has no access keys here"),
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}");
        assert!(ran.stderr.contains(text), "{arguments:?}: {}", ran.stderr);
    }
    for principal in ["role/app", "backup.amazonaws.com", "alice"] {
        home.ok(&["principal", "delete", principal]);
    }
    assert_eq!(listed(&home), [] as [Value; 0]);
    home.ok(&["ingest"]);
    let rows =
        home.rows("select count(*) as n from events where event_source = 'iam.amazonaws.com'");
    assert!(rows[0]["n"].as_i64().unwrap() > 20, "all of it is on record: {rows:?}");
}

#[test]
fn policy_check_speaks_about_roles_services_and_who_may_assume_a_role() {
    let home = home();
    let key = home.kms("create-key", &json!({}));
    let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let check = |principal: &[&str], action: &str, resource: &str| {
        let asked = ["policy", "check", "--action", action, "--key", resource, "--principal"];
        home.run(&[&asked[..], principal].concat())
    };
    let denied = check(&["role/app", "--session", "run1"], "Encrypt", key);
    assert_eq!(denied.code, 1, "{}{}", denied.stdout, denied.stderr);
    assert!(
        denied.stdout.contains("arn:aws:sts::111122223333:assumed-role/app/run1"),
        "{}",
        denied.stdout
    );
    home.ok(&["principal", "tag", "role/app", "dept=sales"]);
    let allowed = check(&["arn:aws:sts::111122223333:assumed-role/app/run1"], "Encrypt", key);
    assert_eq!(allowed.code, 0, "{}{}", allowed.stdout, allowed.stderr);
    assert!(
        allowed.stdout.contains("statement 1 \"Sales\" of the identity policy \"sales\""),
        "{}",
        allowed.stdout
    );

    let role = "arn:aws:iam::111122223333:role/batch/app";
    let assumed = check(&["alice"], "sts:AssumeRole", role);
    assert_eq!(assumed.code, 0, "{}{}", assumed.stdout, assumed.stderr);
    assert!(
        assumed.stdout.contains("statement 1 of the role's trust policy"),
        "{}",
        assumed.stdout
    );
    assert_eq!(check(&["backup.amazonaws.com"], "sts:AssumeRole", role).code, 1);
    assert_eq!(check(&["backup.amazonaws.com"], "Encrypt", key).code, 1);
    let wrong = check(&["alice", "--session", "run1"], "Encrypt", key);
    assert!(wrong.stderr.contains("--session is for roles"), "{}", wrong.stderr);
}
