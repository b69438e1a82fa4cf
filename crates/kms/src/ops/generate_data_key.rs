//! `GenerateDataKey`: a random key for use outside, in the clear and encrypted; and its variant that keeps back the clear one.

use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::KeyUsage;
use crate::blob::CiphertextBlob;
use crate::context::EncryptionContext;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::{DataKeySpec, check_grant_tokens_and_recipient};
use crate::reply::Reply;
use crate::state::Key;

struct Request {
    key: String,
    size: Size,
    context: EncryptionContext,
    dry_run: bool,
}

/// How long the data key is, in the words of the request.
#[derive(Clone, Copy)]
enum Size {
    Spec(DataKeySpec),
    Bytes(u32),
}

impl Size {
    fn bytes(self) -> u32 {
        match self {
            Self::Spec(spec) => spec.bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    fn fact(self) -> Fact {
        match self {
            Self::Spec(spec) => Fact::Word("KeySpec", spec.as_str()),
            Self::Bytes(bytes) => Fact::NumberOfBytes(bytes),
        }
    }
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        let (spec, bytes) =
            (DataKeySpec::read(&mut input), input.integer("NumberOfBytes", 1..=1024));
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            size: bytes.map_or(Size::Spec(spec.unwrap_or(DataKeySpec::Aes256)), Size::Bytes),
            context: input.context("EncryptionContext"),
            dry_run: input.flag("DryRun"),
        };
        let both_or_none = input.has("KeySpec") == input.has("NumberOfBytes");
        let request = input.finish(request)?;
        if both_or_none {
            Err(Refusal::validation("Please specify either number of bytes or key spec."))
        } else {
            Ok(request)
        }
    }
}

/// A fresh data key with its encrypted form.
struct DataKey {
    plaintext: Zeroizing<Vec<u8>>,
    blob: CiphertextBlob,
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let (data_key, reply) = generate("GenerateDataKey", call, input, facts)?;
    Ok(reply(&data_key).blob("Plaintext", &data_key.plaintext).finish())
}

pub(super) fn run_without_plaintext(
    call: &Call<'_>,
    input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let (data_key, reply) = generate("GenerateDataKeyWithoutPlaintext", call, input, facts)?;
    Ok(reply(&data_key).finish())
}

/// The data key, and what both answers have in common.
fn generate<'a>(
    operation: &str,
    call: &'a Call<'_>,
    input: Input<'_>,
    facts: &mut Facts,
) -> Result<(DataKey, impl Fn(&DataKey) -> Reply + use<'a>), Refusal> {
    let Request { key, size, context, dry_run } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.home())?;
    let key = call.find(&reference)?;
    let authorized = call.authorize(&format!("kms:{operation}"), key)?;
    facts.parameters = vec![
        Fact::KeyId(reference),
        size.fact(),
        Fact::Context("EncryptionContext", context.clone()),
    ];
    facts.resources.push(key.arn.clone().into());
    key.check_enabled()?;
    check_makes_data_keys(key, operation)?;
    let material = key.material(&authorized, call.material_keys)?;
    end_rehearsal(dry_run)?;
    let mut plaintext = Zeroizing::new(vec![0; size.bytes() as usize]);
    call.random.fill(&mut plaintext);
    let blob = CiphertextBlob::encrypt(key.id(), &material, &context, &plaintext, call.random);
    facts.additional.push(Fact::Material("KeyMaterialId", material.id()));
    let material = material.id();
    let common = move |data_key: &DataKey| {
        Reply::object(data_key.blob.as_bytes().len() + data_key.plaintext.len())
            .blob("CiphertextBlob", data_key.blob.as_bytes())
            .json("KeyId", key.arn.as_str())
            .json("KeyMaterialId", material.to_string())
    };
    Ok((DataKey { plaintext, blob }, common))
}

/// Refuses a key that is not symmetric: what it encrypts would be too long for it, and would not name its key.
pub(super) fn check_makes_data_keys(key: &Key, operation: &str) -> Result<(), Refusal> {
    key.check_usage(KeyUsage::EncryptDecrypt, operation)?;
    if key.is_symmetric() {
        return Ok(());
    }
    let text = "You cannot generate a data key with an asymmetric CMK";
    Err(Refusal::new(ErrorCode::InvalidKeyUsageException, text))
}
