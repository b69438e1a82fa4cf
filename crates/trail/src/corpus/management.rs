//! Keys under management: reads of their metadata, changes, what services and KMS itself do, and
//! calls across accounts.
//!
//! Member names follow the API's with a small first letter; API times inside `requestParameters`
//! and `responseElements` are locale text (`May 21, 2025, 5:47:45 AM`). Denials and other failures
//! are in the module of failures.

use keytrail_event::{AccountId, EventType, Guid, Json, Record, Timestamp, UserIdentity};

use super::draft::{Scene, draft, member, resource, shuffled};
use super::principals::Caller;
use super::random::Random;
use super::usage::{Operation, usage};
use super::world::{Key, KeyState, Purpose, hex, unique_id};

/// A read of metadata: a person in the console, a dashboard, an infrastructure tool.
pub(super) fn metadata_read(scene: &Scene<'_>, caller: Caller, random: &mut Random) -> Record {
    let key = random.pick(&scene.place.keys);
    let (name, parameters) = match random.below(20) {
        0..10 => ("DescribeKey", vec![]),
        10..12 => ("GetKeyPolicy", vec![member("policyName", "default")]),
        12..16 if key.purpose == Purpose::Signing => ("GetPublicKey", vec![]),
        12..14 if key.purpose.is_symmetric() => ("GetKeyRotationStatus", vec![]),
        12..16 => ("ListResourceTags", vec![]),
        16 => ("ListGrants", vec![member("limit", 100)]),
        17 | 18 => return draft(scene, caller, ("kms", "ListAliases"), random),
        _ => return draft(scene, caller, ("kms", "ListKeys"), random),
    };
    let mut record = draft(scene, caller, ("kms", name), random);
    let mut members = vec![member("keyId", key.spoken.as_str())];
    members.extend(parameters);
    record.request_parameters = Some(shuffled(members, random));
    record.resources.push(resource(key));
    record
}

/// A change: of a key, its policy, its alias, its grants.
pub(super) fn change(scene: &Scene<'_>, random: &mut Random) -> Record {
    let key = random.pick(&scene.place.keys);
    let arn = Json::object().with("keyId", key.arn.as_str());
    // A key that is out of use got there by the matching call.
    let (name, members, response) = match (key.state, random.below(8)) {
        (KeyState::Disabled, _) => ("DisableKey", vec![], Some(arn)),
        (KeyState::PendingDeletion, _) => {
            let members = vec![member("pendingWindowInDays", 30)];
            ("ScheduleKeyDeletion", members, Some(scheduled(scene, key)))
        }
        (_, 0) => return key_creation(scene, key, random),
        (_, 1) => return alias_creation(scene, key, random),
        (_, 2) => ("PutKeyPolicy", policy(scene), None),
        (_, 3) => {
            let tag = Json::object().with("tagKey", "owner").with("tagValue", key.subject.as_str());
            ("TagResource", vec![member("tags", vec![tag])], None)
        }
        (_, 4) if key.purpose.is_symmetric() => {
            ("EnableKeyRotation", vec![member("rotationPeriodInDays", 365)], Some(arn))
        }
        (_, 5) => ("EnableKey", vec![], Some(arn)),
        _ => ("CreateGrant", grant(scene, random), Some(arn.with("grantId", hex(64, random)))),
    };
    let mut record = draft(scene, scene.person(random), ("kms", name), random);
    let mut members = members;
    members.push(member("keyId", key.id.as_str()));
    record.request_parameters = Some(shuffled(members, random));
    record.response_elements = response;
    record.read_only = false;
    record.resources.push(resource(key));
    record
}

fn scheduled(scene: &Scene<'_>, key: &Key) -> Json {
    let deletion = Timestamp::from_unix_seconds(scene.time.unix_seconds() + 30 * 86_400);
    Json::object()
        .with("keyId", key.arn.as_str())
        .with("deletionDate", deletion.locale())
        .with("keyState", "PendingDeletion")
        .with("pendingWindowInDays", 30)
}

