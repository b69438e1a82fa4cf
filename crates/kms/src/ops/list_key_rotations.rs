//! `ListKeyRotations`: a key's rotations, or all its materials, oldest first, page by page.

use super::page::Page;
use super::{Call, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::material::MaterialId;
use crate::names::{KeyReference, Naming};
use crate::parameters::{IncludeKeyMaterial, Marker};
use crate::reply::Reply;
use crate::state::{Key, KeyMaterial};

const LIMIT_DEFAULT: u32 = 100;

struct Request {
    key: String,
    include: Option<IncludeKeyMaterial>,
    limit: Option<u32>,
    marker: Option<Marker>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            include: IncludeKeyMaterial::read(&mut input),
            limit: input.integer("Limit", 1..=1000),
            marker: Marker::read(&mut input)?,
        };
        input.finish(request)
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Result<Reply, Refusal> {
    let Request { key, include, limit, marker } = Request::read(input)?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _listed_to = call.authorize("kms:ListKeyRotations", key)?;
    let rest = key.materials.iter().skip(place_behind(key, marker.as_ref())?);
    facts.parameters.push(Fact::KeyId(reference));
    facts.parameters.extend(include.map(Fact::IncludeKeyMaterial));
    facts.parameters.extend(limit.map(Fact::Limit));
    facts.parameters.extend(marker.map(Fact::Marker));
    facts.resources.push(key.arn.clone().into());
    key.check_rotates()?;
    let all = include == Some(IncludeKeyMaterial::All);
    let rest = rest.filter(|material| all || material.rotation.is_some());
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let page = Page::take(rest, limit, |material| material.id().to_string());
    Ok(page.reply("Rotations", |material| entry(call, key, material)))
}

fn place_behind(key: &Key, marker: Option<&Marker>) -> Result<usize, Refusal> {
    let Some(marker) = marker else { return Ok(0) };
    let id = MaterialId::try_from(marker.name().to_owned()).ok();
    let last = key.materials.iter().position(|material| Some(material.id()) == id);
    let invalid = || Refusal::new(ErrorCode::InvalidMarkerException, "Invalid marker");
    last.map(|last| last + 1).ok_or_else(invalid)
}

fn entry(call: &Call<'_>, key: &Key, material: &KeyMaterial) -> Reply {
    let is = |other: Option<&KeyMaterial>| other.is_some_and(|other| other.id() == material.id());
    let state = match () {
        () if is(key.materials.waiting()) && !key.is_ready_to_rotate(call.state) => {
            "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
        }
        () if is(key.materials.waiting()) => "PENDING_ROTATION",
        () if is(key.materials.current()) => "CURRENT",
        () => "NON_CURRENT",
    };
    let imported = if material.wrapped().is_some() { "IMPORTED" } else { "PENDING_IMPORT" };
    Reply::object(0)
        .json("KeyId", key.id().to_string())
        .json("KeyMaterialId", material.id().to_string())
        .maybe(material.import.as_ref(), |reply, import| {
            reply
                .maybe(import.description.as_ref(), |reply, text| {
                    reply.json("KeyMaterialDescription", text.as_str())
                })
                .json("ImportState", imported)
                .json("ExpirationModel", import.expiration_model())
                .maybe(import.expires, |reply, date| reply.time("ValidTo", date))
        })
        .json("KeyMaterialState", state)
        .maybe(material.rotation, |reply, rotation| {
            reply.time("RotationDate", rotation.date).json("RotationType", rotation.kind.as_str())
        })
}
