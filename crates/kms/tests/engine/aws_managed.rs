//! AWS managed keys: made when they are first looked at or used, used only through their service, managed by nobody.

use keytrail_kms::{Caller, KmsError};
use serde_json::{Value, json};

use crate::records::check_text;
use crate::support::{Bench, DAY_NS, HELLO, call, check_refused, text};

const ALIAS_ARN: &str = "arn:aws:kms:us-east-1:111122223333:alias/aws/s3";

fn describe(bench: &Bench) -> Value {
    call(bench, "DescribeKey", &json!({"KeyId": "alias/aws/s3"}))["KeyMetadata"].clone()
}

/// The alias of S3's key as it is listed.
fn listed(bench: &Bench) -> Value {
    let aliases = call(bench, "ListAliases", &json!({"Limit": 100}));
    let aliases = aliases["Aliases"].as_array().unwrap();
    aliases.iter().find(|alias| alias["AliasArn"] == ALIAS_ARN).unwrap().clone()
}

fn keys(bench: &Bench) -> usize {
    call(bench, "ListKeys", &json!({}))["Keys"].as_array().unwrap().len()
}

fn encrypt(bench: &Bench, caller: &Caller, key: &str) -> Result<Value, KmsError> {
    bench.call_as(caller, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}).to_string())
}

fn code<T>(answer: Result<T, KmsError>) -> String {
    answer.err().unwrap().code().to_string()
}

/// The record before the last `behind` ones.
fn record(bench: &Bench, behind: usize) -> String {
    let records = bench.ledger();
    let records = records.records();
    String::from_utf8(records[records.len() - 1 - behind].to_vec()).unwrap()
}

#[test]
fn a_key_is_made_when_somebody_looks_at_its_alias() {
    let bench = Bench::new();
    assert_eq!(listed(&bench), json!({"AliasName": "alias/aws/s3", "AliasArn": ALIAS_ARN}));
    assert_eq!(keys(&bench), 0);
    let made = describe(&bench);
    check_text(&record(&bench, 1), "create-aws-managed-key");
    check_text(&record(&bench, 0), "describe-aws-managed-key");
    assert_eq!((&made["KeyManager"], &made["Origin"]), (&json!("AWS"), &json!("AWS_KMS")));
    let description = "Default key that protects my S3 objects when no other key is defined";
    assert_eq!((&made["Description"], &made["Enabled"]), (&json!(description), &json!(true)));
    assert_eq!(describe(&bench), made, "there is one");
    let by_arn = call(&bench, "DescribeKey", &json!({"KeyId": ALIAS_ARN}));
    assert_eq!(by_arn["KeyMetadata"], made);
    assert_eq!(listed(&bench)["TargetKeyId"], made["KeyId"]);
    assert_eq!(keys(&bench), 1);
    let none = "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/aws/nothing is not found.";
    check_refused(&bench, "DescribeKey", &json!({"KeyId": "alias/aws/nothing"}), none);
}

#[test]
fn it_is_made_once_by_many_who_look_at_once() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| describe(&bench));
        }
    });
    assert_eq!(keys(&bench), 1);
    let records = bench.records();
    let made = records.iter().filter(|record| record["eventName"] == "CreateKey");
    assert_eq!(made.count(), 1);
}

/// As AWS prints the policy of its keys.
#[test]
fn its_policy_is_the_one_that_aws_writes() {
    let bench = Bench::new();
    describe(&bench);
    let key = json!({"KeyId": describe(&bench)["KeyId"]});
    let policy = call(&bench, "GetKeyPolicy", &key);
    assert_eq!(
        policy["Policy"],
        r#"{
  "Version" : "2012-10-17",
  "Id" : "auto-s3-2",
  "Statement" : [ {
    "Sid" : "Allow access through S3 for all principals in the account that are authorized to use S3",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "111122223333",
        "kms:ViaService" : "s3.us-east-1.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::111122223333:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*" ],
    "Resource" : "*"
  } ]
}"#
    );
}

#[test]
fn nobody_manages_it() {
    let bench = Bench::new();
    let made = describe(&bench);
    let (id, arn) = (text(&made, "KeyId"), text(&made, "Arn"));
    let user = "arn:aws:iam::111122223333:user/alice";
    let policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}"#;
    for (operation, mut input) in [
        ("EnableKey", json!({})),
        ("DisableKey", json!({})),
        ("ScheduleKeyDeletion", json!({})),
        ("CancelKeyDeletion", json!({})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
        ("PutKeyPolicy", json!({"Policy": policy, "BypassPolicyLockoutSafetyCheck": true})),
        ("UpdateKeyDescription", json!({"Description": "mine"})),
        ("EnableKeyRotation", json!({})),
        ("DisableKeyRotation", json!({})),
        ("RotateKeyOnDemand", json!({})),
        ("CreateGrant", json!({"GranteePrincipal": user, "Operations": ["Decrypt"]})),
        ("DeleteImportedKeyMaterial", json!({})),
        ("Encrypt", json!({"Plaintext": HELLO})),
        ("GenerateDataKey", json!({"KeySpec": "AES_256"})),
    ] {
        input["KeyId"] = json!(id);
        let refused = format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:root is not authorized to perform: kms:{operation} on \
             resource: {arn} because no resource-based policy allows the kms:{operation} action"
        );
        check_refused(&bench, operation, &input, &refused);
    }
    let alias = |name: &str| json!({"AliasName": name, "TargetKeyId": id});
    assert_eq!(
        code(bench.call("CreateAlias", &alias("alias/mine").to_string())),
        "AccessDeniedException"
    );
    for operation in ["CreateAlias", "UpdateAlias", "DeleteAlias"] {
        check_refused(&bench, operation, &alias("alias/aws/s3"), "NotAuthorizedException");
    }
    assert_eq!(describe(&bench), made);
}

