//! Regions of an account: each has its own keys, aliases and lists, and a call sees those of the Region that it is made in.

use keytrail_event::Region;
use keytrail_kms::{Caller, Config, KmsError};
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, config, root_key, text};

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// The root user in the other Region of the bench.
fn elsewhere(bench: &Bench) -> Caller {
    bench.root().in_region(region("eu-west-1"))
}

fn call(bench: &Bench, caller: &Caller, operation: &str, input: &Value) -> Result<Value, KmsError> {
    bench.call_as(caller, operation, &input.to_string())
}

/// A call that must succeed.
#[track_caller]
fn done(bench: &Bench, caller: &Caller, operation: &str, input: &Value) -> Value {
    call(bench, caller, operation, input).unwrap_or_else(|no| panic!("{operation} {input}: {no}"))
}

#[track_caller]
fn refused(bench: &Bench, caller: &Caller, operation: &str, input: &Value, expected: &str) {
    let refused = call(bench, caller, operation, input).unwrap_err();
    assert_eq!(refused.to_string(), expected, "{operation} {input}");
}

#[test]
fn a_key_is_in_the_region_of_the_call_that_made_it_and_in_no_other() {
    let bench = Bench::new();
    let (here, there) = (bench.root(), elsewhere(&bench));
    let created = done(&bench, &there, "CreateKey", &json!({}));
    let (id, arn) = (text(&created["KeyMetadata"], "KeyId"), text(&created["KeyMetadata"], "Arn"));
    assert_eq!(arn, format!("arn:aws:kms:eu-west-1:111122223333:key/{id}"));
    let record: Value = serde_json::from_str(&bench.last_record()).unwrap();
    assert_eq!(record["awsRegion"], "eu-west-1");

    done(&bench, &there, "DescribeKey", &json!({"KeyId": id}));
    let absent = format!(
        "NotFoundException: Key 'arn:aws:kms:us-east-1:111122223333:key/{id}' does not exist"
    );
    refused(&bench, &here, "DescribeKey", &json!({"KeyId": id}), &absent);
    let other_region = "NotFoundException: Invalid arn eu-west-1";
    refused(&bench, &here, "DescribeKey", &json!({"KeyId": arn}), other_region);
    let record: Value = serde_json::from_str(&bench.last_record()).unwrap();
    assert_eq!((&record["awsRegion"], &record["resources"]), (&json!("us-east-1"), &Value::Null));
}

