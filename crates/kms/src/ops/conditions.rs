//! The condition keys of a call: what policies may ask about it beyond who, what and where.
//!
//! Gathered only when a policy asks, from four places: the caller and the connection, the clock, the key (what `DescribeKey`
//! tells about it, its tags and aliases), and the request's members. A member counts only for the actions that have it,
//! because operations leave members that they do not know alone, and nobody may pass a condition with one of those. What a
//! request leaves out counts with its default
//! ([condition keys of KMS](https://docs.aws.amazon.com/kms/latest/developerguide/policy-conditions.html)).

use std::collections::BTreeMap;
use std::net::IpAddr;

use keytrail_auth::{ConditionKey, GrantPrincipal, RequestContext};
use keytrail_event::{Arn, Json, Timestamp};

use super::Call;
use crate::aws_managed::via_service;
use crate::blob::CiphertextBlob;
use crate::names::{KeyReference, Naming};
use crate::state::{Key, Role};
use crate::tags::{IamTag, Tag};

/// All condition keys of `action` in this call.
pub(super) fn of_call(call: &Call<'_>, action: &str, key: Option<&Key>) -> RequestContext {
    let mut gathered = Gathered { call, context: RequestContext::default() };
    gathered.add_caller();
    if let Some(key) = key {
        gathered.add_key(key);
    }
    gathered.add_request(action, key);
    gathered.context
}

/// All condition keys of an `AssumeRole`, of whichever of its actions.
pub(super) fn of_assumption(call: &Call<'_>, role: Option<&Role>) -> RequestContext {
    let mut gathered = Gathered { call, context: RequestContext::default() };
    gathered.add_caller();
    gathered.add_assumption(role);
    gathered.context
}

/// The encryption context of `action` in this call: the one that its grants are held to.
pub(super) fn encryption_context(call: &Call<'_>, action: &str) -> BTreeMap<String, String> {
    let member = context_member(action.strip_prefix("kms:").unwrap_or_default());
    member.and_then(|member| call.sent.member(member)).unwrap_or_default()
}

/// Where a request has the encryption context of an action.
fn context_member(name: &str) -> Option<&'static str> {
    match name {
        "Encrypt"
        | "Decrypt"
        | "GenerateDataKey"
        | "GenerateDataKeyWithoutPlaintext"
        | "GenerateDataKeyPair"
        | "GenerateDataKeyPairWithoutPlaintext" => Some("EncryptionContext"),
        "ReEncryptFrom" => Some("SourceEncryptionContext"),
        "ReEncryptTo" => Some("DestinationEncryptionContext"),
        _ => None,
    }
}

/// `Constraints` of a grant: by kind, the pairs.
type Constraints = BTreeMap<String, Option<BTreeMap<String, String>>>;

struct Gathered<'a> {
    call: &'a Call<'a>,
    context: RequestContext,
}