#[test]
fn its_service_uses_it_for_whoever_calls() {
    let bench = Bench::new();
    // No identity policy speaks of KMS: that S3 may be used is for S3 to decide.
    let alice = bench.user("alice", r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#);
    assert_eq!(code(encrypt(&bench, &alice, "alias/aws/s3")), "NotFoundException");
    let through = |service: &str| alice.clone().via_service(service).unwrap();
    assert_eq!(code(encrypt(&bench, &through("sqs"), "alias/aws/s3")), "NotFoundException");
    assert_eq!(keys(&bench), 0);
    let sealed = encrypt(&bench, &through("s3"), "alias/aws/s3").unwrap();
    check_text(&record(&bench, 0), "encrypt-via-service");
    assert_eq!(keys(&bench), 1);
    let blob = json!({"CiphertextBlob": sealed["CiphertextBlob"]}).to_string();
    let opened = bench.call_as(&through("s3"), "Decrypt", &blob).unwrap();
    assert_eq!(opened["Plaintext"], HELLO);
    for caller in [&alice, &through("sqs"), &bench.root()] {
        assert_eq!(code(bench.call_as(caller, "Decrypt", &blob)), "AccessDeniedException");
        assert_eq!(code(encrypt(&bench, caller, text(&sealed, "KeyId"))), "AccessDeniedException");
    }
    // The call is made in the Region of the caller, and the service stands there.
    let there = through("s3").in_region("eu-west-1".parse().unwrap());
    assert_eq!(code(encrypt(&bench, &there, text(&sealed, "KeyId"))), "NotFoundException");
}

#[test]
fn who_may_not_look_at_it_has_none_made() {
    let bench = Bench::new();
    let look = json!({"KeyId": "alias/aws/s3"}).to_string();
    let nobody = bench.user("nobody", r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#);
    let denied = bench.user(
        "denied",
        r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
           {"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "*"}"#,
    );
    for caller in [&nobody, &denied, &denied.clone().via_service("s3").unwrap()] {
        assert_eq!(code(bench.call_as(caller, "DescribeKey", &look)), "NotFoundException");
        assert_eq!(code(encrypt(&bench, caller, "alias/aws/s3")), "NotFoundException");
    }
    assert_eq!(keys(&bench), 0);
    let viewer = bench
        .user("viewer", r#"{"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"}"#);
    bench.call_as(&viewer, "DescribeKey", &look).unwrap();
    assert_eq!(keys(&bench), 1);
}

#[test]
fn it_rotates_every_year_and_is_remembered() {
    let mut bench = Bench::new();
    let made = describe(&bench);
    let key = json!({"KeyId": made["KeyId"]});
    let s3 = bench.root().via_service("s3").unwrap();
    let sealed = encrypt(&bench, &s3, "alias/aws/s3").unwrap();
    let status = call(&bench, "GetKeyRotationStatus", &key);
    assert_eq!(
        (&status["KeyRotationEnabled"], &status["RotationPeriodInDays"]),
        (&json!(true), &json!(365))
    );
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert_eq!(describe(&bench), made);
    bench.advance(366 * DAY_NS);
    assert_ne!(describe(&bench)["CurrentKeyMaterialId"], made["CurrentKeyMaterialId"]);
    bench.reopen(|_| ());
    let s3 = bench.root().via_service("s3").unwrap();
    let blob = json!({"CiphertextBlob": sealed["CiphertextBlob"]}).to_string();
    let opened = bench.call_as(&s3, "Decrypt", &blob).unwrap();
    assert_eq!(opened["KeyMaterialId"], made["CurrentKeyMaterialId"]);
    assert_eq!(keys(&bench), 1);
}

/// A customer managed key may ask for the service as well.
#[test]
fn conditions_see_the_service_in_between() {
    let bench = Bench::new();
    let condition = r#"{"StringEquals": {"kms:ViaService": "sqs.us-east-1.amazonaws.com"}, "Bool": {"aws:ViaAWSService": "true"},
        "Null": {"aws:SourceIp": "true"}}"#;
    let root = r#""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#;
    let policy = format!(
        r#"{{"Statement": [
            {{"Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*", "Condition": {condition}}},
            {{"Effect": "Allow", {root}, "Action": "kms:PutKeyPolicy", "Resource": "*"}}]}}"#
    );
    let key = bench.key();
    call(&bench, "PutKeyPolicy", &json!({"KeyId": key, "Policy": policy}));
    let root = bench.root();
    encrypt(&bench, &root.clone().via_service("sqs").unwrap(), &key).unwrap();
    for caller in [root.clone().via_service("s3").unwrap(), root] {
        assert_eq!(code(encrypt(&bench, &caller, &key)), "AccessDeniedException");
    }
}

#[test]
fn a_service_is_named_by_a_label_of_dns() {
    let bench = Bench::new();
    for name in ["s3", "a", "kinesis-video", &"a".repeat(63)] {
        assert!(bench.root().via_service(name).is_ok(), "{name}");
    }
    let long = "a".repeat(64);
    for name in ["", "S3", "s3.amazonaws.com", "-s3", "s3-", "s 3", "s\u{fc}", &long] {
        let refused = bench.root().via_service(name).err().unwrap().to_string();
        assert!(
            refused.ends_with(
                "is no name of a service: at most 63 lower-case letters, digits and '-'"
            )
        );
    }
}