/// A policy is logged as a string of JSON: quotes inside quotes, a good test for readers.
fn policy(scene: &Scene<'_>) -> Vec<(String, Json)> {
    let statement = Json::object()
        .with("Sid", "Enable IAM User Permissions")
        .with("Effect", "Allow")
        .with("Principal", Json::object().with("AWS", format!("arn:aws:iam::{}:root", scene.id())))
        .with("Action", "kms:*")
        .with("Resource", "*");
    let policy = Json::object()
        .with("Version", "2012-10-17")
        .with("Id", "key-default-1")
        .with("Statement", vec![statement]);
    vec![
        member("policyName", "default"),
        member("policy", policy.to_string()),
        member("bypassPolicyLockoutSafetyCheck", false),
    ]
}

fn grant(scene: &Scene<'_>, random: &mut Random) -> Vec<(String, Json)> {
    let role = scene.role(random);
    let volume = Json::object().with("aws:ebs:id", format!("vol-0{}", hex(16, random)));
    vec![
        member("granteePrincipal", format!("arn:aws:iam::{}:role/{role}", scene.id())),
        member("operations", vec!["Decrypt", "GenerateDataKey", "CreateGrant"]),
        member("constraints", Json::object().with("encryptionContextSubset", volume)),
    ]
}

fn key_creation(scene: &Scene<'_>, key: &Key, random: &mut Random) -> Record {
    let (usage, spec, algorithms) = match key.purpose {
        Purpose::Signing => {
            ("SIGN_VERIFY", "ECC_NIST_P256", ("signingAlgorithms", "ECDSA_SHA_256"))
        }
        Purpose::Mac => ("GENERATE_VERIFY_MAC", "HMAC_256", ("macAlgorithms", "HMAC_SHA_256")),
        _ => {
            ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", ("encryptionAlgorithms", "SYMMETRIC_DEFAULT"))
        }
    };
    let common = |object: Json| {
        object
            .with("description", format!("Protects {}", key.subject))
            .with("keyUsage", usage)
            .with("origin", "AWS_KMS")
            .with("keySpec", spec)
            .with("customerMasterKeySpec", spec)
            .with("multiRegion", false)
    };
    let metadata = Json::object()
        .with("aWSAccountId", scene.id().as_str())
        .with("keyId", key.id.as_str())
        .with("arn", key.arn.as_str())
        .with("creationDate", scene.time.locale())
        .with("enabled", true)
        .with("keyState", "Enabled")
        .with("keyManager", "CUSTOMER")
        .with(algorithms.0, vec![algorithms.1]);
    let mut record = draft(scene, scene.person(random), ("kms", "CreateKey"), random);
    record.request_parameters =
        Some(common(Json::object()).with("bypassPolicyLockoutSafetyCheck", false));
    record.response_elements = Some(Json::object().with("keyMetadata", common(metadata)));
    record.read_only = false;
    record.resources.push(resource(key));
    record
}

fn alias_creation(scene: &Scene<'_>, key: &Key, random: &mut Random) -> Record {
    let mut record = draft(scene, scene.person(random), ("kms", "CreateAlias"), random);
    let members =
        vec![member("aliasName", key.alias.as_str()), member("targetKeyId", key.id.as_str())];
    record.request_parameters = Some(shuffled(members, random));
    record.response_elements = Some(Json::object().with("keyId", key.arn.as_str()));
    record.read_only = false;
    // The alias comes after the key, and is typed as a key as well.
    let mut alias = resource(key);
    alias.arn = scene.arn("kms", &key.alias);
    record.resources = vec![resource(key), alias];
    record
}

/// A service uses a key on its own behalf: log delivery, log groups, replication.
pub(super) fn service_call(scene: &Scene<'_>, random: &mut Random) -> Record {
    let key = &scene.place.keys[0];
    let account = scene.id();
    let bucket = format!("arn:aws:s3:::trail-{account}/AWSLogs/{account}/CloudTrail");
    let (service, operation, context) = match random.below(4) {
        0 | 1 => (
            "cloudtrail.amazonaws.com",
            Operation::GenerateDataKey,
            Json::object()
                .with("aws:cloudtrail:arn", scene.arn("cloudtrail", "trail/company"))
                .with("aws:s3:arn", bucket),
        ),
        2 => (
            "logs.amazonaws.com",
            Operation::Decrypt,
            Json::object().with(
                "aws:logs:arn",
                scene.arn(
                    "logs",
                    &format!("log-group:/aws/lambda/{}", random.pick(&scene.place.keys).subject),
                ),
            ),
        ),
        _ => (
            "dynamodb.amazonaws.com",
            Operation::Decrypt,
            Json::object()
                .with("aws:dynamodb:tableName", key.subject.as_str())
                .with("aws:dynamodb:subscriberId", account.as_str()),
        ),
    };
    let mut record = draft(scene, Caller::service(service), ("kms", operation.name()), random);
    let mut members = vec![member("encryptionContext", context)];
    members.push(match operation {
        Operation::Decrypt => member("encryptionAlgorithm", "SYMMETRIC_DEFAULT"),
        _ => member("keySpec", "AES_256"),
    });
    if operation == Operation::GenerateDataKey {
        members.push(member("keyId", key.arn.as_str()));
    }
    record.request_parameters = Some(shuffled(members, random));
    record.additional_event_data =
        Some(Json::object().with("keyMaterialId", key.material_id.as_str()));
    record.resources.push(resource(key));
    record.shared_event_id = Some(Guid::from_random(random.bytes16()));
    record
}

