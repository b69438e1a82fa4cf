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
use crate::state::{Change, Key, KeyOrigin, MultiRegion};
use crate::tags::{Tag, read_tags};

struct Request {
    kind: KeyKind,
    origin: KeyOrigin,
    description: Description,
    policy: Option<KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<Vec<Tag>>,
    /// What was sent: a record tells it only then.
    multi_region: Option<bool>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let kind = SentKind::read(&mut input)?;
        let origin = read_origin(&mut input);
        let policy = input.optional_text("Policy", 1..=131_072);
        let (tags, tags_well) = read_tags(&mut input);
        let request = Self {
            kind: KeyKind::default(),
            origin: KeyOrigin::AwsKms,
            description: Description::read(&mut input),
            policy: None,
            bypass_lockout_check: input.flag("BypassPolicyLockoutSafetyCheck"),
            tags,
            multi_region: input.member("MultiRegion"),
        };
        let request = input.finish(request)?;
        tags_well?;
        let (origin, policy) = (origin?, policy.as_deref().map(parse_policy).transpose()?);
        Ok(Self { kind: kind.check()?, origin, policy, ..request })
    }
}

/// Reads where the material is to come from. What is well and not here is refused when all else is read.
fn read_origin(input: &mut Input<'_>) -> Result<KeyOrigin, Refusal> {
    const ORIGINS: &[&str] = &["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
    let unsupported = |what: &str| {
        let text = format!("{what} is not supported: there are no custom key stores here.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    };
    let store = input.optional_text("CustomKeyStoreId", 1..=64).map(|_| "CustomKeyStoreId");
    let key = input.optional_text("XksKeyId", 1..=128).map(|_| "XksKeyId");
    match (input.choice("Origin", ORIGINS), store.or(key)) {
        (Some(other), _) if !matches!(other, "AWS_KMS" | "EXTERNAL") => {
            unsupported(&format!("Origin {other}"))
        }
        (_, Some(member)) => unsupported(member),
        (Some("EXTERNAL"), None) => Ok(KeyOrigin::External),
        _ => Ok(KeyOrigin::AwsKms),
    }
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let request = Request::read(input)?;
    let _created_by = call.authorize_identity("kms:CreateKey", "*")?;
    if request.tags.is_some() {
        let _tagged_by = call.authorize_identity("kms:TagResource", "*")?;
    }
    facts.parameters = parameters(&request);
    let Request { kind, origin, description, policy, bypass_lockout_check, tags, multi_region } =
        request;
    let multi_region = multi_region == Some(true);
    let random = random_bytes(call.random);
    let id = if multi_region { KeyId::MultiRegion(random) } else { KeyId::from_random(random) };
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
    let mut key = Key::new(arn.clone(), call.now, kind, attributes, wrapped);
    key.multi_region = multi_region.then(|| MultiRegion::of_primary(arn.place().region().clone()));
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
    let Request { kind, origin, description, policy, bypass_lockout_check, tags, multi_region } =
        request;
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
    facts.extend(multi_region.map(Fact::MultiRegion));
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
