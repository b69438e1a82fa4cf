//! Multi-Region keys: one id and one material in several Regions, everything else each key's own.

use keytrail_kms::{Caller, KmsError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::import::Parameters;
use crate::support::{Bench, DAY_NS, HELLO, text, with};

/// The Regions of the bench: the primary key's of most tests, and two for replicas.
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-2"];

/// A bench, as its root user in any Region.
struct World {
    bench: Bench,
}

impl World {
    fn new() -> Self {
        Self { bench: Bench::new() }
    }

    fn root_in(&self, region: usize) -> Caller {
        self.bench.root().in_region(REGIONS[region].parse().unwrap())
    }

    fn try_in(&self, region: usize, operation: &str, input: &Value) -> Result<Value, KmsError> {
        self.bench.call_as(&self.root_in(region), operation, &input.to_string())
    }

    #[track_caller]
    fn call_in(&self, region: usize, operation: &str, input: &Value) -> Value {
        let answer = self.try_in(region, operation, input);
        answer.unwrap_or_else(|no| panic!("{operation} {input} in {}: {no}", REGIONS[region]))
    }

    #[track_caller]
    fn refused_in(&self, region: usize, operation: &str, input: &Value, expected: &str) {
        let refused = self.try_in(region, operation, input).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{operation} {input}");
        assert_eq!(refused.http_status(), 400);
    }

    /// A primary key in the first Region, made as said; its `{"KeyId": …}`.
    fn primary(&self, input: &Value) -> Value {
        let created = self.call_in(0, "CreateKey", &with(input, json!({"MultiRegion": true})));
        json!({"KeyId": created["KeyMetadata"]["KeyId"]})
    }

    /// A key with a replica in each of these Regions.
    fn family(&self, replicas: &[usize]) -> Value {
        let key = self.primary(&json!({}));
        for region in replicas {
            self.replicate(&key, *region);
        }
        key
    }

    fn replicate(&self, key: &Value, region: usize) {
        let input = with(key, json!({"ReplicaRegion": REGIONS[region]}));
        self.call_in(0, "ReplicateKey", &input);
    }

    fn metadata(&self, region: usize, key: &Value) -> Value {
        self.call_in(region, "DescribeKey", key)["KeyMetadata"].clone()
    }

    fn encrypt(&self, region: usize, key: &Value) -> Value {
        let sealed = self.call_in(region, "Encrypt", &with(key, json!({"Plaintext": HELLO})));
        json!({"CiphertextBlob": sealed["CiphertextBlob"]})
    }

    #[track_caller]
    fn opens(&self, region: usize, blob: &Value) {
        assert_eq!(self.call_in(region, "Decrypt", blob)["Plaintext"], HELLO);
    }

    /// All that can be told about all keys, in all Regions.
    fn view(&self) -> Value {
        let told = |region: usize, key: &Value| {
            let key = json!({"KeyId": key["KeyId"]});
            let all = with(&key, json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}));
            json!({
                "metadata": self.metadata(region, &key),
                "policy": self.call_in(region, "GetKeyPolicy", &key),
                "rotation": self.try_in(region, "GetKeyRotationStatus", &key).ok(),
                "materials": self.call_in(region, "ListKeyRotations", &all),
                "last use": self.call_in(region, "GetKeyLastUsage", &key),
            })
        };
        let regions = (0..REGIONS.len()).map(|region| {
            let keys = self.call_in(region, "ListKeys", &json!({}));
            let keys = keys["Keys"].as_array().unwrap().iter().map(|key| told(region, key));
            keys.collect::<Vec<_>>()
        });
        json!(regions.collect::<Vec<_>>())
    }

    /// Names of the last records, with their Regions.
    fn last_records(&self, count: usize) -> Vec<(String, String)> {
        let records = self.bench.records();
        let last = records[records.len() - count..].iter();
        last.map(|it| (text(it, "eventName").to_owned(), text(it, "awsRegion").to_owned()))
            .collect()
    }
}

fn arn(region: usize, key: &Value) -> String {
    format!("arn:aws:kms:{}:111122223333:key/{}", REGIONS[region], text(key, "KeyId"))
}

/// What `DescribeKey` says about the family.
fn configuration(kind: &str, key: &Value, primary: usize, replicas: &[usize]) -> Value {
    let key = |region: &usize| json!({"Arn": arn(*region, key), "Region": REGIONS[*region]});
    json!({
        "MultiRegionKeyType": kind,
        "PrimaryKey": key(&primary),
        "ReplicaKeys": replicas.iter().map(key).collect::<Vec<_>>(),
    })
}

