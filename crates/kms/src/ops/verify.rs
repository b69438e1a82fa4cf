//! Verify: yes, or `KMSInvalidSignatureException`; never `false`. It needs the public key only.

use super::sign::{Checked, SigningRequest};
use super::{Call, end_rehearsal};
use crate::blob::BLOB_BYTES_MAX;
use crate::error::{ErrorCode, Refusal};
use crate::facts::Facts;
use crate::input::Input;
use crate::reply::Reply;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let request = SigningRequest::read(&mut input)?;
    let signature = input.blob("Signature", BLOB_BYTES_MAX);
    let (request, signature) = input.finish((request, signature))?;
    let Checked { key, message, .. } = request.check("Verify", call, facts)?;
    let public_key = key.public_key().ok_or_else(Refusal::internal)?;
    if !public_key.verify(request.algorithm, &message, &signature) {
        return Err(Refusal::bare(ErrorCode::KMSInvalidSignatureException));
    }
    end_rehearsal(request.dry_run)?;
    Ok(Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .json("SignatureValid", true)
        .json("SigningAlgorithm", request.algorithm.as_str())
        .finish())
}
