//! `ReplicateKey`: a related key in another Region, with the same id and material, and attributes of its own.
//!
//! It takes two permissions: `kms:ReplicateKey` on the primary key, and `kms:CreateKey` (and `kms:TagResource`) where the
//! replica comes to be. The replica is there at once; the answer says `Creating`, as with AWS. Two records: the call in the
//! Region of the primary key, and `CreateKey` in the replica's.

use keytrail_auth::{ConditionKey, KeyPolicy};
use keytrail_event::Region;

use super::create_key::check_lockout;
use super::put_key_policy::parse_policy;
use super::{Assumed, Call, Changed, KEY_ID_CHARS};
use crate::error::{ErrorCode, Refusal};
use crate::facts::{Elsewhere, Fact, Facts};
use crate::input::Input;
use crate::metadata::KeyFacts;
use crate::names::{KeyReference, Naming};
use crate::parameters::Description;
use crate::reply::Reply;
use crate::state::{Change, Key};
use crate::tags::{Tag, read_tags};

struct Request {
    key: String,
    region: String,
    description: Description,
    policy: Option<KeyPolicy>,
    bypass_lockout_check: bool,
    tags: Option<Vec<Tag>>,
}

impl Request {
    fn read(mut input: Input<'_>) -> Result<Self, Refusal> {
        let policy = input.optional_text("Policy", 1..=131_072);
        let (tags, tags_well) = read_tags(&mut input);
        let request = Self {
            key: input.text("KeyId", KEY_ID_CHARS),
            region: read_region(&mut input, "ReplicaRegion"),
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

/// A Region as the API bounds it.
pub(super) fn read_region(input: &mut Input<'_>, member: &str) -> String {
    let allowed =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    input.text_of(member, 32, r"^([a-z]+-){2,3}\d+$", allowed)
}

pub(super) fn run(call: &Call<'_>, input: Input<'_>, facts: &mut Facts) -> Changed {
    let request = Request::read(input)?;
    let reference = KeyReference::parse(&request.key, Naming::KeyOnly, call.home())?;
    let primary = call.find(&reference)?;
    let _replicated_by = call.authorize("kms:ReplicateKey", primary)?;
    facts.parameters = parameters(reference, &request)?;
    facts.resources.push(primary.arn.clone().into());
    let family = primary.check_primary()?;
    let region = find_region(call, &request.region)?;
    let created = authorize_creation(call, primary, region, request.tags.is_some());
    // A denied call is recorded without what it asked for.
    created.inspect_err(|_| *facts = Facts::default())?;
    primary.check_enabled()?;
    if family.regions().any(|other| other == region) {
        let text = format!("Key '{}' already exists", primary.in_region(region));
        return Err(Refusal::new(ErrorCode::AlreadyExistsException, text));
    }
    let Request { description, policy, bypass_lockout_check, tags, .. } = request;
    let arn = primary.in_region(region);
    if let Some(policy) = policy.as_ref().filter(|_| !bypass_lockout_check) {
        check_lockout(call, &arn, policy)?;
    }
    let policy = policy.unwrap_or_else(|| KeyPolicy::default_for(arn.account()));
    let attributes = (description, policy, tags.unwrap_or_default());
    let replica = primary.replica(region, call.now, attributes);
    facts.elements = vec![
        Fact::ReplicaKeyMetadata(Box::new(creating(&replica))),
        Fact::ReplicaPolicy(replica.policy.clone()),
    ];
    if !replica.tags.is_empty() {
        facts.elements.push(Fact::ReplicaTags(replica.tags.clone()));
    }
    facts.elsewhere.push(creation(&replica, bypass_lockout_check));
    let tags = replica.tags.iter().map(Tag::to_reply);
    let reply = Reply::object(2048)
        .nested("ReplicaKeyMetadata", creating(&replica).to_reply())
        .json("ReplicaPolicy", replica.policy.as_str())
        .list("ReplicaTags", tags)
        .finish();
    Ok((reply, Change::KeyReplicated(Box::new(replica))))
}

/// What [`read_region`] read; whether there is such a Region is another matter.
pub(super) fn region_named(text: &str) -> Result<Region, Refusal> {
    Region::parse(text).map_err(|error| Refusal::validation(error.to_string()))
}

/// One of the engine's Regions.
fn find_region<'a>(call: &Call<'a>, name: &str) -> Result<&'a Region, Refusal> {
    let found = call.config.regions.iter().find(|region| region.as_str() == name);
    found.ok_or_else(|| {
        let text = format!("There are no keys in {name} here.");
        Refusal::new(ErrorCode::UnsupportedOperationException, text)
    })
}

/// Whether the caller may make such a key in that Region: as if it called `CreateKey` there.
fn authorize_creation(
    call: &Call<'_>,
    primary: &Key,
    region: &Region,
    with_tags: bool,
) -> Result<(), Refusal> {
    let (spec, usage) = (primary.kind.spec().as_str(), primary.kind.usage().as_str());
    let context = [
        (ConditionKey::RequestedRegion, region.as_str()),
        (ConditionKey::KeySpec, spec),
        (ConditionKey::CustomerMasterKeySpec, spec),
        (ConditionKey::KeyUsage, usage),
        (ConditionKey::CustomerMasterKeyUsage, usage),
        (ConditionKey::KeyOrigin, primary.origin.as_str()),
        (ConditionKey::MultiRegion, "true"),
        (ConditionKey::MultiRegionKeyType, "REPLICA"),
    ];
    let context = context.map(|(key, value)| (key, value.to_owned()));
    let assumed = Assumed { context: context.to_vec(), ..Assumed::default() };
    let _created_by = call.authorize_as("kms:CreateKey", "*", &assumed)?;
    if with_tags {
        let _tagged_by = call.authorize_as("kms:TagResource", "*", &assumed)?;
    }
    Ok(())
}

/// A new replica as AWS tells about it, which needs a moment for it.
fn creating(replica: &Key) -> KeyFacts {
    KeyFacts {
        key_state: "Creating",
        enabled: false,
        current_key_material_id: None,
        ..replica.metadata()
    }
}

fn parameters(reference: KeyReference, request: &Request) -> Result<Vec<Fact>, Refusal> {
    let Request { region, description, policy, bypass_lockout_check, tags, .. } = request;
    let region = region_named(region)?;
    let mut facts = vec![Fact::KeyId(reference), Fact::Region("ReplicaRegion", region)];
    facts.extend(policy.clone().map(Fact::Policy));
    facts.push(Fact::BypassPolicyLockoutSafetyCheck(*bypass_lockout_check));
    facts.push(Fact::Description(description.clone()));
    facts.extend(tags.clone().map(Fact::Tags));
    Ok(facts)
}

/// `CreateKey` in the Region of the replica.
fn creation(replica: &Key, bypass_lockout_check: bool) -> Elsewhere {
    let spec = replica.kind.spec().as_str();
    let mut parameters = vec![
        Fact::Description(replica.description.clone()),
        Fact::Word("KeyUsage", replica.kind.usage().as_str()),
        Fact::Word("Origin", replica.origin.as_str()),
        Fact::Word("KeySpec", spec),
        Fact::Word("CustomerMasterKeySpec", spec),
        Fact::BypassPolicyLockoutSafetyCheck(bypass_lockout_check),
        Fact::Policy(replica.policy.clone()),
    ];
    if !replica.tags.is_empty() {
        parameters.push(Fact::Tags(replica.tags.clone()));
    }
    parameters.push(Fact::MultiRegion(true));
    let facts = Facts {
        parameters,
        elements: vec![Fact::KeyMetadata(Box::new(creating(replica)))],
        resources: vec![replica.arn.clone().into()],
        ..Facts::default()
    };
    Elsewhere { operation: "CreateKey", place: replica.arn.place().clone(), facts }
}