#[test]
fn a_replica_has_the_id_and_the_material_of_its_primary_key() {
    let world = World::new();
    let key = world.primary(&json!({"Description": "here"}));
    assert!(text(&key, "KeyId").starts_with("mrk-") && text(&key, "KeyId").len() == 36);
    let alone = world.metadata(0, &key);
    assert_eq!(alone["MultiRegion"], true);
    assert_eq!(alone["MultiRegionConfiguration"], configuration("PRIMARY", &key, 0, &[]));
    let from_primary = world.encrypt(0, &key);

    let input = with(&key, json!({"ReplicaRegion": REGIONS[1]}));
    let answer = world.call_in(0, "ReplicateKey", &input);
    let told = &answer["ReplicaKeyMetadata"];
    assert_eq!((&told["KeyState"], &told["Enabled"]), (&json!("Creating"), &json!(false)));
    assert_eq!((&told["Arn"], &told["CurrentKeyMaterialId"]), (&json!(arn(1, &key)), &Value::Null));
    assert_eq!(answer["ReplicaTags"], json!([]));
    assert!(text(&answer, "ReplicaPolicy").contains("Enable IAM User Permissions"));

    let [primary, replica] = [0, 1].map(|region| world.metadata(region, &key));
    assert_eq!(primary["MultiRegionConfiguration"], configuration("PRIMARY", &key, 0, &[1]));
    assert_eq!(replica["MultiRegionConfiguration"], configuration("REPLICA", &key, 0, &[1]));
    assert_eq!(primary["CurrentKeyMaterialId"], replica["CurrentKeyMaterialId"]);
    assert_eq!((&replica["KeyState"], &replica["Description"]), (&json!("Enabled"), &json!("")));

    world.opens(1, &from_primary);
    world.opens(0, &world.encrypt(1, &key));
    let named = with(&from_primary, json!({"KeyId": arn(1, &key)}));
    world.opens(1, &named);
    let elsewhere = "NotFoundException: Invalid arn us-east-1";
    world.refused_in(1, "Decrypt", &with(&named, json!({"KeyId": arn(0, &key)})), elsewhere);
    let nowhere = "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not \
                   exist in this region, or you are not allowed to access.";
    world.refused_in(2, "Decrypt", &from_primary, nowhere);
}

#[test]
fn every_kind_of_key_can_be_replicated() {
    let world = World::new();
    let kind = |spec: &str, usage: &str| json!({"KeySpec": spec, "KeyUsage": usage});
    let key = world.primary(&kind("ECC_NIST_P256", "SIGN_VERIFY"));
    world.replicate(&key, 1);
    let message = json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let signed = world.call_in(1, "Sign", &with(&key, message.clone()));
    let input = with(&with(&key, message), json!({"Signature": signed["Signature"]}));
    assert_eq!(world.call_in(0, "Verify", &input)["SignatureValid"], true);

    let key = world.primary(&kind("HMAC_256", "GENERATE_VERIFY_MAC"));
    world.replicate(&key, 1);
    let message = with(&key, json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}));
    let macs = [0, 1].map(|region| world.call_in(region, "GenerateMac", &message)["Mac"].clone());
    assert_eq!(macs[0], macs[1]);

    let key = world.primary(&kind("RSA_2048", "ENCRYPT_DECRYPT"));
    world.replicate(&key, 1);
    let keys =
        [0, 1].map(|region| world.call_in(region, "GetPublicKey", &key)["PublicKey"].clone());
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn everything_but_id_kind_material_and_rotation_is_each_keys_own() {
    let world = World::new();
    let key = world.primary(&json!({"Tags": [{"TagKey": "a", "TagValue": "1"}]}));
    let input = json!({"ReplicaRegion": REGIONS[1], "Description": "there",
        "Tags": [{"TagKey": "b", "TagValue": "2"}]});
    let answer = world.call_in(0, "ReplicateKey", &with(&key, input));
    assert_eq!(answer["ReplicaTags"], json!([{"TagKey": "b", "TagValue": "2"}]));
    let tags =
        |region| world.call_in(region, "ListResourceTags", &key)["Tags"][0]["TagKey"].clone();
    assert_eq!((tags(0), tags(1)), (json!("a"), json!("b")));
    assert_eq!(world.metadata(1, &key)["Description"], "there");

    for region in [0, 1] {
        let alias = json!({"AliasName": "alias/a", "TargetKeyId": key["KeyId"]});
        world.call_in(region, "CreateAlias", &alias);
    }
    world.call_in(0, "DisableKey", &key);
    assert_eq!(world.metadata(1, &json!({"KeyId": "alias/a"}))["KeyState"], "Enabled");
    assert!(world.try_in(0, "Encrypt", &with(&key, json!({"Plaintext": HELLO}))).is_err());
    let blob = world.encrypt(1, &key);
    let used = |region| world.call_in(region, "GetKeyLastUsage", &key)["KeyLastUsage"].clone();
    assert_eq!((&used(0), &used(1)["Operation"]), (&json!({}), &json!("Encrypt")));

    let grant = json!({"GranteePrincipal": "arn:aws:iam::111122223333:user/a",
        "Operations": ["Decrypt"]});
    world.call_in(1, "CreateGrant", &with(&key, grant));
    let grants = |region| world.call_in(region, "ListGrants", &key)["Grants"].clone();
    assert_eq!(grants(0), json!([]));
    assert_eq!(grants(1)[0]["KeyId"], arn(1, &key));
    world.opens(1, &blob);
}

