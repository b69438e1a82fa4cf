//! What an operation tells its record: facts, a type without room for secrets.
//!
//! Every variant holds a value of a type that was read or made by this crate as *public*: names, sizes, policies, contexts,
//! ids, times. There is no variant of bytes and none of free text, so plaintexts, ciphertexts, messages, signatures, key
//! material, data keys and secret access keys have no way in. [`Fact::Word`] holds words that stand in this program's text:
//! nothing that a call brings or makes is one. Any other new parameter needs a new variant here, which is where a reviewer
//! looks.

use crate::state::{GrantId, GrantName, Status};
use keytrail_auth::{
    AccessKeyId, GrantConstraint, GrantOperation, GrantPrincipal, IdentityPolicy, KeyPolicy,
    UserId, UserName,
};
use keytrail_event::{AccountId, Arn, Json, Region, Timestamp};

use crate::context::EncryptionContext;
use crate::identity_facts::IdentityFact;
use crate::input::lower_first;
use crate::material::MaterialId;
use crate::metadata::KeyFacts;
use crate::names::{AliasName, KeyArn, KeyReference, Place, ResourceArn};
use crate::parameters::{Description, IncludeKeyMaterial, Marker, MaterialDescription, PolicyName};
use crate::tags::{Tag, TagKey};

/// All that the record of one call says beside who, when and whether.
///
/// Filled step by step: an operation adds its parameters and resources only after the decision said yes, so the record of
/// a denied call, or of one whose key does not exist, has neither (cloudtrail: such calls show `null`).
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// `requestParameters`; `null` if there are none.
    pub(crate) parameters: Vec<Fact>,
    /// `responseElements`; `null` if there are none, or the call failed.
    pub(crate) elements: Vec<Fact>,
    /// `additionalEventData`; absent if there is none.
    pub(crate) additional: Vec<Fact>,
    /// ARNs of keys and aliases, and of a role that is assumed.
    pub(crate) resources: Vec<ResourceArn>,
    /// What the call does in other Regions, if it succeeds: a record each, right behind its own.
    pub(crate) elsewhere: Vec<Elsewhere>,
}

/// An operation that KMS carries out in another Region for the caller of this one.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) operation: &'static str,
    pub(crate) place: Place,
    pub(crate) facts: Facts,
}