impl Gathered<'_> {
    fn add_caller(&mut self) {
        let Call { caller, now, .. } = self.call;
        let (principal, add) = (caller.principal(), &mut self.context);
        add.add_principal(principal, caller.principal_id());
        for Tag { tag_key, tag_value } in self.call.principal_tags() {
            add.add(&ConditionKey::PrincipalTag(tag_key), tag_value);
        }
        if let Some(session) = caller.session() {
            add.add(&ConditionKey::TokenIssueTime, session.issued);
            if let Some(identity) = &session.source_identity {
                add.add(&ConditionKey::SourceIdentity, identity.as_str());
            }
        }
        // A service that calls for somebody has a name here instead of an address, and then AWS has no key.
        if caller.source_ip().parse::<IpAddr>().is_ok() {
            add.add(&ConditionKey::SourceIp, caller.source_ip());
        }
        add.add(&ConditionKey::UserAgent, caller.user_agent());
        add.add(&ConditionKey::SecureTransport, caller.tls().is_some());
        add.add(&ConditionKey::ViaAwsService, caller.via().is_some());
        if let Some(host) = caller.via() {
            add.add(&ConditionKey::ViaService, via_service(host, caller.home()));
        }
        add.add(&ConditionKey::CurrentTime, *now);
        add.add(&ConditionKey::EpochTime, now.unix_seconds());
        add.add(&ConditionKey::RequestedRegion, caller.region().as_str());
    }

    fn add_key(&mut self, key: &Key) {
        let facts = key.metadata().to_record();
        for (member, to) in [
            ("keySpec", ConditionKey::KeySpec),
            ("keySpec", ConditionKey::CustomerMasterKeySpec),
            ("keyUsage", ConditionKey::KeyUsage),
            ("keyUsage", ConditionKey::CustomerMasterKeyUsage),
            ("origin", ConditionKey::KeyOrigin),
            ("multiRegion", ConditionKey::MultiRegion),
        ] {
            match described(&facts, member) {
                Some(Json::Text(text)) => self.context.add(&to, text.as_str()),
                Some(Json::Bool(flag)) => self.context.add(&to, *flag),
                _ => {}
            }
        }
        let regions = described(&facts, "multiRegionConfiguration");
        if let Some(Json::Text(kind)) = regions.and_then(|it| described(it, "multiRegionKeyType")) {
            self.context.add(&ConditionKey::MultiRegionKeyType, kind.as_str());
        }
        self.context.add(&ConditionKey::ResourceAccount, key.arn.account().as_str());
        for Tag { tag_key, tag_value } in &key.tags {
            let tag = ConditionKey::ResourceTag(tag_key.clone());
            self.context.add(&tag, tag_value.as_str());
        }
        for alias in self.call.state.aliases_of(&key.arn) {
            self.context.add(&ConditionKey::ResourceAliases, alias.as_str());
        }
    }

    /// What the request itself says, by action.
    fn add_request(&mut self, action: &str, key: Option<&Key>) {
        const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";
        let name = action.strip_prefix("kms:").unwrap_or_default();
        self.add_alias(match name {
            "ReEncryptFrom" => "SourceKeyId",
            "ReEncryptTo" => "DestinationKeyId",
            _ => "KeyId",
        });
        if let Some(member) = context_member(name) {
            let pairs = self.call.sent.member::<BTreeMap<String, String>>(member);
            self.add_context(pairs.unwrap_or_default());
        }
        match name {
            "Encrypt" | "Decrypt" => {
                self.add_text("EncryptionAlgorithm", ConditionKey::EncryptionAlgorithm, SYMMETRIC);
            }
            "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
                self.context.add(&ConditionKey::EncryptionAlgorithm, SYMMETRIC);
            }
            "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
                self.context.add(&ConditionKey::EncryptionAlgorithm, SYMMETRIC);
                self.add_sent("KeyPairSpec", ConditionKey::DataKeyPairSpec);
            }
            "ReEncryptFrom" => {
                let algorithm = ConditionKey::EncryptionAlgorithm;
                self.add_text("SourceEncryptionAlgorithm", algorithm, SYMMETRIC);
                self.add_same_key(key);
            }
            "ReEncryptTo" => {
                let algorithm = ConditionKey::EncryptionAlgorithm;
                self.add_text("DestinationEncryptionAlgorithm", algorithm, SYMMETRIC);
                self.add_same_key(key);
            }
            "Sign" | "Verify" => {
                self.add_sent("SigningAlgorithm", ConditionKey::SigningAlgorithm);
                self.add_text("MessageType", ConditionKey::MessageType, "RAW");
            }
            "GenerateMac" | "VerifyMac" => {
                self.add_sent("MacAlgorithm", ConditionKey::MacAlgorithm);
            }
            "DeriveSharedSecret" => {
                self.add_sent("KeyAgreementAlgorithm", ConditionKey::KeyAgreementAlgorithm);
            }
            _ => self.add_administration(name),
        }
    }

    fn add_administration(&mut self, name: &str) {
        match name {
            "CreateGrant" => self.add_grant(),
            "RevokeGrant" => self.context.add(&ConditionKey::GrantIsForAwsResource, false),
            "CreateKey" => {
                let spec = self.call.sent.member::<String>("CustomerMasterKeySpec");
                let spec = spec.unwrap_or_else(|| "SYMMETRIC_DEFAULT".to_owned());
                self.add_text("KeySpec", ConditionKey::KeySpec, &spec);
                self.add_text("KeySpec", ConditionKey::CustomerMasterKeySpec, &spec);
                self.add_text("KeyUsage", ConditionKey::KeyUsage, "ENCRYPT_DECRYPT");
                self.add_text("KeyUsage", ConditionKey::CustomerMasterKeyUsage, "ENCRYPT_DECRYPT");
                self.add_text("Origin", ConditionKey::KeyOrigin, "AWS_KMS");
                self.add_flag("MultiRegion", ConditionKey::MultiRegion);
                if self.call.sent.member::<bool>("MultiRegion") == Some(true) {
                    self.context.add(&ConditionKey::MultiRegionKeyType, "PRIMARY");
                }
                self.add_bypass();
                self.add_tags();
            }
            "PutKeyPolicy" => self.add_bypass(),
            "ReplicateKey" => {
                self.add_sent("ReplicaRegion", ConditionKey::ReplicaRegion);
                self.add_bypass();
                self.add_tags();
            }
            "UpdatePrimaryRegion" => {
                self.add_sent("PrimaryRegion", ConditionKey::PrimaryRegion);
            }
            "TagResource" => self.add_tags(),
            "UntagResource" => {
                for tag in self.call.sent.member::<Vec<String>>("TagKeys").unwrap_or_default() {
                    self.context.add(&ConditionKey::TagKeys, tag);
                }
            }
            "ScheduleKeyDeletion" => {
                let days = ConditionKey::ScheduleKeyDeletionPendingWindowInDays;
                self.add_number("PendingWindowInDays", days, 30);
            }
            "EnableKeyRotation" => {
                let days = ConditionKey::RotationPeriodInDays;
                self.add_number("RotationPeriodInDays", days, 365);
            }
            "GetParametersForImport" => {
                self.add_sent("WrappingAlgorithm", ConditionKey::WrappingAlgorithm);
                self.add_sent("WrappingKeySpec", ConditionKey::WrappingKeySpec);
            }
            "ImportKeyMaterial" => {
                let model = ConditionKey::ExpirationModel;
                self.add_text("ExpirationModel", model, "KEY_MATERIAL_EXPIRES");
                if let Some(seconds) = self.call.sent.member::<f64>("ValidTo") {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a float cast saturates, and never below 0"
                    )]
                    let date = Timestamp::from_unix_seconds(seconds as u64);
                    self.context.add(&ConditionKey::ValidTo, date);
                }
            }
            _ => {}
        }
    }

    /// What the request says about the session to be, and the tags of the role.
    fn add_assumption(&mut self, role: Option<&Role>) {
        for (member, to) in [
            ("ExternalId", ConditionKey::ExternalId),
            ("RoleSessionName", ConditionKey::RoleSessionName),
            ("SourceIdentity", ConditionKey::RequestedSourceIdentity),
        ] {
            self.add_sent(member, to);
        }
        for tag in self.call.sent.member::<Vec<IamTag>>("Tags").unwrap_or_default() {
            let key = tag.key.unwrap_or_default();
            self.context.add(&ConditionKey::TagKeys, key.as_str());
            self.context.add(&ConditionKey::RequestTag(key), tag.value.unwrap_or_default());
        }
        for key in self.call.sent.member::<Vec<String>>("TransitiveTagKeys").unwrap_or_default() {
            self.context.add(&ConditionKey::TransitiveTagKeys, key);
        }
        for Tag { tag_key, tag_value } in role.into_iter().flat_map(|role| &role.tags) {
            self.context.add(&ConditionKey::ResourceTag(tag_key.clone()), tag_value.as_str());
        }
    }

    /// `kms:EncryptionContext:…` and `kms:EncryptionContextKeys`.
    fn add_context(&mut self, pairs: BTreeMap<String, String>) {
        for (key, value) in pairs {
            self.context.add(&ConditionKey::EncryptionContextKeys, key.as_str());
            self.context.add(&ConditionKey::EncryptionContext(key), value);
        }
    }

    /// What a new grant is to be. The pairs of its constraint count as the request's encryption context.
    fn add_grant(&mut self) {
        self.context.add(&ConditionKey::GrantIsForAwsResource, false);
        for operation in self.call.sent.member::<Vec<String>>("Operations").unwrap_or_default() {
            self.context.add(&ConditionKey::GrantOperations, operation);
        }
        for (member, to) in [
            ("GranteePrincipal", ConditionKey::GranteePrincipal),
            ("RetiringPrincipal", ConditionKey::RetiringPrincipal),
        ] {
            let sent = self.call.sent.member::<String>(member).unwrap_or_default();
            if let Ok(principal) = GrantPrincipal::parse(&sent) {
                self.context.add(&to, principal.as_str());
            }
        }
        let constraints = self.call.sent.member::<Constraints>("Constraints").unwrap_or_default();
        for (kind, pairs) in constraints {
            let Some(pairs) = pairs else { continue };
            self.context.add(&ConditionKey::GrantConstraintType, kind);
            self.add_context(pairs);
        }
    }

    /// `kms:RequestAlias`: the alias that the request names its key by.
    fn add_alias(&mut self, member: &str) {
        let sent = self.call.sent.member::<String>(member).unwrap_or_default();
        let arn = Arn::parse(&sent).ok();
        let of_arn = arn.as_ref().and_then(Arn::kms_alias_name);
        if let Some(alias) = of_arn.or_else(|| sent.starts_with("alias/").then_some(&sent)) {
            self.context.add(&ConditionKey::RequestAlias, alias);
        }
    }

    /// `aws:RequestTag/…` and `aws:TagKeys`.
    fn add_tags(&mut self) {
        for tag in self.call.sent.member::<Vec<Tag>>("Tags").unwrap_or_default() {
            self.context.add(&ConditionKey::TagKeys, tag.tag_key.as_str());
            self.context.add(&ConditionKey::RequestTag(tag.tag_key), tag.tag_value);
        }
    }

    /// `kms:ReEncryptOnSameKey`, if both keys can be told from the request.
    fn add_same_key(&mut self, key: Option<&Key>) {
        let find = |member: &str| {
            let name = self.call.sent.member::<String>(member)?;
            let reference =
                KeyReference::parse(&name, Naming::KeyOrAlias, self.call.home()).ok()?;
            self.call.find(&reference).ok().map(|key| &key.arn)
        };
        let of_blob = || {
            let text = self.call.sent.member::<String>("CiphertextBlob")?;
            let bytes = crate::input::decode_base64(&text)?;
            let blob = CiphertextBlob::parse(bytes).ok()?;
            self.call.find_by_id(blob.key_id()).map(|key| &key.arn)
        };
        let source = find("SourceKeyId").or_else(of_blob);
        if let (Some(source), Some(destination), Some(_)) = (source, find("DestinationKeyId"), key)
        {
            self.context.add(&ConditionKey::ReEncryptOnSameKey, source == destination);
        }
    }

    fn add_bypass(&mut self) {
        let key = ConditionKey::BypassPolicyLockoutSafetyCheck;
        self.add_flag("BypassPolicyLockoutSafetyCheck", key);
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn add_sent(&mut self, member: &str, key: ConditionKey) {
        if let Some(text) = self.call.sent.member::<String>(member) {
            self.context.add(&key, text);
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn add_text(&mut self, member: &str, key: ConditionKey, default: &str) {
        let sent = self.call.sent.member::<String>(member);
        self.context.add(&key, sent.unwrap_or_else(|| default.to_owned()));
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn add_flag(&mut self, member: &str, key: ConditionKey) {
        self.context.add(&key, self.call.sent.member::<bool>(member).unwrap_or_default());
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn add_number(&mut self, member: &str, key: ConditionKey, default: u64) {
        self.context.add(&key, self.call.sent.member::<u64>(member).unwrap_or(default));
    }
}

/// A member of what `DescribeKey` tells.
pub(super) fn described<'a>(object: &'a Json, member: &str) -> Option<&'a Json> {
    let Json::Object(members) = object else { return None };
    members.iter().find(|(name, _)| name == member).map(|(_, value)| value)
}
