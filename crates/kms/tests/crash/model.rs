//! What must be true, by the log alone.
//!
//! An auditor's second implementation: it knows CloudTrail's members (`eventName`, `requestParameters`, `responseElements`,
//! `serviceEventDetails`, `errorCode`) and what AWS says the operations do, and nothing of the engine's code. Fed with every
//! record in order, it tells what `DescribeKey`, `ListGrants` and their like must answer, whole and member by member.
//!
//! It is a judge of the log too: [`Model::take`] stops at a record that could not have come where it stands, such as an
//! Encrypt by a key that the records before it disabled.
//!
//! All the state there is follows from the records. Three things do not show in it, because by design no record holds them:
//! key material (told by its id; the probes of `check` show that the bytes are there), grant tokens and secret access keys
//! (known to whoever got the answer). Times are whole seconds, as in `eventTime`.

use std::collections::BTreeMap;

use keytrail_event::Timestamp;
use serde_json::{Map, Value, json};

use crate::story::{ACCOUNT, REGION, text};

const DAY: u64 = 86_400;

/// AWS's default key policy, as its documentation prints it.
const DEFAULT_POLICY: &str = "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {\n    \
     \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \
     \"AWS\" : \"arn:aws:iam::111122223333:root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}";

/// Operations that are a use of a key.
const USES: &[&str] = &["Encrypt", "Decrypt", "Sign", "Verify", "GenerateMac", "VerifyMac"];

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) keys: BTreeMap<String, Key>,
    aliases: BTreeMap<String, Alias>,
    users: BTreeMap<String, User>,
}

/// A key, by its id.
pub(crate) struct Key {
    arn: String,
    created: u64,
    /// `keyMetadata` of its `CreateKey`, spelled as the API does. What can change is written over when it is told.
    metadata: Map<String, Value>,
    description: String,
    policy: String,
    tags: BTreeMap<String, String>,
    /// What people made of it.
    made: Made,
    materials: Vec<Material>,
    /// Imported, and to be current after the next rotation.
    waiting: Option<Material>,
    schedule: Option<Schedule>,
    rotation_requested: Option<u64>,
    grants: BTreeMap<String, Value>,
    last_use: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Made {
    Enabled,
    Disabled,
    PendingDeletion(u64),
}

struct Material {
    id: String,
    present: bool,
    /// Date and kind of the rotation that made it current.
    rotation: Option<(u64, String)>,
    import: Option<Import>,
}

struct Import {
    description: Option<String>,
    expires: Option<u64>,
}

#[derive(Clone, Copy)]
struct Schedule {
    days: u64,
    next: u64,
}

struct Alias {
    target: String,
    created: u64,
    updated: u64,
}

struct User {
    id: String,
    created: u64,
    access_keys: Vec<String>,
    policies: Vec<String>,
}

impl Model {
    /// Takes the next record of the log.
    pub(crate) fn take(&mut self, record: &Value) {
        match (record["eventSource"].as_str(), record.get("errorCode")) {
            (Some("kms.amazonaws.com"), None) => self.take_call(record),
            (Some("kms.amazonaws.com"), Some(code)) => {
                self.check_refusal(record, code.as_str().unwrap());
            }
            (Some("iam.amazonaws.com"), None) => self.take_iam(record),
            _ => {}
        }
    }

    fn take_call(&mut self, record: &Value) {
        let name = text(record, "eventName");
        let now = seconds(record);
        match name {
            "CreateKey" => self.create_key(record),
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => self.take_alias(record),
            "DeleteKey" => {
                let id = key_id(record).unwrap();
                let key = self.keys.remove(&id).unwrap();
                assert!(matches!(key.made, Made::PendingDeletion(date) if date <= now), "{record}");
                self.aliases.retain(|_, alias| alias.target != id);
            }
            _ if USES.contains(&name) => self.use_key(record),
            _ => {
                if let Some(key) = key_id(record).and_then(|id| self.keys.get_mut(&id)) {
                    key.take(record);
                }
            }
        }
    }