#[test]
fn what_cannot_be_replicated_is_refused() {
    let world = World::new();
    let key = world.family(&[1]);
    let to = |key: &Value, region: &str| with(key, json!({"ReplicaRegion": region}));
    let single = json!({"KeyId": world.bench.key()});
    let no_primary = |region, key: &Value| {
        format!(
            "UnsupportedOperationException: {} is not a multi-region primary key.",
            arn(region, key)
        )
    };
    world.refused_in(0, "ReplicateKey", &to(&single, REGIONS[1]), &no_primary(0, &single));
    world.refused_in(1, "ReplicateKey", &to(&key, REGIONS[2]), &no_primary(1, &key));
    for region in [0, 1] {
        let text = format!("AlreadyExistsException: Key '{}' already exists", arn(region, &key));
        world.refused_in(0, "ReplicateKey", &to(&key, REGIONS[region]), &text);
    }
    let text = "UnsupportedOperationException: There are no keys in mars-north-1 here.";
    world.refused_in(0, "ReplicateKey", &to(&key, "mars-north-1"), text);
    let refused = world.try_in(0, "ReplicateKey", &to(&key, "US EAST")).unwrap_err();
    assert!(refused.to_string().contains("at 'replicaRegion' failed"), "{refused}");
    let absent = json!({"KeyId": "mrk-00000000000000000000000000000000"});
    let text = format!("NotFoundException: Key '{}' does not exist", arn(0, &absent));
    world.refused_in(0, "ReplicateKey", &to(&absent, REGIONS[2]), &text);

    let nobody = r#"{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/x"},
        "Action": "kms:*", "Resource": "*"}]}"#;
    let locked = with(&to(&key, REGIONS[2]), json!({"Policy": nobody}));
    let text = "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in \
                the future.";
    world.refused_in(0, "ReplicateKey", &locked, text);
    world.call_in(0, "DisableKey", &key);
    let text = format!("DisabledException: {} is disabled.", arn(0, &key));
    world.refused_in(0, "ReplicateKey", &to(&key, REGIONS[2]), &text);
    world.call_in(0, "EnableKey", &key);
    let forced = with(&locked, json!({"BypassPolicyLockoutSafetyCheck": true}));
    let answer = world.call_in(0, "ReplicateKey", &forced);
    assert_eq!(text_of(&answer, "ReplicaPolicy"), nobody);
    assert!(world.try_in(2, "DescribeKey", &key).is_err(), "its policy lets nobody in");
}

fn text_of(value: &Value, name: &str) -> String {
    text(value, name).to_owned()
}

