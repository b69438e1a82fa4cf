//! Calls that KMS refused, in the shapes that CloudTrail gives them.
//!
//! A call that is denied, or names a key that does not exist, has null parameters and no resources:
//! the key stands in the message alone. What fails later (state, usage, ciphertext) keeps both.
//! `AccessDenied` is the log's spelling of what the API calls `AccessDeniedException`.

use keytrail_event::{Guid, Record};

use super::draft::{Scene, draft};
use super::random::Random;
use super::usage::{Operation, usage};
use super::world::{Key, KeyState};

/// A call that fails.
pub(super) fn failure(scene: &Scene<'_>, random: &mut Random) -> Record {
    let troubled = &scene.place.troubled;
    match random.below(100) {
        0..8 => not_found(scene, random),
        8..26 => bad_data(scene, random),
        26..42 if !troubled.is_empty() => {
            let key = &scene.place.keys[*random.pick(troubled)];
            let (_, caller) = scene.somebody(random);
            let operation = Operation::draw(key.purpose, random);
            let record = usage(scene, caller, key, operation, random);
            refused_for_state(record, key)
        }
        _ => denied(scene, random),
    }
}

/// The same call, had the key been in its actual state; a key that is enabled changes nothing.
pub(super) fn refused_for_state(record: Record, key: &Key) -> Record {
    // The final period counts: alarms match on it.
    let (code, message) = match key.state {
        KeyState::Enabled => return record,
        KeyState::Disabled => ("DisabledException", format!("{} is disabled.", key.arn)),
        KeyState::PendingDeletion => {
            ("KMSInvalidStateException", format!("{} is pending deletion.", key.arn))
        }
    };
    failed(record, code, Some(message))
}

fn denied(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (_, caller) = scene.somebody(random);
    let key = random.pick(&scene.place.keys);
    let name = match random.below(4) {
        0 => random.pick(&[
            "DescribeKey",
            "GetKeyPolicy",
            "ScheduleKeyDeletion",
            "PutKeyPolicy",
            "CreateGrant",
        ]),
        _ => Operation::draw(key.purpose, random).name(),
    };
    let arn = caller.identity.arn.clone().unwrap_or_default();
    let reason = match random.below(20) {
        0..12 => format!("because no identity-based policy allows the kms:{name} action"),
        12..17 => format!("because no resource-based policy allows the kms:{name} action"),
        17..19 => "with an explicit deny in a resource-based policy".to_owned(),
        _ => "with an explicit deny in a service control policy".to_owned(),
    };
    let message = format!(
        "User: {arn} is not authorized to perform: kms:{name} on resource: {} {reason}",
        key.arn
    );
    let mut record = draft(scene, caller, ("kms", name), random);
    record.read_only = !["ScheduleKeyDeletion", "PutKeyPolicy", "CreateGrant"].contains(&name);
    failed(record, "AccessDenied", Some(message))
}

fn not_found(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (_, caller) = scene.somebody(random);
    let id = Guid::from_random(random.bytes16());
    let message = match random.below(3) {
        0 => format!(
            "Alias {} is not found.",
            scene.arn("kms", &format!("alias/old-{}", random.below(9)))
        ),
        _ => format!("Key '{}' does not exist", scene.arn("kms", &format!("key/{id}"))),
    };
    let name = random.pick(&["DescribeKey", "Encrypt", "GenerateDataKey"]);
    failed(draft(scene, caller, ("kms", name), random), "NotFoundException", Some(message))
}

/// The key is fine, what it was given is not.
fn bad_data(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (rank, caller) = scene.somebody(random);
    let key =
        &scene.place.keys[scene.account.principals[rank].key(scene.region, scene.place, random)];
    let operation = Operation::draw(key.purpose, random);
    let record = usage(scene, caller, key, operation, random);
    let (code, message) = match operation {
        Operation::Verify => ("KMSInvalidSignatureException", None),
        Operation::VerifyMac => ("KMSInvalidMacException", None),
        Operation::Decrypt if random.happens(1, 4) => (
            "IncorrectKeyException",
            Some(
                "The key ID in the request does not identify a CMK that can perform this \
                 operation.",
            ),
        ),
        // Ciphertext of another context, or cut: KMS says no more.
        Operation::Decrypt | Operation::ReEncrypt => ("InvalidCiphertextException", None),
        _ => (
            "DryRunOperationException",
            Some("The request would have succeeded, but the DryRun option is set."),
        ),
    };
    failed(record, code, message.map(str::to_owned))
}

fn failed(mut record: Record, code: &str, message: Option<String>) -> Record {
    record.error_code = Some(code.to_owned());
    record.error_message = message;
    record.response_elements = None;
    // No material was used; CloudTrail shows its id with successes only.
    record.additional_event_data = None;
    record
}
