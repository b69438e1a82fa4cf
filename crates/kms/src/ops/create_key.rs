//! `CreateKey`: a new symmetric key, enabled, under the default policy or a given one.

use keytrail_auth::KeyPolicy;

use super::put_key_policy::parse_policy;
use super::{Call, Changed};
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
    description: Description,
    policy: Option<KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<Vec<Tag>>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        read_kind(&mut input)?;
        let policy = input.optional_text("Policy", 1..=131_072);
        let (tags, tags_well) = read_tags(&mut input);
        let request = Self {
            description: Description::read(&mut input),
            policy: None,
            bypass_lockout_check: input.flag("BypassPolicyLockoutSafetyCheck"),
            tags,
        };
        let request = input.finish(request)?;
        tags_well?;
        let policy = policy.as_deref().map(parse_policy).transpose()?;
        Ok(Self { policy, ..request })
    }
}

/// Accepts the one kind of key there is; the others are told apart from nonsense.
fn read_kind(input: &mut Input<'_>) -> Result<(), Refusal> {
    const SPECS: &[&str] = &[
        "RSA_2048",
        "RSA_3072",
        "RSA_4096",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
        KeyFacts::KEY_SPEC,
        "HMAC_224",
        "HMAC_256",
        "HMAC_384",
        "HMAC_512",
        "SM2",
        "ML_DSA_44",
        "ML_DSA_65",
        "ML_DSA_87",
    ];
    const USAGES: &[&str] =
        &["SIGN_VERIFY", KeyFacts::KEY_USAGE, "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"];
    const ORIGINS: &[&str] = &[KeyFacts::ORIGIN, "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
    if input.has("KeySpec") && input.has("CustomerMasterKeySpec") {
        return Err(Refusal::validation(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
        ));
    }
    let specs = [input.choice("KeySpec", SPECS), input.choice("CustomerMasterKeySpec", SPECS)];
    let spec = specs.into_iter().flatten().next().unwrap_or(KeyFacts::KEY_SPEC);
    let usage = input.choice("KeyUsage", USAGES).unwrap_or(KeyFacts::KEY_USAGE);
    let origin = input.choice("Origin", ORIGINS).unwrap_or(KeyFacts::ORIGIN);
    let unsupported = |what: &str| {
        let text = format!("{what} is not supported yet.");
        Err(Refusal::new(ErrorCode::UnsupportedOperationException, text))
    };
    if spec != KeyFacts::KEY_SPEC {
        return unsupported(&format!("KeySpec {spec}"));
    }
    if usage != KeyFacts::KEY_USAGE {
        let text = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
        return Err(Refusal::validation(text));
    }
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
    let Request { description, policy, bypass_lockout_check, tags } = Request::read(input)?;
    let _created_by = call.authorize_identity("kms:CreateKey", "*")?;
    if tags.is_some() {
        let _tagged_by = call.authorize_identity("kms:TagResource", "*")?;
    }
    facts.parameters =
        parameters(&description, policy.as_ref(), bypass_lockout_check, tags.as_ref());
    let id = KeyId::from_random(random_bytes(call.random));
    let arn = id.arn(call.config);
    if let Some(policy) = policy.as_ref().filter(|_| !bypass_lockout_check) {
        check_lockout(call, arn.as_str(), policy)?;
    }
    let policy = policy.unwrap_or_else(|| KeyPolicy::default_for(&call.config.account));
    let material = Material::generate(id, call.random);
    let wrapped = WrappedMaterial::wrap(&material, id, call.root_key, call.random);
    let attributes = (description, policy, tags.unwrap_or_default());
    let key = Key::new((id, arn.clone()), call.now, attributes, wrapped);
    let metadata = key.metadata(call.config);
    let reply = Reply::object(1024).nested("KeyMetadata", metadata.to_reply()).finish();
    facts.resources.push(arn);
    facts.elements.push(Fact::KeyMetadata(Box::new(metadata)));
    Ok((reply, Change::KeyCreated(Box::new(key))))
}

/// Defaults are filled in; what has no default is there only when it was sent.
fn parameters(
    description: &Description,
    policy: Option<&KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<&Vec<Tag>>,
) -> Vec<Fact> {
    let mut facts = vec![
        Fact::Description(description.clone()),
        Fact::KeyUsage,
        Fact::Origin,
        Fact::KeySpec,
        Fact::CustomerMasterKeySpec,
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
