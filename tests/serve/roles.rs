//! Roles as people use them: a profile in `~/.aws/config` that assumes one. What boto3 does is in `cases/roles.toml`.

use serde_json::{Value, json};

use crate::case::Role;
use crate::clients::{self, Setting};
use crate::endpoint::Endpoint;

/// The real CLI, given nothing but a profile: it asks STS for a session by the source profile's key, and calls with that.
#[test]
fn a_profile_of_the_aws_cli_assumes_its_role_and_records_name_the_session() {
    let mut endpoint = Endpoint::start();
    endpoint.stop();
    let role = Role {
        trust: r#"{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal":
            {"AWS": "arn:aws:iam::111122223333:user/mallory"},
            "Condition": {"StringEquals": {"sts:ExternalId": "contract-7"}}}}"#
            .to_owned(),
        policy: r#"{"Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#
            .to_owned(),
    };
    endpoint.create_role("app", &role);
    endpoint.serve(&[]);
    let (id, secret) = &endpoint.credentials["mallory"];
    let config = format!(
        "[profile mallory]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\
         [profile app]\nrole_arn = arn:aws:iam::111122223333:role/app\nsource_profile = mallory\n\
         role_session_name = tuesday\nexternal_id = contract-7\nduration_seconds = 900\n"
    );
    std::fs::create_dir(endpoint.folder().join(".aws")).unwrap();
    std::fs::write(endpoint.folder().join(".aws/config"), config).unwrap();
    let setting = Setting {
        credentials: Some(Vec::new()),
        region: "us-east-1",
        endpoint: &endpoint.url,
        folder: endpoint.folder(),
    };
    let aws = |profile: &str, arguments: &[&str]| {
        let all = [&["--profile", profile], arguments].concat();
        clients::aws(&setting, &all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let before = endpoint.records_from(0).1;
    let made = aws("app", &["kms", "create-key"]);
    assert_eq!(made.exit_code, Some(0), "{}", made.stderr);
    let key: Value = serde_json::from_str(&made.stdout).unwrap();
    let (records, _) = endpoint.records_from(before);
    let [assumed, created] = &records[..] else { panic!("two records: {records:?}") };
    assert_eq!(assumed["eventName"], "AssumeRole");
    let asked = json!({"roleArn": "arn:aws:iam::111122223333:role/app", "roleSessionName": "tuesday",
        "externalId": "contract-7", "durationSeconds": 900});
    assert_eq!(assumed["requestParameters"], asked);
    assert_eq!(assumed["userIdentity"]["userName"], "mallory");
    let session = "arn:aws:sts::111122223333:assumed-role/app/tuesday";
    assert_eq!(created["eventName"], "CreateKey");
    assert_eq!(created["userIdentity"]["arn"], session);
    let credentials = &assumed["responseElements"]["credentials"];
    assert_eq!(created["userIdentity"]["accessKeyId"], credentials["accessKeyId"]);
    assert_eq!(credentials["sessionToken"], Value::Null, "a token is a secret");

    let who = aws("app", &["sts", "get-caller-identity", "--output", "text", "--query", "Arn"]);
    assert_eq!(who.stdout.trim(), session, "{}", who.stderr);
    let alone = aws(
        "mallory",
        &["kms", "describe-key", "--key-id", key["KeyMetadata"]["KeyId"].as_str().unwrap()],
    );
    assert_eq!(alone.exit_code, Some(clients::EXIT_REFUSED));
    assert!(alone.stderr.contains("AccessDeniedException"), "{}", alone.stderr);
    endpoint.stop();
}
