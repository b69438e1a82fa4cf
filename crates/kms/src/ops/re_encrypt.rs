//! `ReEncrypt`: from one key, algorithm or context to another, without the plaintext ever leaving. Two permissions, one for
//! each key; two resources in the record, the source first.

use zeroize::Zeroizing;

use super::decrypt::{Ciphertext, read_ciphertext};
use super::encrypt::Under;
use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::EncryptionAlgorithm;
use crate::context::EncryptionContext;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;

const OPERATION: &str = "ReEncrypt";

struct Request {
    ciphertext: Option<Zeroizing<Vec<u8>>>,
    source: Side<Option<String>>,
    destination: Side<String>,
    dry_run: bool,
}

/// What is said about one of the two keys.
struct Side<K> {
    key: K,
    algorithm: EncryptionAlgorithm,
    context: EncryptionContext,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        let dry_run = input.flag("DryRun");
        let request = Self {
            ciphertext: read_ciphertext(&mut input, dry_run),
            source: Side {
                key: input.optional_text("SourceKeyId", KEY_ID_CHARS),
                algorithm: input.optional_word("SourceEncryptionAlgorithm").unwrap_or_default(),
                context: input.context("SourceEncryptionContext"),
            },
            destination: Side {
                key: input.text("DestinationKeyId", KEY_ID_CHARS),
                algorithm: input
                    .optional_word("DestinationEncryptionAlgorithm")
                    .unwrap_or_default(),
                context: input.context("DestinationEncryptionContext"),
            },
            dry_run,
        };
        input.finish(request)
    }
}

/// In the order of AWS's example.
fn parameters(
    (source, source_key): (&Side<Option<String>>, Option<KeyReference>),
    (destination, destination_key): (&Side<String>, Option<KeyReference>),
) -> Vec<Fact> {
    let mut facts = vec![
        Fact::Word("SourceEncryptionAlgorithm", source.algorithm.as_str()),
        Fact::Context("SourceEncryptionContext", source.context.clone()),
    ];
    facts.extend(source_key.map(|key| Fact::OtherKey("SourceKeyId", key)));
    facts.extend(destination_key.map(|key| Fact::OtherKey("DestinationKeyId", key)));
    facts.push(Fact::Word("DestinationEncryptionAlgorithm", destination.algorithm.as_str()));
    facts.push(Fact::Context("DestinationEncryptionContext", destination.context.clone()));
    facts
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { ciphertext, source, destination, dry_run } = Request::read(input)?;
    let parse = |key: &str| KeyReference::parse(key, Naming::KeyOrAlias, call.home());
    let source_key = source.key.as_deref().map(parse).transpose()?;
    let destination_key = parse(&destination.key)?;
    let ciphertext = Ciphertext::new(ciphertext, source.algorithm);
    let from = ciphertext.find_key(call, source_key.as_ref())?;
    let to = call.find(&destination_key)?;
    let Some(from) = from else {
        facts.parameters = parameters((&source, None), (&destination, Some(destination_key)));
        return Err(Refusal::bare(ErrorCode::InvalidCiphertextException));
    };
    let may_read = call.authorize("kms:ReEncryptFrom", from)?;
    let may_write = call.authorize("kms:ReEncryptTo", to)?;
    facts.parameters = parameters((&source, source_key), (&destination, Some(destination_key)));
    facts.resources.extend([from, to].map(|key| key.arn.clone().into()));
    let under = Under {
        key: to,
        authorized: &may_write,
        algorithm: destination.algorithm,
        context: &destination.context,
    };
    ciphertext.check(OPERATION, from, &source.context)?;
    under.check(OPERATION)?;
    if ciphertext.is_ignored() {
        end_rehearsal(dry_run)?;
    }
    let opened = ciphertext.open(call, from, &may_read, &source.context)?;
    under.check_fits(&opened.plaintext)?;
    end_rehearsal(dry_run)?;
    let ciphertext = under.encrypt(call, &opened.plaintext)?;
    let ids = [
        ("SourceKeyMaterialId", opened.material_id),
        ("DestinationKeyMaterialId", under.material_id()),
    ];
    facts.additional =
        ids.iter().filter_map(|(name, id)| id.map(|id| Fact::Material(name, id))).collect();
    let reply = Reply::object(ciphertext.len())
        .blob("CiphertextBlob", &ciphertext)
        .json("SourceKeyId", from.arn.as_str())
        .json("KeyId", to.arn.as_str())
        .json("SourceEncryptionAlgorithm", source.algorithm.as_str())
        .json("DestinationEncryptionAlgorithm", destination.algorithm.as_str());
    let reply = ids.into_iter().fold(reply, |reply, (name, id)| {
        reply.maybe(id, |reply, id| reply.json(name, id.to_string()))
    });
    Ok(reply.finish())
}
