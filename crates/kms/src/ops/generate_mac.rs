//! `GenerateMac`: an HMAC over 1 to 4096 bytes.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Call, KEY_ID_CHARS, end_rehearsal};
use crate::algorithms::{KeyUsage, MacAlgorithm, SecretKey};
use crate::blob::PLAINTEXT_BYTES_MAX;
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::check_grant_tokens_and_recipient;
use crate::reply::Reply;
use crate::state::Key;

/// What `GenerateMac` and `VerifyMac` have in common.
pub(super) struct MacRequest {
    key: String,
    pub(super) message: Zeroizing<Vec<u8>>,
    pub(super) algorithm: MacAlgorithm,
    pub(super) dry_run: bool,
}

impl MacRequest {
    /// Reads the members; what is wrong with them is refused when the input is finished.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, Refusal> {
        check_grant_tokens_and_recipient(input)?;
        Ok(Self {
            message: input.sensitive_blob("Message", PLAINTEXT_BYTES_MAX),
            key: input.text("KeyId", KEY_ID_CHARS),
            algorithm: input.word("MacAlgorithm"),
            dry_run: input.flag("DryRun"),
        })
    }

    /// The key and its secret, after all checks but that of the MAC.
    pub(super) fn open<'a>(
        &self,
        operation: &str,
        call: &'a Call<'_>,
        facts: &mut Facts,
    ) -> Result<(&'a Key, Arc<SecretKey>), Refusal> {
        let reference = KeyReference::parse(&self.key, Naming::KeyOrAlias, call.home())?;
        let key = call.find(&reference)?;
        let authorized = call.authorize(&format!("kms:{operation}"), key)?;
        facts.parameters =
            vec![Fact::Word("MacAlgorithm", self.algorithm.as_str()), Fact::KeyId(reference)];
        facts.resources.push(key.arn.clone().into());
        key.check_enabled()?;
        key.check_usage(KeyUsage::GenerateVerifyMac, operation)?;
        key.check_authenticates(self.algorithm)?;
        Ok((key, key.secret_key(&authorized, call.material_keys)?))
    }
}

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let request = MacRequest::read(&mut input)?;
    let request = input.finish(request)?;
    let (key, secret) = request.open("GenerateMac", call, facts)?;
    end_rehearsal(request.dry_run)?;
    let mac = secret.generate_mac(request.algorithm, &request.message);
    Ok(Reply::object(mac.len())
        .blob("Mac", &mac)
        .json("MacAlgorithm", request.algorithm.as_str())
        .json("KeyId", key.arn.as_str())
        .finish())
}