    fn create_key(&mut self, record: &Value) {
        // A key that AWS manages is made by no call: then the details say what was not asked for.
        let (parameters, now) = (&record["requestParameters"], seconds(record));
        let details = &record["serviceEventDetails"];
        let recorded = record["responseElements"]["keyMetadata"].as_object().unwrap();
        let metadata: Map<String, Value> =
            recorded.iter().map(|(name, value)| (upper_first(name), value.clone())).collect();
        let material = metadata.get("CurrentKeyMaterialId").map(|id| id.as_str().unwrap());
        // A key that is no symmetric one has a material too; its id is never told.
        let made_here = recorded["origin"] == "AWS_KMS";
        let first = made_here.then(|| Material::made(material.unwrap_or_default(), None));
        let tags = parameters["tags"].as_array().into_iter().flatten();
        let policy = parameters["policy"].as_str().or(details["policy"].as_str());
        let days = details["rotationPeriodInDays"].as_u64();
        let key = Key {
            arn: text(&record["resources"][0], "ARN").to_owned(),
            created: now,
            metadata,
            description: recorded["description"].as_str().unwrap().to_owned(),
            policy: policy.unwrap_or(DEFAULT_POLICY).to_owned(),
            tags: tags.map(tag).collect(),
            made: Made::Enabled,
            materials: first.into_iter().collect(),
            waiting: None,
            schedule: days.map(|days| Schedule { days, next: now + days * DAY }),
            rotation_requested: None,
            grants: BTreeMap::new(),
            last_use: json!({}),
        };
        if let Some((_, name)) = details["aliasArn"].as_str().and_then(|arn| arn.rsplit_once(':')) {
            let alias = Alias { target: key_id(record).unwrap(), created: now, updated: now };
            assert!(self.aliases.insert(name.to_owned(), alias).is_none(), "{record}");
        }
        let there = self.keys.insert(key_id(record).unwrap(), key);
        assert!(there.is_none(), "made twice: {record}");
    }

    fn take_alias(&mut self, record: &Value) {
        let name = text(&record["requestParameters"], "aliasName").to_owned();
        let (target, now) = (key_id(record).unwrap(), seconds(record));
        assert!(self.keys.contains_key(&target), "{record}");
        match text(record, "eventName") {
            "CreateAlias" => {
                let alias = Alias { target, created: now, updated: now };
                assert!(self.aliases.insert(name, alias).is_none(), "{record}");
            }
            "UpdateAlias" => {
                let alias = self.aliases.get_mut(&name).unwrap();
                (alias.target, alias.updated) = (target, now);
            }
            _ => assert_eq!(self.aliases.remove(&name).unwrap().target, target),
        }
    }

    /// Cryptography that succeeded: the key was enabled, and its material is the one that the record names.
    fn use_key(&mut self, record: &Value) {
        let key = self.keys.get_mut(&key_id(record).unwrap()).unwrap();
        assert_eq!(key.state(), "Enabled", "{record}");
        let named = record["additionalEventData"]["keyMaterialId"].as_str();
        let current = key.current();
        match (text(record, "eventName"), named) {
            ("Encrypt", Some(id)) => assert_eq!(id, current.unwrap().id, "{record}"),
            ("Decrypt", Some(id)) => {
                assert!(key.materials.iter().any(|material| material.id == id), "{record}");
            }
            _ => {}
        }
        key.last_use = json!({
            "Operation": record["eventName"],
            "Timestamp": seconds(record),
            "CloudTrailEventId": record["eventID"],
            "KmsRequestId": record["requestID"],
        });
    }

