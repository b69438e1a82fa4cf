//! `ListKeys`: ids and ARNs of all keys, page by page, in order of id.

use std::ops::Bound;

use super::Call;
use super::page::Page;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::KeyId;
use crate::parameters::Marker;
use crate::reply::Reply;

const LIMIT_DEFAULT: u32 = 100;

pub(super) fn run(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let limit = input.integer("Limit", 1..=1000);
    let marker = Marker::read(&mut input)?;
    let (limit, marker) = input.finish((limit, marker))?;
    let start = match &marker {
        None => Bound::Unbounded,
        Some(marker) => match KeyId::parse(marker.name()) {
            Some(id) => Bound::Excluded(id),
            None => return Err(Refusal::new(ErrorCode::InvalidMarkerException, "Invalid marker")),
        },
    };
    let _listed_to = call.authorize_identity("kms:ListKeys", "*")?;
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let rest = call.state.keys.range((start, Bound::Unbounded)).map(|(_, key)| key);
    let page = Page::take(rest, limit.unwrap_or(LIMIT_DEFAULT), |key| key.id.to_string());
    Ok(page.reply("Keys", |key| {
        Reply::object(0).json("KeyId", key.id.to_string()).json("KeyArn", key.arn.as_str())
    }))
}