#[test]
fn a_ciphertext_opens_only_where_its_key_is() {
    let bench = Bench::new();
    let (here, there) = (bench.root(), elsewhere(&bench));
    let key = bench.key();
    let sent = done(&bench, &here, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    let blob = json!({"CiphertextBlob": sent["CiphertextBlob"]});
    assert_eq!(done(&bench, &here, "Decrypt", &blob)["Plaintext"], HELLO);
    let text = "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not \
                exist in this region, or you are not allowed to access.";
    refused(&bench, &there, "Decrypt", &blob, text);
}

/// The names of a list's items, page by page of one.
fn listed(bench: &Bench, caller: &Caller, operation: &str, list: &str, name: &str) -> Vec<String> {
    let (mut names, mut input) = (Vec::new(), json!({"Limit": 1}));
    loop {
        let page = done(bench, caller, operation, &input);
        let items = page[list].as_array().unwrap();
        names.extend(items.iter().map(|item| text(item, name).to_owned()));
        match page.get("NextMarker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => return names,
        }
    }
}

#[test]
fn aliases_and_lists_are_of_one_region() {
    let bench = Bench::new();
    let (here, there) = (bench.root(), elsewhere(&bench));
    let mut keys = Vec::new();
    for caller in [&here, &there, &here, &there] {
        let created = done(&bench, caller, "CreateKey", &json!({}));
        keys.push(text(&created["KeyMetadata"], "KeyId").to_owned());
    }
    for (caller, key, name) in [(&here, &keys[0], "a"), (&there, &keys[1], "a")] {
        let alias = json!({"AliasName": format!("alias/{name}"), "TargetKeyId": key});
        done(&bench, caller, "CreateAlias", &alias);
    }
    let far = json!({"AliasName": "alias/far", "TargetKeyId": keys[0]});
    assert!(call(&bench, &there, "CreateAlias", &far).is_err(), "a key is out of reach");
    for (caller, first, second, region) in [(&here, 0, 2, "us-east-1"), (&there, 1, 3, "eu-west-1")]
    {
        let mut own = [keys[first].clone(), keys[second].clone()];
        own.sort();
        assert_eq!(listed(&bench, caller, "ListKeys", "Keys", "KeyId"), own);
        let aliases = listed(&bench, caller, "ListAliases", "Aliases", "AliasArn");
        let own = aliases.iter().filter(|arn| !arn.contains(":alias/aws/"));
        assert_eq!(
            own.collect::<Vec<_>>(),
            [&format!("arn:aws:kms:{region}:111122223333:alias/a")]
        );
        assert!(aliases.iter().all(|arn| arn.contains(region)));
        let described = done(&bench, caller, "DescribeKey", &json!({"KeyId": "alias/a"}));
        assert_eq!(described["KeyMetadata"]["KeyId"], keys[first]);
    }
    done(&bench, &here, "DeleteAlias", &json!({"AliasName": "alias/a"}));
    done(&bench, &there, "DescribeKey", &json!({"KeyId": "alias/a"}));
}

#[test]
fn the_region_is_one_that_policies_can_ask_for() {
    let bench = Bench::new();
    let user = bench.user(
        "alice",
        r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:eu-west-1:*:*"},
           {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}"#,
    );
    let away = user.clone().in_region(region("eu-west-1"));
    let keys = [bench.root(), elsewhere(&bench)].map(|caller| {
        let created = done(&bench, &caller, "CreateKey", &json!({}));
        text(&created["KeyMetadata"], "KeyId").to_owned()
    });
    assert!(call(&bench, &user, "DescribeKey", &json!({"KeyId": keys[0]})).is_err());
    done(&bench, &away, "DescribeKey", &json!({"KeyId": keys[1]}));
    assert!(call(&bench, &user, "ListKeys", &json!({})).is_err());
    done(&bench, &away, "ListKeys", &json!({}));
}

#[test]
fn a_region_that_is_not_configured_is_refused_except_for_the_global_endpoint_of_sts() {
    let bench = Bench::new();
    let lost = bench.root().in_region(region("ap-south-1"));
    let text = "ValidationException: There are no keys in ap-south-1 here.";
    refused(&bench, &lost, "ListKeys", &json!({}), text);
    let mut bench = bench;
    let european = Config { regions: vec![region("eu-west-1")], ..config() };
    bench.close();
    let engine = bench.open_with(european, root_key()).unwrap();
    let root = engine.root_caller().unwrap();
    assert_eq!(root.region().as_str(), "eu-west-1");
    let global = root.in_region(region("us-east-1"));
    assert!(engine.call_sts(&global, "GetCallerIdentity", b"{}").is_ok());
    assert!(engine.call(&global, "ListKeys", b"{}").is_err());
    assert_eq!(engine.config().sts_regions(), [region("eu-west-1"), region("us-east-1")]);
}

#[test]
fn regions_may_be_added_later_and_left_out_while_they_have_no_keys() {
    let mut bench = Bench::new();
    bench.key();
    bench.close();
    let open = |names: &[&str]| {
        let regions = names.iter().map(|name| region(name)).collect();
        bench.open_with(Config { regions, ..config() }, root_key())
    };
    let refused = open(&["eu-west-1"]).err().unwrap();
    assert_eq!(refused.to_string(), "us-east-1 has keys, and is not configured");
    drop(open(&["us-east-1"]).unwrap());
    let engine = open(&["ap-south-1", "us-east-1"]).unwrap();
    let root = engine.root_caller().unwrap();
    assert_eq!(root.region().as_str(), "ap-south-1");
    engine.create_key(&root, &keytrail_kms::CreateKeyRequest::default()).unwrap();
    drop(engine);
    assert!(open(&["us-east-1", "eu-west-1"]).is_err(), "the new one has a key by now");
}