/// What KMS does by itself: it rotates a key, or deletes one whose waiting time is over.
pub(super) fn service_event(scene: &Scene<'_>, random: &mut Random) -> Record {
    let keys = &scene.place.keys;
    let drawn = random.pick(keys);
    let deleted = drawn.state == KeyState::PendingDeletion;
    // Only symmetric encryption keys rotate; the first key of a place is one.
    let key = if deleted || drawn.purpose.is_symmetric() { drawn } else { &keys[0] };
    let caller = Caller {
        identity: UserIdentity::service_event(scene.id()),
        ..Caller::service("AWS Internal")
    };
    let name = if deleted { "DeleteKey" } else { "RotateKey" };
    let mut record = draft(scene, caller, ("kms", name), random);
    if deleted {
        record.response_elements = Some(Json::object().with("keyId", key.arn.as_str()));
    } else {
        record.service_event_details = Some(
            Json::object()
                .with("rotationType", "AUTOMATIC")
                .with("keyOrigin", "AWS_KMS")
                .with("previousKeyMaterialId", hex(64, random))
                .with("currentKeyMaterialId", key.material_id.as_str())
                .with("keyId", key.id.as_str()),
        );
    }
    record.event_type = EventType::AwsServiceEvent;
    record.request_id = None;
    record.read_only = false;
    record.resources.push(resource(key));
    record
}

/// A call across accounts as its two copies: the caller's, and the key owner's, which shows little
/// of the caller.
///
/// The copies share `sharedEventID`, `requestID` and the time; `eventID` and the recipient differ.
pub(super) fn cross_account_copies(
    scene: &Scene<'_>,
    owner: usize,
    random: &mut Random,
) -> (Record, Record) {
    let place = &scene.world.accounts[owner].places[scene.region];
    let key = &place.keys[place.usable_key(random)];
    let (_, caller) = scene.somebody(random);
    let operation = Operation::draw(key.purpose, random);
    let mut record = usage(scene, caller, key, operation, random);
    record.shared_event_id = Some(Guid::from_random(random.bytes16()));
    let copy = owners_copy(&record, key, random);
    (record, copy)
}

/// A call from an account outside the company: only the key owner's copy is in our log.
pub(super) fn foreign_call(scene: &Scene<'_>, partner: &AccountId, random: &mut Random) -> Record {
    let key = &scene.place.keys[scene.place.usable_key(random)];
    let (_, mut caller) = scene.somebody(random);
    caller.identity.account_id = Some(partner.clone());
    caller.identity.principal_id =
        Some(format!("{}:exchange", unique_id("AROA", 17, &mut Random::new(random.below(3)))));
    let operation = Operation::draw(key.purpose, random);
    let mut record = usage(scene, caller, key, operation, random);
    record.shared_event_id = Some(Guid::from_random(random.bytes16()));
    owners_copy(&record, key, random)
}

fn owners_copy(record: &Record, key: &Key, random: &mut Random) -> Record {
    let caller = &record.user_identity;
    let account = caller.account_id.as_ref().unwrap_or(&key.owner);
    let mut identity =
        UserIdentity::aws_account(account, caller.principal_id.as_deref().unwrap_or_default());
    identity.invoked_by.clone_from(&caller.invoked_by);
    Record {
        user_identity: identity,
        event_id: Guid::from_random(random.bytes16()),
        recipient_account_id: key.owner.clone(),
        vpc_endpoint_id: None,
        vpc_endpoint_account_id: None,
        session_credential_from_console: false,
        ..record.clone()
    }
}