    /// A refusal by the state of things says what that state was.
    fn check_refusal(&self, record: &Value, code: &str) {
        let message = record["errorMessage"].as_str().unwrap_or_default();
        let alias = record["requestParameters"]["aliasName"].as_str();
        let state = key_id(record).and_then(|id| self.keys.get(&id)).map(Key::state);
        let expected = match code {
            "DisabledException" => "Disabled",
            "KMSInvalidStateException" if message.ends_with("is pending deletion.") => {
                "PendingDeletion"
            }
            "KMSInvalidStateException" if message.ends_with("is pending import.") => {
                "PendingImport"
            }
            "AlreadyExistsException" => {
                assert!(self.aliases.contains_key(alias.unwrap()), "{record}");
                return;
            }
            "NotFoundException" => {
                let id =
                    message.strip_suffix("' does not exist").and_then(|m| m.rsplit('/').next());
                assert!(id.is_none_or(|id| !self.keys.contains_key(id)), "{record}");
                let alias = message.strip_suffix(" is not found.");
                let alias = alias.and_then(|arn| arn.rsplit(':').next());
                assert!(alias.is_none_or(|name| !self.aliases.contains_key(name)), "{record}");
                return;
            }
            _ => return,
        };
        assert_eq!(state, Some(expected), "{record}");
    }

    fn take_iam(&mut self, record: &Value) {
        let parameters = &record["requestParameters"];
        let Some(name) = parameters["userName"].as_str() else { return };
        let member = |member: &str| text(parameters, member).to_owned();
        match text(record, "eventName") {
            "CreateUser" => {
                let id = text(&record["responseElements"]["user"], "userId").to_owned();
                let (access_keys, policies) = (Vec::new(), Vec::new());
                let user = User { id, created: seconds(record), access_keys, policies };
                assert!(self.users.insert(name.to_owned(), user).is_none(), "{record}");
            }
            "DeleteUser" => {
                let user = self.users.remove(name).unwrap();
                assert!(user.access_keys.is_empty() && user.policies.is_empty(), "{record}");
            }
            event => {
                let user = self.users.get_mut(name).unwrap();
                match event {
                    "PutUserPolicy" => user.policies.push(member("policyName")),
                    "DeleteUserPolicy" => remove(&mut user.policies, &member("policyName")),
                    "CreateAccessKey" => {
                        let made = &record["responseElements"]["accessKey"];
                        user.access_keys.push(text(made, "accessKeyId").to_owned());
                    }
                    "DeleteAccessKey" => remove(&mut user.access_keys, &member("accessKeyId")),
                    _ => {}
                }
            }
        }
    }

    /// What `ListAliases` must answer.
    pub(crate) fn aliases(&self) -> Vec<Value> {
        let aliases = self.aliases.iter().map(|(name, alias)| {
            json!({
                "AliasName": name,
                "AliasArn": format!("arn:aws:kms:{REGION}:{ACCOUNT}:{name}"),
                "TargetKeyId": alias.target,
                "CreationDate": alias.created,
                "LastUpdatedDate": alias.updated,
            })
        });
        aliases.collect()
    }

