//! `ListKeys`: ids and ARNs of all keys of the caller's account and Region, page by page, in order of id.

use std::ops::Bound;

use super::Call;
use super::page::Page;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KEY, KeyId};
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
        None => Bound::Included(call.home().arn_text(KEY)),
        Some(marker) => match KeyId::parse(marker.name()) {
            Some(id) => Bound::Excluded(call.home().key_arn_text(id)),
            None => return Err(Refusal::new(ErrorCode::InvalidMarkerException, "Invalid marker")),
        },
    };
    let _listed_to = call.authorize_identity("kms:ListKeys", "*")?;
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let bounds = (start.as_ref().map(String::as_str), Bound::Unbounded);
    let rest = call.state.keys.range::<str, _>(bounds).map(|(arn, _)| arn);
    let rest = rest.take_while(|arn| arn.place() == call.home());
    let page = Page::take(rest, limit.unwrap_or(LIMIT_DEFAULT), |arn| arn.id().to_string());
    Ok(page.reply("Keys", |arn| {
        Reply::object(0).json("KeyId", arn.id().to_string()).json("KeyArn", arn.as_str())
    }))
}
