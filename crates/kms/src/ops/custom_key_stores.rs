//! Custom key stores (`CloudHSM` clusters and external key managers): there are none, and none can be made.
//!
//! `DescribeCustomKeyStores` answers an empty list, because tools that read everything back ask for it. The others check
//! what was asked and by whom, as any operation does, and then say plainly that this is not here.

use super::{Call, Changed};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::parameters::Marker;
use crate::reply::Reply;

/// Longest id of a store, and longest name, in characters.
const ID_CHARS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 256;

pub(super) fn describe(
    call: &Call<'_>,
    mut input: Input<'_>,
    facts: &mut Facts,
) -> Result<Reply, Refusal> {
    let id = input.optional_text("CustomKeyStoreId", 1..=ID_CHARS_MAX);
    let name = input.optional_text("CustomKeyStoreName", 1..=NAME_CHARS_MAX);
    let limit = input.integer("Limit", 1..=1000);
    let marker = Marker::read(&mut input)?;
    let (id, name, limit) = input.finish((id, name, limit))?;
    let _described_to = call.authorize_identity("kms:DescribeCustomKeyStores", "*")?;
    if id.is_some() || name.is_some() {
        return Err(Refusal::bare(ErrorCode::CustomKeyStoreNotFoundException));
    }
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    let stores: Vec<&str> = Vec::new();
    Ok(Reply::object(0).json("CustomKeyStores", stores).json("Truncated", false).finish())
}

pub(super) fn create(call: &Call<'_>, mut input: Input<'_>, _: &mut Facts) -> Changed {
    let name = input.text("CustomKeyStoreName", 1..=NAME_CHARS_MAX);
    input.finish(name)?;
    refuse(call, "kms:CreateCustomKeyStore")
}

pub(super) fn update(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Changed {
    refuse_store(call, input, "kms:UpdateCustomKeyStore")
}

pub(super) fn delete(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Changed {
    refuse_store(call, input, "kms:DeleteCustomKeyStore")
}

pub(super) fn connect(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Changed {
    refuse_store(call, input, "kms:ConnectCustomKeyStore")
}

pub(super) fn disconnect(call: &Call<'_>, input: Input<'_>, _: &mut Facts) -> Changed {
    refuse_store(call, input, "kms:DisconnectCustomKeyStore")
}

fn refuse_store(call: &Call<'_>, mut input: Input<'_>, action: &str) -> Changed {
    let id = input.text("CustomKeyStoreId", 1..=ID_CHARS_MAX);
    input.finish(id)?;
    refuse(call, action)
}

fn refuse(call: &Call<'_>, action: &str) -> Changed {
    let _asked_by = call.authorize_identity(action, "*")?;
    Err(Refusal::new(
        ErrorCode::UnsupportedOperationException,
        "Custom key stores are not supported: all key material is in the engine's own store.",
    ))
}