    /// What the list of users must show.
    pub(crate) fn users(&self) -> Vec<Value> {
        let users = self.users.iter().map(|(name, user)| {
            json!({
                "name": name,
                "id": user.id,
                "created": user.created,
                "access keys": sorted(&user.access_keys),
                "policies": sorted(&user.policies),
            })
        });
        users.collect()
    }
}

impl Key {
    fn take(&mut self, record: &Value) {
        let (parameters, now) = (&record["requestParameters"], seconds(record));
        match text(record, "eventName") {
            "EnableKey" => self.made = Made::Enabled,
            "DisableKey" | "CancelKeyDeletion" => self.made = Made::Disabled,
            "ScheduleKeyDeletion" => {
                let days = parameters["pendingWindowInDays"].as_u64().unwrap();
                let date = now + days * DAY;
                let told = seconds_of_locale(text(&record["responseElements"], "deletionDate"));
                assert_eq!(told, date, "{record}");
                self.made = Made::PendingDeletion(date);
            }
            "PutKeyPolicy" => text(parameters, "policy").clone_into(&mut self.policy),
            "UpdateKeyDescription" => {
                text(parameters, "description").clone_into(&mut self.description);
            }
            "TagResource" => {
                self.tags.extend(parameters["tags"].as_array().unwrap().iter().map(tag));
            }
            "UntagResource" => {
                for name in parameters["tagKeys"].as_array().unwrap() {
                    self.tags.remove(name.as_str().unwrap());
                }
            }
            "EnableKeyRotation" => {
                let days = parameters["rotationPeriodInDays"].as_u64().unwrap();
                self.schedule = Some(Schedule { days, next: now + days * DAY });
            }
            "DisableKeyRotation" => self.schedule = None,
            "RotateKeyOnDemand" => self.rotation_requested = Some(now),
            "RotateKey" => self.rotate(record),
            "ImportKeyMaterial" => self.import(record),
            "DeleteImportedKeyMaterial" | "DeleteExpiredKeyMaterial" => self.delete(record),
            "CreateGrant" => self.grant(record),
            "RevokeGrant" => drop(self.grants.remove(text(parameters, "grantId")).unwrap()),
            "RetireGrant" => {
                let id = text(&record["additionalEventData"], "grantId");
                drop(self.grants.remove(id).unwrap());
            }
            _ => {}
        }
    }

    fn rotate(&mut self, record: &Value) {
        let (details, now) = (&record["serviceEventDetails"], seconds(record));
        assert_eq!(self.state(), "Enabled", "{record}");
        let previous = details["previousKeyMaterialId"].as_str();
        assert_eq!(previous, self.current().map(|material| &*material.id), "{record}");
        let (kind, id) = (text(details, "rotationType"), text(details, "currentKeyMaterialId"));
        let rotation = Some((now, kind.to_owned()));
        if kind == "ON_DEMAND" {
            assert!(self.rotation_requested.take().is_some(), "nobody asked: {record}");
        } else {
            let schedule = self.schedule.as_mut().unwrap();
            assert!(schedule.next <= now, "too early: {record}");
            let period = schedule.days * DAY;
            schedule.next += ((now - schedule.next) / period + 1) * period;
        }
        let material = match self.waiting.take() {
            Some(waiting) => Material { rotation, ..waiting },
            None => Material::made(id, rotation),
        };
        assert_eq!(material.id, id, "{record}");
        self.materials.push(material);
    }

    fn import(&mut self, record: &Value) {
        let parameters = &record["requestParameters"];
        let id = text(&record["responseElements"], "keyMaterialId");
        let missed = !self.is_complete();
        let expires = parameters["validTo"].as_str().map(seconds_of_locale);
        let described = parameters["keyMaterialDescription"].as_str().map(str::to_owned);
        let places = self.materials.iter_mut().chain(&mut self.waiting);
        if let Some(place) = places.into_iter().find(|place| place.id == id) {
            let kept = place.import.take().and_then(|import| import.description);
            let description = described.or(kept);
            (place.present, place.import) = (true, Some(Import { description, expires }));
        } else {
            let import = Some(Import { description: described, expires });
            let new = Material { import, ..Material::made(id, None) };
            if self.materials.is_empty() {
                self.materials.push(new);
            } else {
                assert!(self.waiting.replace(new).is_none(), "two wait: {record}");
            }
        }
        if missed && self.is_complete() && !matches!(self.made, Made::PendingDeletion(_)) {
            self.made = Made::Enabled;
        }
    }

    fn delete(&mut self, record: &Value) {
        let told = [&record["responseElements"], &record["serviceEventDetails"]];
        if let Some(id) = told.iter().find_map(|told| told["keyMaterialId"].as_str()) {
            if let Some(place) = self.materials.iter_mut().find(|place| place.id == id) {
                place.present = false;
            }
            self.waiting.take_if(|waiting| waiting.id == id);
        }
        // With the material that waited goes the rotation to it.
        if self.waiting.is_none() {
            self.rotation_requested = None;
        }
    }

