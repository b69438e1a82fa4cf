//! Keys at work: the cryptographic calls, nine tenths of what a KMS log holds.
//!
//! What a call looks like follows from the key's purpose: buckets, secrets and tables are reached
//! through their service, which calls with forwarded rights and an encryption context of its own;
//! applications, signing and MAC keys are called directly. Shapes: CloudTrail's KMS records as real
//! files have them, `requestParameters` in random member order, the key as the caller wrote it, the
//! resolved key in `resources`.

use keytrail_event::{Guid, Json, Record};

use super::draft::{Scene, draft, member, resource, shuffled};
use super::principals::Caller;
use super::random::Random;
use super::world::{Key, Purpose, hex};

/// A cryptographic operation of KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Encrypt,
    Decrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    ReEncrypt,
    Sign,
    Verify,
    GenerateMac,
    VerifyMac,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "Encrypt",
            Self::Decrypt => "Decrypt",
            Self::GenerateDataKey => "GenerateDataKey",
            Self::GenerateDataKeyWithoutPlaintext => "GenerateDataKeyWithoutPlaintext",
            Self::ReEncrypt => "ReEncrypt",
            Self::Sign => "Sign",
            Self::Verify => "Verify",
            Self::GenerateMac => "GenerateMac",
            Self::VerifyMac => "VerifyMac",
        }
    }

    /// The operation that a key of some purpose is used for next.
    pub(super) fn draw(purpose: Purpose, random: &mut Random) -> Self {
        let mut roll = random.below(100);
        for &(share, operation) in Self::shares(purpose) {
            if roll < share {
                return operation;
            }
            roll -= share;
        }
        unreachable!("the shares of a purpose add up to a hundred")
    }

    /// What a key of some purpose is used for, in percent. Reading is commoner than writing nearly
    /// everywhere.
    fn shares(purpose: Purpose) -> &'static [(u64, Self)] {
        match purpose {
            Purpose::Bucket => &[(66, Self::Decrypt), (34, Self::GenerateDataKey)],
            Purpose::Volume => &[(70, Self::Decrypt), (30, Self::GenerateDataKeyWithoutPlaintext)],
            Purpose::Secret => &[(94, Self::Decrypt), (6, Self::GenerateDataKey)],
            Purpose::Parameter => &[(91, Self::Decrypt), (9, Self::Encrypt)],
            Purpose::Table => &[(88, Self::Decrypt), (12, Self::GenerateDataKey)],
            Purpose::Queue => &[(55, Self::Decrypt), (45, Self::GenerateDataKey)],
            Purpose::Function => &[(97, Self::Decrypt), (3, Self::Encrypt)],
            Purpose::Application => &[
                (48, Self::Decrypt),
                (26, Self::GenerateDataKey),
                (18, Self::Encrypt),
                (4, Self::GenerateDataKeyWithoutPlaintext),
                (4, Self::ReEncrypt),
            ],
            Purpose::Signing => &[(64, Self::Sign), (36, Self::Verify)],
            Purpose::Mac => &[(58, Self::GenerateMac), (42, Self::VerifyMac)],
        }
    }
}

/// `caller` uses `key` for `operation`, with success.
pub(super) fn usage(
    scene: &Scene<'_>,
    caller: Caller,
    key: &Key,
    operation: Operation,
    random: &mut Random,
) -> Record {
    let caller = match service(key.purpose) {
        // One call in twenty is made past the service: somebody decrypts by hand.
        Some(service) if random.happens(19, 20) => caller.through(service),
        _ => caller,
    };
    // Another account's key can only be named by its ARN.
    let is_own = caller.identity.account_id.as_ref() == Some(&key.owner);
    let key_id = if is_own { &key.spoken } else { &key.arn };
    let mut record = draft(scene, caller, ("kms", operation.name()), random);
    let mut members = parameters(key_id, operation, random);
    record.resources.push(resource(key));
    if operation == Operation::ReEncrypt {
        // To a key of the same place; its ARN goes last in `resources`.
        let target = &scene.place.keys[scene.place.usable_key(random)];
        let target = if target.purpose.is_symmetric() { target } else { key };
        members.extend(re_encryption(scene, key, target, random));
        record.resources.push(resource(target));
        record.additional_event_data = Some(
            Json::object()
                .with("sourceKeyMaterialId", key.material_id.as_str())
                .with("destinationKeyMaterialId", target.material_id.as_str()),
        );
    } else if key.purpose.is_symmetric() {
        members.extend(context(scene, key, random).map(|value| member("encryptionContext", value)));
        record.additional_event_data =
            Some(Json::object().with("keyMaterialId", key.material_id.as_str()));
    }
    record.request_parameters = Some(shuffled(members, random));
    record
}

/// The service that stands between the callers and a key of this purpose.
fn service(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Bucket => Some("s3.amazonaws.com"),
        Purpose::Volume => Some("ec2.amazonaws.com"),
        Purpose::Secret => Some("secretsmanager.amazonaws.com"),
        Purpose::Parameter => Some("AWS Internal"),
        Purpose::Table => Some("dynamodb.amazonaws.com"),
        Purpose::Queue => Some("sqs.amazonaws.com"),
        Purpose::Function => Some("lambda.amazonaws.com"),
        Purpose::Application | Purpose::Signing | Purpose::Mac => None,
    }
}