#[test]
fn replicating_takes_a_permission_here_and_one_there() {
    let world = World::new();
    let key = world.primary(&json!({}));
    let replicate = |user: &Caller, region: usize, tags: &Value| {
        let input = with(&key, json!({"ReplicaRegion": REGIONS[region], "Tags": tags}));
        world.bench.call_as(user, "ReplicateKey", &input.to_string())
    };
    let replicates = r#"{"Effect": "Allow", "Action": "kms:ReplicateKey", "Resource": "*",
        "Condition": {"StringEquals": {"kms:ReplicaRegion": "eu-west-1"}}}"#;
    let creates = r#"{"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*", "Condition": {
        "StringEquals": {"aws:RequestedRegion": "eu-west-1", "kms:MultiRegionKeyType": "REPLICA",
            "kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyOrigin": "AWS_KMS"},
        "Bool": {"kms:MultiRegion": "true"}}}"#;
    let denied = |user: &str, action: &str, resource: &str| {
        format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:user/{user} is not authorized to perform: {action} \
             on resource: {resource} because no identity-based policy allows the {action} action"
        )
    };
    let here = world.bench.user("here", replicates);
    let refused = replicate(&here, 1, &Value::Null).unwrap_err();
    assert_eq!(refused.to_string(), denied("here", "kms:CreateKey", "*"));
    let record: Value = serde_json::from_str(&world.bench.last_record()).unwrap();
    assert_eq!((&record["requestParameters"], &record["resources"]), (&Value::Null, &Value::Null));
    let there = world.bench.user("there", creates);
    let refused = replicate(&there, 1, &Value::Null).unwrap_err();
    assert_eq!(refused.to_string(), denied("there", "kms:ReplicateKey", &arn(0, &key)));
    let both = world.bench.user("both", &format!("{replicates}, {creates}"));
    let refused = replicate(&both, 2, &Value::Null).unwrap_err();
    assert_eq!(refused.to_string(), denied("both", "kms:ReplicateKey", &arn(0, &key)));
    let tags = json!([{"TagKey": "a", "TagValue": ""}]);
    let refused = replicate(&both, 1, &tags).unwrap_err();
    assert_eq!(refused.to_string(), denied("both", "kms:TagResource", "*"));
    replicate(&both, 1, &Value::Null).unwrap();
    // Only replicas are allowed there.
    let primary = world.bench.call_as(
        &both.in_region(REGIONS[1].parse().unwrap()),
        "CreateKey",
        r#"{"MultiRegion": true}"#,
    );
    assert!(primary.is_err());
}

#[test]
fn a_rotation_of_the_primary_key_reaches_its_replicas() {
    let world = World::new();
    let key = world.family(&[1, 2]);
    let before = world.encrypt(1, &key);
    world.call_in(0, "EnableKeyRotation", &with(&key, json!({"RotationPeriodInDays": 90})));
    let synchronized = |names: &[&str]| {
        let regions = ["ap-southeast-2", "eu-west-1", "us-east-1"];
        names
            .iter()
            .zip(regions)
            .map(|(name, region)| ((*name).to_owned(), region.to_owned()))
            .collect::<Vec<_>>()
    };
    let sync = "SynchronizeMultiRegionKey";
    assert_eq!(world.last_records(3), synchronized(&[sync, sync, "EnableKeyRotation"]));
    let status = |region| world.call_in(region, "GetKeyRotationStatus", &key);
    assert_eq!(status(1)["NextRotationDate"], status(0)["NextRotationDate"]);
    world.bench.advance(90 * DAY_NS);
    let current = |region| world.metadata(region, &key)["CurrentKeyMaterialId"].clone();
    let automatic = [0, 1, 2].map(current);
    assert!(automatic.iter().all(|id| *id == automatic[0]));
    let after = world.encrypt(2, &key);
    world.call_in(0, "RotateKeyOnDemand", &key);
    assert_eq!(world.last_records(3), synchronized(&[sync, sync, "RotateKey"]));
    assert_ne!(current(1), automatic[1]);
    for region in [0, 1, 2] {
        world.opens(region, &before);
        world.opens(region, &after);
        let rotations = world.call_in(region, "ListKeyRotations", &key)["Rotations"].clone();
        let kinds = rotations.as_array().unwrap().iter().map(|it| text(it, "RotationType"));
        assert_eq!(kinds.collect::<Vec<_>>(), ["AUTOMATIC", "ON_DEMAND"]);
        assert_eq!(status(region)["KeyRotationEnabled"], true);
    }
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        let text = format!(
            "UnsupportedOperationException: {} is not a multi-region primary key.",
            arn(1, &key)
        );
        world.refused_in(1, operation, &key, &text);
    }
    world.call_in(0, "DisableKeyRotation", &key);
    assert_eq!(status(2)["KeyRotationEnabled"], false);
}

