//! `VerifyMac`: yes, or `KMSInvalidMacException`; never `false`.

use super::generate_mac::MacRequest;
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
    let request = MacRequest::read(&mut input)?;
    let mac = input.blob("Mac", BLOB_BYTES_MAX);
    let (request, mac) = input.finish((request, mac))?;
    let (key, secret) = request.open("VerifyMac", call, facts)?;
    if !secret.verify_mac(request.algorithm, &request.message, &mac) {
        return Err(Refusal::bare(ErrorCode::KMSInvalidMacException));
    }
    end_rehearsal(request.dry_run)?;
    Ok(Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .json("MacValid", true)
        .json("MacAlgorithm", request.algorithm.as_str())
        .finish())
}
