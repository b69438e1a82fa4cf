//! `CreateKey`: a new key of any kind, enabled, under the default policy or a given one.

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
use crate::metadata::KeyFacts;
use crate::names::KeyId;
use crate::parameters::Description;
use crate::reply::Reply;
use crate::state::{Change, Key};
use crate::tags::{Tag, read_tags};

struct Request {
    kind: KeyKind,
    description: Description,
    policy: Option<KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<Vec<Tag>>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let kind = SentKind::read(&mut input)?;
        check_origin(&mut input)?;
        let policy = input.optional_text("Policy", 1..=131_072);
        let (tags, tags_well) = read_tags(&mut input);
        let request = Self {
            kind: KeyKind::default(),
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

/// Refuses origins and keys that are not here; they are told apart from nonsense.
fn check_origin(input: &mut Input<'_>) -> Result<(), Refusal> {
    const ORIGINS: &[&str] = &[KeyFacts::ORIGIN, "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
    let origin = input.choice("Origin", ORIGINS).unwrap_or(KeyFacts::ORIGIN);
    let unsupported = |what: &str| {
        let text = format!("{what} is not supported yet.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    };
    if origin != KeyFacts::ORIGIN {
        return unsupported(&format!("Origin {origin}"));
    }
    if input.flag("MultiRegion") {
        return unsupported("MultiRegion");
    }
    match ["CustomKeyStoreId", "XksKeyId"].into_iter().find(|name| input.has(name)) {
        Some(name) => unsupported(name),
        None => Ok(()),
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let Request { kind, description, policy, bypass_lockout_check, tags } = Request::read(input)?;
    let _created_by = call.authorize_identity("kms:CreateKey", "*")?;
    if tags.is_some() {
        let _tagged_by = call.authorize_identity("kms:TagResource", "*")?;
    }
    facts.parameters =
        parameters(kind, &description, policy.as_ref(), bypass_lockout_check, tags.as_ref());
    let id = KeyId::from_random(random_bytes(call.random));
    let arn = id.arn(call.config);
    if let Some(policy) = policy.as_ref().filter(|_| !bypass_lockout_check) {
        check_lockout(call, arn.as_str(), policy)?;
    }
    let policy = policy.unwrap_or_else(|| KeyPolicy::default_for(&call.config.account));
    let wrapped = new_material(call, kind.spec(), id)?;
    let attributes = (description, policy, tags.unwrap_or_default());
    let key = Key::new((id, arn.clone()), call.now, kind, attributes, wrapped);
    let metadata = key.metadata(call.config);
    let reply = Reply::object(1024).nested("KeyMetadata", metadata.to_reply()).finish();
    facts.resources.push(arn);
    facts.elements.push(Fact::KeyMetadata(Box::new(metadata)));
    Ok((reply, Change::KeyCreated(Box::new(key))))
}

fn new_material(call: &Call<'_>, spec: KeySpec, id: KeyId) -> Result<WrappedMaterial, Refusal> {
    if spec == KeySpec::SymmetricDefault {
        let material = Material::generate(id, call.random);
        return Ok(WrappedMaterial::wrap(&material, id, call.root_key, call.random));
    }
    let secret = call.new_secret_key(spec)?;
    WrappedMaterial::wrap_secret_key(&secret, id, call.root_key, call.random)
        .map_err(|_| Refusal::internal())
}

/// Defaults are filled in; what has no default is there only when it was sent.
fn parameters(
    kind: KeyKind,
    description: &Description,
    policy: Option<&KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<&Vec<Tag>>,
) -> Vec<Fact> {
    let spec = kind.spec().as_str();
    let mut facts = vec![
        Fact::Description(description.clone()),
        Fact::Word("KeyUsage", kind.usage().as_str()),
        Fact::Origin,
        Fact::Word("KeySpec", spec),
        Fact::Word("CustomerMasterKeySpec", spec),
        Fact::BypassPolicyLockoutSafetyCheck(bypass_lockout_check),
    ];
    facts.extend(policy.cloned().map(Fact::Policy));
    facts.extend(tags.cloned().map(Fact::Tags));
    facts
}

/// Refuses a policy after which its writer could not change it any more.
pub(super) fn check_lockout(call: &Call<'_>, arn: &str, policy: &KeyPolicy) -> Result<(), Refusal> {
    if call.is_locked_out_by(policy, arn) {
        Err(Refusal::new(
            ErrorCode::MalformedPolicyDocumentException,
            "The new key policy will not allow you to update the key policy in the future.",
        ))
    } else {
        Ok(())
    }
}