#[test]
fn the_primary_key_can_be_another() {
    let world = World::new();
    let key = world.family(&[1, 2]);
    world.call_in(0, "EnableKeyRotation", &with(&key, json!({"RotationPeriodInDays": 90})));
    let to = |region: usize| with(&key, json!({"PrimaryRegion": REGIONS[region]}));
    assert_eq!(world.call_in(0, "UpdatePrimaryRegion", &to(1)), json!({}));
    let twice = "UpdatePrimaryRegion".to_owned();
    let both = [(twice.clone(), REGIONS[1].to_owned()), (twice, REGIONS[0].to_owned())];
    assert_eq!(world.last_records(2), both);
    let records = world.bench.records();
    let [.., new, old] = &records[..] else { panic!("two records") };
    assert_eq!(old["requestID"], new["requestID"]);
    assert_ne!(old["eventID"], new["eventID"]);

    for (region, kind) in [(0, "REPLICA"), (1, "PRIMARY"), (2, "REPLICA")] {
        let told = world.metadata(region, &key)["MultiRegionConfiguration"].clone();
        assert_eq!(told, configuration(kind, &key, 1, &[2, 0]));
    }
    // From now on it is the other one that is rotated and replicated.
    world.bench.advance(90 * DAY_NS);
    world.call_in(0, "ListKeys", &json!({}));
    let records = world.bench.records();
    let rotated = records.iter().find(|record| record["eventName"] == "RotateKey").unwrap();
    assert_eq!(rotated["awsRegion"], REGIONS[1]);
    world.call_in(1, "RotateKeyOnDemand", &key);
    let text = format!(
        "UnsupportedOperationException: {} is not a multi-region primary key.",
        arn(0, &key)
    );
    world.refused_in(0, "UpdatePrimaryRegion", &to(2), &text);
    let text =
        format!("UnsupportedOperationException: {} is the primary key already.", arn(1, &key));
    world.refused_in(1, "UpdatePrimaryRegion", &to(1), &text);
    world.call_in(2, "DisableKey", &key);
    let text = format!("DisabledException: {} is disabled.", arn(2, &key));
    world.refused_in(1, "UpdatePrimaryRegion", &to(2), &text);
    let lone = world.primary(&json!({}));
    let text = format!("NotFoundException: Key '{}' does not exist", arn(1, &lone));
    world.refused_in(
        0,
        "UpdatePrimaryRegion",
        &with(&lone, json!({"PrimaryRegion": REGIONS[1]})),
        &text,
    );
}

#[test]
fn changing_the_primary_key_takes_the_permission_on_both() {
    let world = World::new();
    let key = world.family(&[1]);
    let input = with(&key, json!({"PrimaryRegion": REGIONS[1]})).to_string();
    let statement = |region: &str| {
        format!(
            r#"{{"Effect": "Allow", "Action": "kms:UpdatePrimaryRegion", "Resource": "arn:aws:kms:{region}:*:key/*",
               "Condition": {{"StringEquals": {{"kms:PrimaryRegion": "eu-west-1"}}}}}}"#
        )
    };
    let half = world.bench.user("half", &statement(REGIONS[0]));
    let refused = world.bench.call_as(&half, "UpdatePrimaryRegion", &input).unwrap_err();
    assert!(refused.to_string().contains(&arn(1, &key)), "{refused}");
    let whole = world.bench.user("whole", &statement("*"));
    world.bench.call_as(&whole, "UpdatePrimaryRegion", &input).unwrap();
}