    fn grant(&mut self, record: &Value) {
        let parameters = &record["requestParameters"];
        let id = text(&record["responseElements"], "grantId").to_owned();
        let mut grant = json!({
            "KeyId": self.arn,
            "GrantId": id,
            "Name": parameters["name"].as_str().unwrap_or_default(),
            "CreationDate": seconds(record),
            "GranteePrincipal": parameters["granteePrincipal"],
            "IssuingAccount": format!("arn:aws:iam::{ACCOUNT}:root"),
            "Operations": parameters["operations"],
        });
        if let Some(retiring) = parameters.get("retiringPrincipal") {
            grant["RetiringPrincipal"] = retiring.clone();
        }
        if let Some((kind, pairs)) =
            parameters["constraints"].as_object().and_then(|c| c.iter().next())
        {
            grant["Constraints"] = json!({ upper_first(kind): pairs });
        }
        // One that is repeated under its name is the grant it was.
        self.grants.entry(id).or_insert(grant);
    }

    fn current(&self) -> Option<&Material> {
        self.materials.last()
    }

    fn is_complete(&self) -> bool {
        !self.materials.is_empty() && self.materials.iter().all(|material| material.present)
    }

    fn is(&self, member: &str, value: &str) -> bool {
        self.metadata[member] == value
    }

    pub(crate) fn is_symmetric(&self) -> bool {
        self.is("KeySpec", "SYMMETRIC_DEFAULT")
    }

    pub(crate) fn rotates_by_itself(&self) -> bool {
        self.is_symmetric() && self.is("Origin", "AWS_KMS")
    }

    /// `KeyState`.
    pub(crate) fn state(&self) -> &'static str {
        match self.made {
            Made::PendingDeletion(_) => "PendingDeletion",
            _ if !self.is_complete() => "PendingImport",
            Made::Enabled => "Enabled",
            Made::Disabled => "Disabled",
        }
    }

    /// What `DescribeKey` must answer.
    pub(crate) fn described(&self) -> Value {
        let mut told = self.metadata.clone();
        for changing in ["DeletionDate", "ValidTo", "ExpirationModel", "CurrentKeyMaterialId"] {
            told.remove(changing);
        }
        told.insert("CreationDate".to_owned(), json!(self.created));
        told.insert("Enabled".to_owned(), json!(self.state() == "Enabled"));
        told.insert("KeyState".to_owned(), json!(self.state()));
        told.insert("Description".to_owned(), json!(self.description));
        if let Made::PendingDeletion(date) = self.made {
            told.insert("DeletionDate".to_owned(), json!(date));
        }
        if let Some(current) = self.current().filter(|_| self.is_symmetric()) {
            told.insert("CurrentKeyMaterialId".to_owned(), json!(current.id));
        }
        if self.is("Origin", "EXTERNAL") && self.is_complete() {
            let present = self.materials.iter().chain(&self.waiting);
            let expiries = present.filter_map(|material| material.import.as_ref()?.expires);
            let first = expiries.min();
            told.insert("ExpirationModel".to_owned(), json!(expiration_model(first)));
            first.map(|date| told.insert("ValidTo".to_owned(), json!(date)));
        }
        json!({ "KeyMetadata": told })
    }

    pub(crate) fn policy(&self) -> Value {
        json!({ "PolicyName": "default", "Policy": self.policy })
    }

    /// What `ListResourceTags` must answer, by name.
    pub(crate) fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// What `GetKeyRotationStatus` must answer.
    pub(crate) fn rotation(&self) -> Value {
        let schedule = self.schedule.filter(|_| self.state() != "PendingDeletion");
        let mut told = json!({ "KeyId": self.arn, "KeyRotationEnabled": schedule.is_some() });
        if let Some(Schedule { days, next }) = schedule {
            told["RotationPeriodInDays"] = json!(days);
            told["NextRotationDate"] = json!(next);
        }
        if let Some(date) = self.rotation_requested {
            told["OnDemandRotationStartDate"] = json!(date);
        }
        told
    }

