//! `ImportKeyMaterial`: material from outside, into a key that was made for it.
//!
//! A symmetric key may get several, one after the other: the first is current at once, a later one waits for
//! `RotateKeyOnDemand`. Every other key has one material for life. Material that was there before comes back only as the
//! same bytes, which its id shows. So does the material of a replica: its places are those of the primary key's materials.

use keytrail_event::Timestamp;
use zeroize::Zeroizing;

use super::{Call, Changed, KEY_ID_CHARS};
use crate::blob::BLOB_BYTES_MAX;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::import::ImportToken;
use crate::input::{Input, Word};
use crate::material::{MaterialId, WrappedMaterial};
use crate::names::{KeyReference, Naming};
use crate::parameters::{MaterialDescription, read_material_id};
use crate::reply::Reply;
use crate::state::{Change, Import, Key, KeyMaterial};

/// The farthest that an expiry may lie ahead.
const EXPIRY_NANOS_MAX: u64 = 365 * 86_400 * 1_000_000_000;

struct Request {
    key: String,
    token: Zeroizing<Vec<u8>>,
    wrapped: Zeroizing<Vec<u8>>,
    valid_to: Option<Timestamp>,
    model: Option<ExpirationModel>,
    kind: Option<ImportType>,
    description: Option<MaterialDescription>,
    material: Option<MaterialId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpirationModel {
    Expires,
    DoesNotExpire,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ImportType {
    New,
    Existing,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            token: input.blob("ImportToken", BLOB_BYTES_MAX),
            wrapped: input.blob("EncryptedKeyMaterial", BLOB_BYTES_MAX),
            valid_to: input.time("ValidTo"),
            model: input.optional_word("ExpirationModel"),
            kind: input.optional_word("ImportType"),
            description: MaterialDescription::read(&mut input),
            material: read_material_id(&mut input),
        };
        let request = input.finish(request)?;
        if request.kind == Some(ImportType::New) && request.material.is_some() {
            let text = "You cannot specify KeyMaterialId if ImportType is NEW_KEY_MATERIAL";
            return Err(Refusal::validation(text));
        }
        Ok(request)
    }