#[test]
fn a_primary_key_is_deleted_after_its_replicas() {
    let world = World::new();
    let key = world.family(&[1, 2]);
    let blob = world.encrypt(0, &key);
    let week = with(&key, json!({"PendingWindowInDays": 7}));
    let scheduled = world.call_in(0, "ScheduleKeyDeletion", &week);
    let expected = json!({"KeyId": arn(0, &key), "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 7});
    assert_eq!(scheduled, expected);
    let told = world.metadata(0, &key);
    assert_eq!((&told["KeyState"], &told["DeletionDate"]), (&expected["KeyState"], &Value::Null));
    assert_eq!(told["PendingDeletionWindowInDays"], 7);
    let text = format!("KMSInvalidStateException: {} is pending replica deletion.", arn(0, &key));
    world.refused_in(0, "Decrypt", &blob, &text);
    world.refused_in(0, "ScheduleKeyDeletion", &week, &text);
    world.opens(1, &blob);

    world.call_in(1, "ScheduleKeyDeletion", &week);
    assert_eq!(world.metadata(1, &key)["KeyState"], "PendingDeletion");
    world.bench.advance(8 * DAY_NS);
    assert!(world.try_in(1, "DescribeKey", &key).is_err());
    assert_eq!(world.metadata(0, &key)["KeyState"], "PendingReplicaDeletion", "one is left");
    let told = world.metadata(2, &key)["MultiRegionConfiguration"].clone();
    assert_eq!(told, configuration("REPLICA", &key, 0, &[2]));
    world.opens(2, &blob);
    // A primary key that stays is disabled, and takes its time anew when it is to go after all.
    world.call_in(0, "CancelKeyDeletion", &key);
    assert_eq!(world.metadata(0, &key)["KeyState"], "Disabled");
    world.call_in(0, "ScheduleKeyDeletion", &week);

    world.call_in(2, "ScheduleKeyDeletion", &week);
    world.bench.advance(7 * DAY_NS);
    let told = world.metadata(0, &key);
    assert_eq!(told["KeyState"], "PendingDeletion");
    let days = (told["DeletionDate"].as_f64().unwrap() - world.now()) / 86_400.0;
    assert!((6.9..=7.0).contains(&days), "{days} days from the end of the last replica");
    world.bench.advance(7 * DAY_NS);
    assert!(world.try_in(0, "DescribeKey", &key).is_err());
    let deleted = world.bench.records();
    let deleted = deleted.iter().filter(|record| record["eventName"] == "DeleteKey");
    let regions = deleted.map(|record| record["awsRegion"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(regions, [REGIONS[1], REGIONS[2], REGIONS[0]]);
}

impl World {
    /// The time of the engine, in seconds since 1970.
    fn now(&self) -> f64 {
        let nanos = self.bench.engine().now().unix_nanos();
        std::time::Duration::from_nanos(nanos).as_secs_f64()
    }
}

#[test]
fn the_material_of_a_family_outlives_each_of_its_keys_but_not_all() {
    let mut world = World::new();
    let key = world.family(&[1]);
    let blob = world.encrypt(0, &key);
    world.call_in(0, "UpdatePrimaryRegion", &with(&key, json!({"PrimaryRegion": REGIONS[1]})));
    world.call_in(0, "ScheduleKeyDeletion", &with(&key, json!({"PendingWindowInDays": 7})));
    world.bench.advance(8 * DAY_NS);
    world.opens(1, &blob);
    world.bench.reopen(|_| ());
    world.opens(1, &blob);
    world.replicate_from(1, &key, 0);
    world.opens(0, &blob);
}

impl World {
    fn replicate_from(&self, primary: usize, key: &Value, region: usize) {
        let input = with(key, json!({"ReplicaRegion": REGIONS[region]}));
        self.call_in(primary, "ReplicateKey", &input);
    }
}

#[test]
fn imported_material_comes_into_each_key_of_a_family_and_is_the_same() {
    let world = World::new();
    let key = world.primary(&json!({"Origin": "EXTERNAL"}));
    let id = text(&key, "KeyId");
    let pending =
        |region| format!("KMSInvalidStateException: {} is pending import.", arn(region, &key));
    let to_replica = with(&key, json!({"ReplicaRegion": REGIONS[1]}));
    world.refused_in(0, "ReplicateKey", &to_replica, &pending(0));
    let parameters = |region| Parameters::to(&world.bench, &world.root_in(region), id);
    let (here, state) =
        (parameters(0), |region| text_of(&world.metadata(region, &key), "KeyState"));
    world.call_in(0, "ImportKeyMaterial", &here.request(&[1; 32]));
    let blob = world.encrypt(0, &key);

    world.call_in(0, "ReplicateKey", &to_replica);
    assert_eq!(state(1), "PendingImport");
    world.refused_in(1, "Decrypt", &blob, &pending(1));
    let there = parameters(1);
    for wrong in [there.request(&[2; 32]), there.new_one(&[2; 32])] {
        let refused = world.try_in(1, "ImportKeyMaterial", &wrong).unwrap_err();
        assert!(refused.to_string().starts_with("IncorrectKeyMaterialException"), "{refused}");
    }
    let refused = world.try_in(1, "ImportKeyMaterial", &here.request(&[1; 32])).unwrap_err();
    assert_eq!(refused.to_string(), "InvalidImportTokenException", "a token is for one key");
    world.call_in(1, "ImportKeyMaterial", &there.new_one(&[1; 32]));
    assert_eq!(state(1), "Enabled");
    world.opens(1, &blob);
    // Each has its own: one may lose it alone, and it comes back.
    world.call_in(0, "DeleteImportedKeyMaterial", &key);
    assert_eq!((state(0), state(1)), ("PendingImport".to_owned(), "Enabled".to_owned()));
    world.opens(1, &blob);
    world.call_in(0, "ImportKeyMaterial", &here.request(&[1; 32]));
    world.opens(0, &blob);
}

#[test]
fn a_family_rotates_to_imported_material_when_all_have_it() {
    let world = World::new();
    let key = world.primary(&json!({"Origin": "EXTERNAL"}));
    let id = text(&key, "KeyId");
    let parameters = |region| Parameters::to(&world.bench, &world.root_in(region), id);
    let here = parameters(0);
    world.call_in(0, "ImportKeyMaterial", &here.request(&[1; 32]));
    world.replicate(&key, 1);
    let there = parameters(1);
    world.call_in(1, "ImportKeyMaterial", &there.request(&[1; 32]));

    world.call_in(0, "ImportKeyMaterial", &here.new_one(&[2; 32]));
    let waiting = || {
        let input = with(&key, json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}));
        let all = world.call_in(0, "ListKeyRotations", &input);
        text_of(&all["Rotations"][1], "KeyMaterialState")
    };
    assert_eq!(waiting(), "PENDING_MULTI_REGION_IMPORT_AND_ROTATION");
    let text = format!(
        "KMSInvalidStateException: The key material pending rotation for the key {} is not imported into all of its \
         replicas.",
        arn(0, &key)
    );
    world.refused_in(0, "RotateKeyOnDemand", &key, &text);
    world.call_in(1, "ImportKeyMaterial", &there.request(&[2; 32]));
    assert_eq!(waiting(), "PENDING_ROTATION");
    let before = world.metadata(1, &key)["CurrentKeyMaterialId"].clone();
    world.call_in(0, "RotateKeyOnDemand", &key);
    let [one, other] =
        [0, 1].map(|region| world.metadata(region, &key)["CurrentKeyMaterialId"].clone());
    assert!(one == other && one != before);
    world.opens(0, &world.encrypt(1, &key));

    // Material that waits and is taken back waits nowhere.
    world.call_in(0, "ImportKeyMaterial", &here.new_one(&[3; 32]));
    let all = with(&key, json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}));
    let count = |region| {
        let all = world.call_in(region, "ListKeyRotations", &all);
        all["Rotations"].as_array().unwrap().len()
    };
    assert_eq!((count(0), count(1)), (3, 3));
    let listed = world.call_in(0, "ListKeyRotations", &all);
    let gone = json!({"KeyMaterialId": listed["Rotations"][2]["KeyMaterialId"]});
    world.call_in(0, "DeleteImportedKeyMaterial", &with(&key, gone));
    assert_eq!((count(0), count(1)), (2, 2));
}

