//! Sign: a signature over a message of 1 to 4096 bytes, over its digest, or over the μ of ML-DSA.

use keytrail_auth::Authorized;
use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{KeyUsage, Message, MessageType, SigningAlgorithm};
use crate::blob::PLAINTEXT_BYTES_MAX;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;
use crate::state::Key;

/// What Sign and Verify have in common.
pub(super) struct SigningRequest {
    key: String,
    message: Zeroizing<Vec<u8>>,
    message_type: MessageType,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) dry_run: bool,
}

/// What both need after all checks but that of the signature.
pub(super) struct Checked<'a> {
    pub(super) key: &'a Key,
    pub(super) authorized: Authorized,
    pub(super) message: Message<'a>,
}

impl SigningRequest {
    /// Reads the members; what is wrong with them is refused when the input is finished.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(input)?;
        Ok(Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            message: input.sensitive_blob("Message", PLAINTEXT_BYTES_MAX),
            message_type: input.optional_word("MessageType").unwrap_or_default(),
            algorithm: input.word("SigningAlgorithm"),
            dry_run: input.flag("DryRun"),
        })
    }

    /// The key and the message, after the checks in AWS's order: state, usage, algorithm, message.
    pub(super) fn check<'a>(
        &'a self,
        operation: &str,
        call: &'a Call<'_>,
        facts: &mut Facts,
    ) -> Result<Checked<'a>, Refusal> {
        let reference = KeyReference::parse(&self.key, Naming::KeyOrAlias, call.home())?;
        let key = call.find(&reference)?;
        let authorized = call.authorize(&format!("kms:{operation}"), key)?;
        facts.parameters = vec![
            Fact::Word("MessageType", self.message_type.as_str()),
            Fact::KeyId(reference),
            Fact::Word("SigningAlgorithm", self.algorithm.as_str()),
        ];
        facts.resources.push(key.arn.clone().into());
        key.check_enabled()?;
        key.check_usage(KeyUsage::SignVerify, operation)?;
        key.check_signs(self.algorithm)?;
        let spec = key.kind.spec();
        let message = Message::new(self.message_type, spec, self.algorithm, &self.message)?;
        Ok(Checked { key, authorized, message })
    }
}

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let request = SigningRequest::read(&mut input)?;
    let request = input.finish(request)?;
    let Checked { key, authorized, message } = request.check("Sign", call, facts)?;
    end_rehearsal(request.dry_run)?;
    let secret = key.secret_key(&authorized, call.material_keys)?;
    let signature =
        secret.sign(request.algorithm, &message, call.random).map_err(|_| Refusal::internal())?;
    Ok(Reply::object(signature.len())
        .json("KeyId", key.arn.as_str())
        .blob("Signature", &signature)
        .json("SigningAlgorithm", request.algorithm.as_str())
        .finish())
}