    /// When the material is to be deleted. Whoever wants it to stay has to say so.
    fn expiry(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let refused = |text: &str| Err(Refusal::validation(text));
        match (self.model.unwrap_or(ExpirationModel::Expires), self.valid_to) {
            (ExpirationModel::DoesNotExpire, None) => Ok(None),
            (ExpirationModel::DoesNotExpire, Some(_)) => refused(
                "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
            ),
            (ExpirationModel::Expires, None) => {
                refused("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
            }
            (ExpirationModel::Expires, Some(date)) => {
                let ahead = date.unix_nanos().saturating_sub(now.unix_nanos());
                match ahead {
                    0 => refused("The validTo date must be in the future"),
                    1..=EXPIRY_NANOS_MAX => Ok(Some(date)),
                    _ => refused("The validTo date must be at most 365 days ahead"),
                }
            }
        }
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let request = Request::read(input)?;
    let expires = request.expiry(call.now)?;
    let reference = KeyReference::parse(&request.key, Naming::KeyOnly, call.home())?;
    let key = call.find(&reference)?;
    let _imported_by = call.authorize("kms:ImportKeyMaterial", key)?;
    facts.parameters = parameters(reference, &request);
    facts.resources.push(key.arn.clone().into());
    key.check_external()?;
    key.check_not_pending()?;
    check_kind(key, &request)?;
    let material = unwrap(call, key, &request)?;
    check_place(key, &request, material.id)?;
    let known = key.materials.find(material.id).and_then(|known| known.import.as_ref());
    let kept = || known.and_then(|import| import.description.clone());
    let import = Import { description: request.description.clone().or_else(kept), expires };
    facts.elements =
        vec![Fact::KeyArn(key.arn.clone()), Fact::Material("KeyMaterialId", material.id)];
    let reply = Reply::object(0)
        .json("KeyId", key.arn.as_str())
        .json("KeyMaterialId", material.id.to_string())
        .finish();
    Ok((
        reply,
        Change::MaterialImported { key: key.arn.clone(), material: Box::new(material), import },
    ))
}

/// Refuses what only symmetric keys have.
fn check_kind(key: &Key, request: &Request) -> Result<(), Refusal> {
    let sent = [
        ("ImportType", request.kind.is_some()),
        ("KeyMaterialDescription", request.description.is_some()),
        ("KeyMaterialId", request.material.is_some()),
    ];
    match sent.into_iter().find(|(_, sent)| *sent && !key.is_symmetric()) {
        Some((name, _)) => {
            let text = format!("{name} is not valid for {}: it is not a symmetric key.", key.arn);
            Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
        }
        None => Ok(()),
    }
}

/// The material in the request, wrapped under a key of its own instead.
fn unwrap(call: &Call<'_>, key: &Key, request: &Request) -> Result<WrappedMaterial, Refusal> {
    let token = ImportToken::open(&request.token, call.config, call.store_key);
    let token = token.filter(|token| token.key == key.arn);
    let token = token.ok_or(Refusal::bare(ErrorCode::InvalidImportTokenException))?;
    if token.valid_to <= call.now {
        return Err(Refusal::bare(ErrorCode::ExpiredImportTokenException));
    }
    // Before the material is unwrapped, which is slow: the run that orders it ends here.
    let under = call.new_material_key()?;
    let bytes = token.unwrap(&request.wrapped);
    let bytes = bytes.ok_or(Refusal::bare(ErrorCode::InvalidCiphertextException))?;
    let spec = key.kind.spec();
    WrappedMaterial::import(spec, &bytes, key.id(), &under, call.random).ok_or_else(|| {
        let text = format!("The key material is not valid for key spec {}.", spec.as_str());
        Refusal::new(ErrorCode::IncorrectKeyMaterialException, text)
    })
}

/// Refuses material for which the key has no place.
fn check_place(key: &Key, request: &Request, id: MaterialId) -> Result<(), Refusal> {
    let incorrect = |text: &str| Err(Refusal::new(ErrorCode::IncorrectKeyMaterialException, text));
    if request.material.is_some_and(|named| named != id) {
        return incorrect("The key material is not the one that KeyMaterialId names.");
    }
    let known = key.materials.find(id).is_some();
    // A replica is told which material it is to have, and has not seen it yet.
    let unseen = |material: &KeyMaterial| material.import.is_none() && material.wrapped().is_none();
    let is_empty_place = key.materials.find(id).is_some_and(unseen);
    let first = key.materials.current().is_none();
    let default = if first { ImportType::New } else { ImportType::Existing };
    match request.kind.unwrap_or(default) {
        ImportType::Existing if known => Ok(()),
        ImportType::Existing => {
            incorrect("The key material is not one that was imported into this key before.")
        }
        ImportType::New if first || is_empty_place => Ok(()),
        // What a replica has comes from its primary key.
        ImportType::New if key.is_replica() => {
            incorrect("The key material is not that of the multi-Region primary key.")
        }
        ImportType::New => match key.materials.waiting().map(KeyMaterial::id) {
            Some(waiting) if waiting == id => Ok(()),
            _ if known => incorrect("The key material was imported into this key before."),
            Some(waiting) => {
                let text = format!(
                    "New key material (id: {id}) cannot be imported into KMS key {}, because another key material (id: \
                     {waiting}) is pending rotation.",
                    key.arn
                );
                Err(Refusal::new(ErrorCode::KMSInvalidStateException, text))
            }
            None => Ok(()),
        },
    }
}

fn parameters(reference: KeyReference, request: &Request) -> Vec<Fact> {
    let mut facts = vec![Fact::KeyId(reference)];
    facts.extend(request.valid_to.map(Fact::ValidTo));
    let model = request.model.unwrap_or(ExpirationModel::Expires);
    facts.push(Fact::Word("ExpirationModel", model.as_str()));
    facts.extend(request.kind.map(|kind| Fact::Word("ImportType", kind.as_str())));
    facts.extend(request.description.clone().map(Fact::KeyMaterialDescription));
    facts.extend(request.material.map(|id| Fact::Material("KeyMaterialId", id)));
    facts
}

impl Word for ExpirationModel {
    const ALL: &'static [Self] = &[Self::Expires, Self::DoesNotExpire];

    fn as_str(self) -> &'static str {
        match self {
            Self::Expires => "KEY_MATERIAL_EXPIRES",
            Self::DoesNotExpire => "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }
    }
}

impl Word for ImportType {
    const ALL: &'static [Self] = &[Self::New, Self::Existing];

    fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW_KEY_MATERIAL",
            Self::Existing => "EXISTING_KEY_MATERIAL",
        }
    }
}
