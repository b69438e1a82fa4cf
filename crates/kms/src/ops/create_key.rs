//! `CreateKey`: a new key of any kind, enabled or waiting for its import, under the default policy or a given one.

use keytrail_auth::KeyPolicy;

use super::key_kind::SentKind;
use super::put_key_policy::parse_policy;
use super::{Call, Changed};
use crate::algorithms::{KeyKind, KeySpec};
use crate::environment::random_bytes;
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Fact, Facts};
use crate::input::Input;
use crate::material::{Material, WrappedMaterial};
use crate::names::{KeyArn, KeyId};
use crate::parameters::Description;
use crate::reply::Reply;
use crate::state::{Change, Key, KeyOrigin};
use crate::tags::{Tag, read_tags};

struct Request {
    kind: KeyKind,
    origin: KeyOrigin,
    description: Description,
    policy: Option<KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<Vec<Tag>>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let kind = SentKind::read(&mut input)?;
        let origin = read_origin(&mut input)?;
        let policy = input.optional_text("Policy", 1..=131_072);
        let (tags, tags_well) = read_tags(&mut input);
        let request = Self {
            kind: KeyKind::default(),
            origin,
            description: Description::read(&mut input),
            policy: None,
            bypass_lockout_check: input.flag("BypassPolicyLockoutSafetyCheck"),
            tags,
        };
        let request = input.finish(request)?;
        tags_well?;
        let policy = policy.as_deref().map(parse_policy).transpose()?;
        Ok(Self { kind: kind.check()?, policy, ..request })
    }
}

/// Reads where the material is to come from. Origins and keys that are not here are told apart from nonsense.
fn read_origin(input: &mut Input<'_>) -> Result<KeyOrigin, Refusal> {
    const ORIGINS: &[&str] = &["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
    let origin = input.choice("Origin", ORIGINS);
    let unsupported = |what: &str| {
        let text = format!("{what} is not supported yet.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    };
    let origin = match origin {
        None | Some("AWS_KMS") => KeyOrigin::AwsKms,
        Some("EXTERNAL") => KeyOrigin::External,
        Some(other) => return unsupported(&format!("Origin {other}")),
    };
    if input.flag("MultiRegion") {
        return unsupported("MultiRegion");
    }
    match ["CustomKeyStoreId", "XksKeyId"].into_iter().find(|name| input.has(name)) {
        Some(name) => unsupported(name),
        None => Ok(origin),
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let request = Request::read(input)?;
    let _created_by = call.authorize_identity("kms:CreateKey", "*")?;
    if request.tags.is_some() {
        let _tagged_by = call.authorize_identity("kms:TagResource", "*")?;
    }
    facts.parameters = parameters(&request);
    let Request { kind, origin, description, policy, bypass_lockout_check, tags } = request;
    let id = KeyId::from_random(random_bytes(call.random));
    let arn = call.home().key_arn(id);
    if let Some(policy) = policy.as_ref().filter(|_| !bypass_lockout_check) {
        check_lockout(call, &arn, policy)?;
    }
    let policy = policy.unwrap_or_else(|| KeyPolicy::default_for(arn.account()));
    let wrapped = match origin {
        KeyOrigin::AwsKms => Some(new_material(call, kind.spec(), id)?),
        KeyOrigin::External => None,
    };
    let attributes = (description, policy, tags.unwrap_or_default());
    let key = Key::new(arn.clone(), call.now, kind, attributes, wrapped);
    let metadata = key.metadata();
    let reply = Reply::object(1024).nested("KeyMetadata", metadata.to_reply()).finish();
    facts.resources.push(arn.into());
    facts.elements.push(Fact::KeyMetadata(Box::new(metadata)));
    Ok((reply, Change::KeyCreated(Box::new(key))))
}

fn new_material(call: &Call<'_>, spec: KeySpec, id: KeyId) -> Result<WrappedMaterial, Refusal> {
    let under = call.new_material_key()?;
    if spec == KeySpec::SymmetricDefault {
        let material = Material::generate(id, call.random);
        return Ok(WrappedMaterial::wrap(&material, id, &under, call.random));
    }
    let secret = call.new_secret_key(spec)?;
    WrappedMaterial::wrap_secret_key(&secret, id, &under, call.random)
        .map_err(|_| Refusal::internal())
}

/// Defaults are filled in; what has no default is there only when it was sent.
fn parameters(request: &Request) -> Vec<Fact> {
    let Request { kind, origin, description, policy, bypass_lockout_check, tags } = request;
    let spec = kind.spec().as_str();
    let mut facts = vec![
        Fact::Description(description.clone()),
        Fact::Word("KeyUsage", kind.usage().as_str()),
        Fact::Word("Origin", origin.as_str()),
        Fact::Word("KeySpec", spec),
        Fact::Word("CustomerMasterKeySpec", spec),
        Fact::BypassPolicyLockoutSafetyCheck(*bypass_lockout_check),
    ];
    facts.extend(policy.clone().map(Fact::Policy));
    facts.extend(tags.clone().map(Fact::Tags));
    facts
}

/// Refuses a policy after which its writer could not change it any more.
pub(super) fn check_lockout(
    call: &Call<'_>,
    arn: &KeyArn,
    policy: &KeyPolicy,
) -> Result<(), Refusal> {
    if call.is_locked_out_by(policy, arn) {
        Err(Refusal::new(
            ErrorCode::MalformedPolicyDocumentException,
            "The new key policy will not allow you to update the key policy in the future.",
        ))
    } else {
        Ok(())
    }
}