/// One fact; which member it becomes is decided here, once.
#[derive(Debug)]
pub(crate) enum Fact {
    AccessKey {
        id: AccessKeyId,
        user: UserName,
        created: Timestamp,
    },
    AccessKeyId(AccessKeyId),
    /// An account that there is from now on.
    AccountCreated(AccountId),
    AccountId(AccountId),
    AliasName(AliasName),
    BypassPolicyLockoutSafetyCheck(bool),
    DeletionDate(Timestamp),
    Description(Description),
    /// The member's name, and the context; left out when it is empty, as AWS does.
    Context(&'static str, EncryptionContext),
    IncludeKeyMaterial(IncludeKeyMaterial),
    /// The key as the caller named it.
    KeyId(KeyReference),
    /// The key as the engine found it.
    KeyArn(KeyArn),
    /// The member's name, and the material: `ReEncrypt` has two.
    Material(&'static str, MaterialId),
    KeyMaterialDescription(MaterialDescription),
    KeyMetadata(Box<KeyFacts>),
    /// About roles and sessions.
    Identity(IdentityFact),
    /// What a key comes to be in.
    KeyState(Status),
    MultiRegion(bool),
    /// The member's name, and the Region.
    Region(&'static str, Region),
    ReplicaKeyMetadata(Box<KeyFacts>),
    ReplicaPolicy(KeyPolicy),
    ReplicaTags(Vec<Tag>),
    GrantConstraint(GrantConstraint),
    GrantId(GrantId),
    GrantName(GrantName),
    GrantOperations(Vec<GrantOperation>),
    GranteePrincipal(GrantPrincipal),
    RetiringPrincipal(GrantPrincipal),
    Limit(u32),
    Marker(Marker),
    NumberOfBytes(u32),
    PendingWindowInDays(u32),
    Policy(KeyPolicy),
    /// The only name that a key's policy can have.
    PolicyNameDefault,
    PolicyDocument(IdentityPolicy),
    PolicyName(PolicyName),
    RootAccessKey {
        id: AccessKeyId,
        created: Timestamp,
    },
    RotationPeriodInDays(u32),
    Tags(Vec<Tag>),
    TagKeys(Vec<TagKey>),
    TargetKeyId(KeyReference),
    /// A key as the caller named it, where there are two; with the member's name.
    OtherKey(&'static str, KeyReference),
    User {
        arn: Arn,
        id: UserId,
        name: UserName,
        created: Timestamp,
    },
    UserName(UserName),
    ValidTo(Timestamp),
    /// A member whose value is one of the API's own words: an algorithm, a spec, a usage.
    Word(&'static str, &'static str),
}

impl Fact {
    /// The member's API name and its value; `None` if the member is left out.
    fn member(&self) -> Option<(&'static str, Json)> {
        Some(match self {
            Self::AccessKey { id, user, created } => ("AccessKey", access_key(id, user, *created)),
            Self::AccessKeyId(id) => ("AccessKeyId", id.as_str().into()),
            Self::AccountCreated(account) => {
                let status = Json::object().with("state", "SUCCEEDED");
                ("CreateAccountStatus", status.with("accountId", account.as_str()))
            }
            Self::AccountId(account) => ("AccountId", account.as_str().into()),
            Self::AliasName(name) => ("AliasName", name.as_str().into()),
            Self::BypassPolicyLockoutSafetyCheck(bypass) => {
                ("BypassPolicyLockoutSafetyCheck", (*bypass).into())
            }
            Self::DeletionDate(date) => ("DeletionDate", date.locale().into()),
            Self::Description(description) => ("Description", description.as_str().into()),
            Self::Context(_, context) if context.is_empty() => return None,
            Self::Context(name, context) => (*name, context.to_json()),
            Self::IncludeKeyMaterial(include) => ("IncludeKeyMaterial", include.as_str().into()),
            Self::KeyId(reference) => ("KeyId", reference.sent().into()),
            Self::KeyArn(arn) => ("KeyId", arn.as_str().into()),
            Self::Material(name, id) => (*name, id.to_string().into()),
            Self::KeyMaterialDescription(text) => ("KeyMaterialDescription", text.as_str().into()),
            Self::KeyMetadata(metadata) => ("KeyMetadata", metadata.to_record()),
            Self::Identity(fact) => fact.member(),
            Self::KeyState(status) => ("KeyState", status.as_str().into()),
            Self::MultiRegion(flag) => ("MultiRegion", (*flag).into()),
            Self::Region(name, region) => (*name, region.as_str().into()),
            Self::ReplicaKeyMetadata(metadata) => ("ReplicaKeyMetadata", metadata.to_record()),
            Self::ReplicaPolicy(policy) => ("ReplicaPolicy", policy.as_str().into()),
            Self::ReplicaTags(tags) => ("ReplicaTags", tag_list(tags)),
            Self::GrantConstraint(constraint) => ("Constraints", constraint_object(constraint)),
            Self::GrantId(id) => ("GrantId", id.to_string().into()),
            Self::GrantName(name) => ("Name", name.0.as_str().into()),
            Self::GrantOperations(operations) => {
                let names = operations.iter().map(|operation| operation.as_str());
                ("Operations", names.collect::<Vec<_>>().into())
            }
            Self::GranteePrincipal(principal) => ("GranteePrincipal", principal.as_str().into()),
            Self::RetiringPrincipal(principal) => ("RetiringPrincipal", principal.as_str().into()),
            Self::Limit(limit) => ("Limit", (*limit).into()),
            Self::Marker(marker) => ("Marker", marker.as_str().into()),
            Self::NumberOfBytes(bytes) => ("NumberOfBytes", (*bytes).into()),
            Self::PendingWindowInDays(days) => ("PendingWindowInDays", (*days).into()),
            Self::Policy(policy) => ("Policy", policy.as_str().into()),
            Self::PolicyNameDefault => ("PolicyName", "default".into()),
            Self::PolicyDocument(policy) => ("PolicyDocument", policy.as_str().into()),
            Self::PolicyName(name) => ("PolicyName", name.as_str().into()),
            Self::RootAccessKey { id, created } => {
                let key = Json::object().with("accessKeyId", id.as_str()).with("status", "Active");
                ("AccessKey", key.with("createDate", created.locale()))
            }
            Self::RotationPeriodInDays(days) => ("RotationPeriodInDays", (*days).into()),
            Self::Tags(tags) => ("Tags", tag_list(tags)),
            Self::TagKeys(keys) => {
                ("TagKeys", keys.iter().map(TagKey::as_str).collect::<Vec<_>>().into())
            }
            Self::TargetKeyId(reference) => ("TargetKeyId", reference.sent().into()),
            Self::OtherKey(name, reference) => (*name, reference.sent().into()),
            Self::User { arn, id, name, created } => ("User", user(arn, id, name, *created)),
            Self::UserName(name) => ("UserName", name.as_str().into()),
            Self::ValidTo(date) => ("ValidTo", date.locale().into()),
            Self::Word(name, word) => (*name, (*word).into()),
        })
    }
}

impl Facts {
    /// The material that this member of `additionalEventData` names.
    pub(crate) fn additional_material(&self, member: &str) -> Option<MaterialId> {
        self.additional.iter().find_map(|fact| match fact {
            Fact::Material(name, id) if *name == member => Some(*id),
            _ => None,
        })
    }
}

/// The object that these facts make, or `None` if they make none.
pub(crate) fn object(facts: &[Fact]) -> Option<Json> {
    let members = facts.iter().filter_map(Fact::member);
    let object =
        members.fold(Json::object(), |object, (name, value)| object.with(lower_first(name), value));
    (object != Json::object()).then_some(object)
}

fn tag_list(tags: &[Tag]) -> Json {
    tags.iter().map(Tag::to_record).collect::<Vec<_>>().into()
}

fn constraint_object(constraint: &GrantConstraint) -> Json {
    let pairs = constraint.pairs().iter();
    let pairs = pairs.fold(Json::object(), |object, (key, value)| object.with(key, value.as_str()));
    Json::object().with(lower_first(constraint.kind()), pairs)
}

fn access_key(id: &AccessKeyId, user: &UserName, created: Timestamp) -> Json {
    Json::object()
        .with("userName", user.as_str())
        .with("accessKeyId", id.as_str())
        .with("status", "Active")
        .with("createDate", created.locale())
}

fn user(arn: &Arn, id: &UserId, name: &UserName, created: Timestamp) -> Json {
    Json::object()
        .with("path", "/")
        .with("userName", name.as_str())
        .with("userId", id.as_str())
        .with("arn", arn.to_string())
        .with("createDate", created.locale())
}
