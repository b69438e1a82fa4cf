//! `DeleteImportedKeyMaterial`: the bytes go, the place stays; importing the same bytes brings them back.

use super::{Call, Changed, KEY_ID_CHARS};
use crate::error::Refusal;
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::names::{KeyReference, Naming};
use crate::parameters::read_material_id;
use crate::reply::Reply;
use crate::state::{Change, KeyMaterial};

pub(super) fn run(call: &Call<'_>, mut input: Input<'_>, facts: &mut Facts) -> Changed {
    let key = input.text("KeyId", KEY_ID_CHARS);
    let named = read_material_id(&mut input);
    let (key, named) = input.finish((key, named))?;
    let reference = KeyReference::parse(&key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _deleted_by = call.authorize("kms:DeleteImportedKeyMaterial", key)?;
    facts.parameters.push(Fact::KeyId(reference));
    facts.parameters.extend(named.map(|id| Fact::Material("KeyMaterialId", id)));
    facts.resources.push(key.arn.clone().into());
    key.check_external()?;
    if named.is_some_and(|id| key.materials.find(id).is_none()) {
        let text = format!("The key {} has no such key material.", key.arn);
        return Err(Refusal::not_found(text));
    }
    // Without a name the current one is meant. A key that never had any, or has lost it, is no error: nothing is deleted.
    let material = named.or_else(|| key.materials.current().map(KeyMaterial::id));
    facts.elements.push(Fact::KeyArn(key.arn.clone()));
    facts.elements.extend(material.map(|id| Fact::Material("KeyMaterialId", id)));
    let reply = Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .maybe(material, |reply, id| reply.json("KeyMaterialId", id.to_string()))
        .finish();
    Ok((reply, Change::MaterialDeleted { key: key.arn.clone(), material }))
}