/// The members of `requestParameters` but for the context.
fn parameters(key_id: &str, operation: Operation, random: &mut Random) -> Vec<(String, Json)> {
    let key_id = || member("keyId", key_id);
    match operation {
        Operation::Encrypt => vec![key_id(), member("encryptionAlgorithm", "SYMMETRIC_DEFAULT")],
        Operation::Decrypt => {
            let mut members = vec![member("encryptionAlgorithm", "SYMMETRIC_DEFAULT")];
            // Most callers leave the key to the ciphertext, which names it.
            if random.happens(1, 5) {
                members.push(key_id());
            }
            members
        }
        Operation::GenerateDataKey => vec![key_id(), member("keySpec", "AES_256")],
        Operation::GenerateDataKeyWithoutPlaintext => vec![key_id(), member("numberOfBytes", 64)],
        Operation::ReEncrypt => Vec::new(),
        Operation::Sign | Operation::Verify => vec![
            key_id(),
            member("messageType", "DIGEST"),
            member("signingAlgorithm", "ECDSA_SHA_256"),
        ],
        Operation::GenerateMac | Operation::VerifyMac => {
            vec![key_id(), member("macAlgorithm", "HMAC_SHA_256")]
        }
    }
}

fn re_encryption(
    scene: &Scene<'_>,
    source: &Key,
    target: &Key,
    random: &mut Random,
) -> impl Iterator<Item = (String, Json)> {
    let context = context(scene, source, random);
    [
        Some(member("sourceEncryptionAlgorithm", "SYMMETRIC_DEFAULT")),
        Some(member("destinationEncryptionAlgorithm", "SYMMETRIC_DEFAULT")),
        Some(member("destinationKeyId", target.spoken.as_str())),
        context.clone().map(|value| member("sourceEncryptionContext", value)),
        context.map(|value| member("destinationEncryptionContext", value)),
    ]
    .into_iter()
    .flatten()
}

/// The encryption context: the place in the log that says which data a key protected. Some
/// applications use none.
fn context(scene: &Scene<'_>, key: &Key, random: &mut Random) -> Option<Json> {
    let subject = &key.subject;
    let context = Json::object();
    Some(match key.purpose {
        Purpose::Bucket => context.with("aws:s3:arn", object_arn(subject, random)),
        Purpose::Volume => {
            let volume = hex(16, &mut Random::new(random.below(500)));
            context.with("aws:ebs:id", format!("vol-0{volume}"))
        }
        Purpose::Secret => {
            // One of forty secrets, each with its one version.
            let mut secret = Random::new(random.below(40));
            let name = format!("secret:{subject}/credentials-{}", hex(6, &mut secret));
            context
                .with("SecretARN", scene.arn("secretsmanager", &name))
                .with("SecretVersionId", Guid::from_random(secret.bytes16()).to_string())
        }
        Purpose::Parameter => {
            let parameter = format!("parameter/{subject}/setting-{}", random.below(60));
            context.with("PARAMETER_ARN", scene.arn("ssm", &parameter))
        }
        Purpose::Table => context
            .with("aws:dynamodb:tableName", subject.as_str())
            .with("aws:dynamodb:subscriberId", scene.id().as_str()),
        Purpose::Queue => context.with("aws:sqs:arn", scene.arn("sqs", subject)),
        Purpose::Function => {
            let function = scene.arn("lambda", &format!("function:{subject}"));
            context.with("aws:lambda:FunctionArn", function)
        }
        Purpose::Application => match random.below(10) {
            0 => return None,
            1..=3 => context.with("purpose", "field-encryption").with("table", subject.as_str()),
            _ => context
                .with("tenant", format!("tenant-{:05}", random.below(2000).min(random.below(2000))))
                .with("document", Guid::from_random(random.bytes16()).to_string()),
        },
        Purpose::Signing | Purpose::Mac => return None,
    })
}

/// An object of a bucket. A third of the buckets use a bucket key: then the context names the
/// bucket alone.
fn object_arn(bucket: &str, random: &mut Random) -> String {
    if bucket.as_bytes().last().is_some_and(|last| last % 3 == 0) {
        return format!("arn:aws:s3:::{bucket}");
    }
    let folder = random.pick(&["events", "exports", "invoices", "uploads", "snapshots"]);
    let (part, number) = (random.below(64), random.below(100_000));
    format!("arn:aws:s3:::{bucket}/{folder}/part-{part:05}-{number:05}.parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [Purpose; 10] = [
        Purpose::Bucket,
        Purpose::Volume,
        Purpose::Secret,
        Purpose::Parameter,
        Purpose::Table,
        Purpose::Queue,
        Purpose::Function,
        Purpose::Application,
        Purpose::Signing,
        Purpose::Mac,
    ];

    #[test]
    fn the_shares_of_every_purpose_add_up_to_a_hundred() {
        for purpose in PURPOSES {
            let sum: u64 = Operation::shares(purpose).iter().map(|(share, _)| share).sum();
            assert_eq!(sum, 100, "{purpose:?}");
        }
    }

    #[test]
    fn signing_and_mac_keys_never_encrypt() {
        for purpose in PURPOSES {
            for (_, operation) in Operation::shares(purpose) {
                let is_encryption =
                    operation.name().contains("crypt") || operation.name().contains("DataKey");
                assert_eq!(purpose.is_symmetric(), is_encryption, "{purpose:?} {operation:?}");
            }
        }
    }
}