impl World {
    /// Material keys that are there: slots of the file that are not free (`schemas/sealed-state.md`).
    fn material_keys(&self) -> usize {
        let file = std::fs::read(self.bench.data().join("keys/materials")).unwrap();
        file.chunks(128).skip(1).filter(|slot| slot.iter().any(|byte| *byte != 0)).count()
    }
}

#[test]
fn what_no_key_of_a_family_needs_any_more_is_erased() {
    let world = World::new();
    let key = world.family(&[1, 2]);
    world.call_in(0, "RotateKeyOnDemand", &key);
    assert_eq!(world.material_keys(), 2, "one for each material, whatever the number of keys");
    let week = with(&key, json!({"PendingWindowInDays": 7}));
    for (region, left) in [(1, 2), (2, 2), (0, 0)] {
        world.call_in(region, "ScheduleKeyDeletion", &week);
        world.bench.advance(7 * DAY_NS);
        world.call_in(region, "ListKeys", &json!({}));
        assert_eq!(world.material_keys(), left, "after the end of the key in {}", REGIONS[region]);
    }

    let key = world.primary(&json!({"Origin": "EXTERNAL"}));
    let id = text(&key, "KeyId");
    let parameters = |region| Parameters::to(&world.bench, &world.root_in(region), id);
    let here = parameters(0);
    world.call_in(0, "ImportKeyMaterial", &here.request(&[1; 32]));
    world.replicate(&key, 1);
    let there = parameters(1);
    world.call_in(1, "ImportKeyMaterial", &there.request(&[1; 32]));
    let waiting = world.call_in(0, "ImportKeyMaterial", &here.new_one(&[2; 32]));
    world.call_in(1, "ImportKeyMaterial", &there.request(&[2; 32]));
    assert_eq!(world.material_keys(), 4, "imported material is each key's own");
    let waiting = json!({"KeyMaterialId": waiting["KeyMaterialId"]});
    world.call_in(0, "DeleteImportedKeyMaterial", &with(&key, waiting));
    assert_eq!(world.material_keys(), 2, "what waited is gone everywhere");
    world.call_in(1, "DeleteImportedKeyMaterial", &key);
    assert_eq!(world.material_keys(), 1);
}