    /// What `ListKeyRotations` must list when it is asked for all material.
    pub(crate) fn rotations(&self) -> Vec<Value> {
        let current = self.materials.len().saturating_sub(1);
        let lasting = self.materials.iter().enumerate().map(|(place, material)| {
            let state = if place == current { "CURRENT" } else { "NON_CURRENT" };
            material.told(&self.metadata["KeyId"], state)
        });
        let waiting = self.waiting.iter();
        lasting
            .chain(waiting.map(|new| new.told(&self.metadata["KeyId"], "PENDING_ROTATION")))
            .collect()
    }

    /// What `ListGrants` must list, in order of id.
    pub(crate) fn grants(&self) -> Vec<Value> {
        self.grants.values().cloned().collect()
    }

    /// What `GetKeyLastUsage` must answer.
    pub(crate) fn last_usage(&self) -> Value {
        json!({
            "KeyId": self.metadata["KeyId"],
            "KeyLastUsage": self.last_use,
            "TrackingStartDate": self.created,
            "KeyCreationDate": self.created,
        })
    }
}

impl Material {
    fn made(id: &str, rotation: Option<(u64, String)>) -> Self {
        Self { id: id.to_owned(), present: true, rotation, import: None }
    }

    fn told(&self, key: &Value, state: &str) -> Value {
        let mut told = json!({ "KeyId": key, "KeyMaterialId": self.id, "KeyMaterialState": state });
        if let Some(import) = &self.import {
            let imported = if self.present { "IMPORTED" } else { "PENDING_IMPORT" };
            told["ImportState"] = json!(imported);
            told["ExpirationModel"] = json!(expiration_model(import.expires));
            if let Some(description) = &import.description {
                told["KeyMaterialDescription"] = json!(description);
            }
            if let Some(date) = import.expires {
                told["ValidTo"] = json!(date);
            }
        }
        if let Some((date, kind)) = &self.rotation {
            told["RotationDate"] = json!(date);
            told["RotationType"] = json!(kind);
        }
        told
    }
}

fn expiration_model(expires: Option<u64>) -> &'static str {
    match expires {
        Some(_) => "KEY_MATERIAL_EXPIRES",
        None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
}

/// The id of the key that a record is about.
pub(crate) fn key_id(record: &Value) -> Option<String> {
    let mut arns = record["resources"].as_array()?.iter().map(|resource| text(resource, "ARN"));
    arns.find_map(|arn| arn.split_once(":key/")).map(|(_, id)| id.to_owned())
}

fn seconds(record: &Value) -> u64 {
    Timestamp::parse_event_time(text(record, "eventTime")).unwrap().unix_seconds()
}

/// Reads a date as records spell it inside: `May 22, 2025, 5:47:45 AM`.
fn seconds_of_locale(text: &str) -> u64 {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words = text.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let [month, day, year, hour, minute, second, half] = words[..] else {
        panic!("no date: {text}")
    };
    let month = MONTHS.find(month).unwrap() / 3 + 1;
    let hour: u32 = hour.parse::<u32>().unwrap() % 12 + if half == "PM" { 12 } else { 0 };
    let day: u32 = day.parse().unwrap();
    let time = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute}:{second}Z");
    Timestamp::parse_event_time(&time).unwrap().unix_seconds()
}

fn tag(tag: &Value) -> (String, String) {
    (text(tag, "tagKey").to_owned(), text(tag, "tagValue").to_owned())
}

fn upper_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names = names.iter().collect::<Vec<_>>();
    names.sort();
    names
}

fn remove(names: &mut Vec<String>, name: &str) {
    let place = names.iter().position(|there| there == name).unwrap();
    names.remove(place);
}
