//! `DeriveSharedSecret`: ECDH between our private key and somebody's public key. The secret is raw, for a key derivation
//! outside.

use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{KeyAgreementAlgorithm, KeyUsage, NotAPeer};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;

/// The longest public key that the API accepts.
const PUBLIC_KEY_BYTES_MAX: usize = 8192;

struct Request {
    key: String,
    algorithm: KeyAgreementAlgorithm,
    public_key: Zeroizing<Vec<u8>>,
    dry_run: bool,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(&mut input)?;
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            algorithm: input.word("KeyAgreementAlgorithm"),
            public_key: input.blob("PublicKey", PUBLIC_KEY_BYTES_MAX),
            dry_run: input.flag("DryRun"),
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, algorithm, public_key, dry_run } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOrAlias, call.home())?;
    let key = call.find(&reference)?;
    let authorized = call.authorize("kms:DeriveSharedSecret", key)?;
    facts.parameters =
        vec![Fact::KeyId(reference), Fact::Word("KeyAgreementAlgorithm", algorithm.as_str())];
    facts.resources.push(key.arn.clone().into());
    key.check_enabled()?;
    key.check_usage(KeyUsage::KeyAgreement, "DeriveSharedSecret")?;
    let secret = key.secret_key(&authorized, call.material_keys)?;
    // AWS says nothing about what is wrong with the public key.
    let shared = secret
        .agree(&public_key)
        .map_err(|NotAPeer| Refusal::bare(ErrorCode::ValidationException))?;
    end_rehearsal(dry_run)?;
    Ok(Reply::object(shared.len())
        .json("KeyId", key.arn.as_str())
        .blob("SharedSecret", &shared)
        .json("KeyAgreementAlgorithm", algorithm.as_str())
        .json("KeyOrigin", key.origin.as_str())
        .finish())
}