#[test]
fn policies_can_tell_primary_keys_from_replicas() {
    let world = World::new();
    let key = world.family(&[1]);
    let single = json!({"KeyId": world.bench.key()});
    let user = world.bench.user(
        "alice",
        r#"{"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*",
            "Condition": {"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}},
           {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*",
            "Condition": {"Bool": {"kms:MultiRegion": "true"}}}"#,
    );
    let may = |region: usize, operation: &str, key: &Value| {
        let user = user.clone().in_region(REGIONS[region].parse().unwrap());
        let input = with(key, json!({"Plaintext": HELLO}));
        world.bench.call_as(&user, operation, &input.to_string()).is_ok()
    };
    assert!(may(1, "DescribeKey", &key) && !may(0, "DescribeKey", &key));
    assert!(may(1, "Encrypt", &key) && may(0, "Encrypt", &key) && !may(0, "Encrypt", &single));
}

/// What a test does; numbers choose among the keys and Regions there are.
#[derive(Debug, Clone)]
enum Step {
    Create,
    Replicate(usize, usize, usize),
    Move(usize, usize, usize),
    /// An operation that is told nothing but its key.
    Named(&'static str, usize, usize),
    Encrypt(usize, usize),
    Days(u64),
    /// Whether the snapshot is kept.
    Reopen(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (key, region) = (0..4_usize, 0..3_usize);
    let names = [
        "EnableKeyRotation",
        "DisableKeyRotation",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "EnableKey",
        "DisableKey",
    ];
    prop_oneof![
        2 => Just(Step::Create),
        5 => (key.clone(), region.clone(), region.clone())
            .prop_map(|(key, at, to)| Step::Replicate(key, at, to)),
        3 => (key.clone(), region.clone(), region.clone())
            .prop_map(|(key, at, to)| Step::Move(key, at, to)),
        8 => (prop::sample::select(names.to_vec()), key.clone(), region.clone())
            .prop_map(|(name, key, region)| Step::Named(name, key, region)),
        3 => (key, region).prop_map(|(key, region)| Step::Encrypt(key, region)),
        2 => prop_oneof![5..40_u64, 300..400_u64].prop_map(Step::Days),
        2 => any::<bool>().prop_map(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is done to a family: its keys agree, its ciphertexts open wherever there is an enabled key, and reopening
    /// brings the same state back, from the snapshot or from the log alone.
    #[test]
    fn families_agree_and_survive_reopening(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let (mut keys, mut blobs) = (vec![world.family(&[1])], Vec::new());
        for step in &steps {
            let key = |number: &usize| keys[number % keys.len()].clone();
            match step {
                Step::Create => keys.push(world.primary(&json!({}))),
                Step::Replicate(number, at, to) => {
                    let input = with(&key(number), json!({"ReplicaRegion": REGIONS[*to]}));
                    drop(world.try_in(*at, "ReplicateKey", &input));
                }
                Step::Move(number, at, to) => {
                    let input = with(&key(number), json!({"PrimaryRegion": REGIONS[*to]}));
                    drop(world.try_in(*at, "UpdatePrimaryRegion", &input));
                }
                Step::Named(name, number, region) => drop(world.try_in(*region, name, &key(number))),
                Step::Encrypt(number, region) => {
                    let input = with(&key(number), json!({"Plaintext": HELLO}));
                    if let Ok(sealed) = world.try_in(*region, "Encrypt", &input) {
                        blobs.push((key(number), json!({"CiphertextBlob": sealed["CiphertextBlob"]})));
                    }
                }
                Step::Days(days) => world.bench.advance(days * DAY_NS),
                Step::Reopen(keep) => {
                    let before = world.view();
                    world.bench.reopen(|bench| {
                        if !keep {
                            std::fs::remove_file(bench.snapshot_file()).unwrap();
                        }
                    });
                    prop_assert_eq!(world.view(), before);
                }
            }
        }
        for key in &keys {
            let told = (0..3).filter_map(|region| world.try_in(region, "DescribeKey", key).ok());
            let told = told.map(|told| told["KeyMetadata"].clone()).collect::<Vec<_>>();
            for one in &told {
                let family = &one["MultiRegionConfiguration"];
                prop_assert_eq!(&family["PrimaryKey"], &told[0]["MultiRegionConfiguration"]["PrimaryKey"]);
                let there = 1 + family["ReplicaKeys"].as_array().unwrap().len();
                prop_assert_eq!(there, told.len());
                prop_assert_eq!(&one["CurrentKeyMaterialId"], &told[0]["CurrentKeyMaterialId"]);
            }
        }
        for (key, blob) in &blobs {
            for region in 0..3 {
                if world.try_in(region, "DescribeKey", key).is_ok_and(|it| it["KeyMetadata"]["Enabled"] == true) {
                    world.opens(region, blob);
                }
            }
        }
        world.bench.ledger();
    }
}
