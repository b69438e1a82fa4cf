//! Roles, sessions and services with Rust types.

use keytrail_auth::{AccessKey, SecretAccessKey};
use keytrail_event::{Json, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{access_key, epoch_seconds, typed};
use crate::{Answer, Caller, Engine, KmsError};

/// What `CreateRole` takes, and the policies that the role gets with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateRoleRequest<'a> {
    /// `/` if `None`.
    pub path: Option<&'a str>,
    /// Who may assume the role: the trust policy's JSON.
    pub trust_policy: &'a str,
    /// What its sessions may do: names and documents of identity policies.
    pub policies: &'a [(&'a str, &'a str)],
    /// Pairs of tag key and tag value.
    pub tags: &'a [(&'a str, &'a str)],
    /// The longest session, in seconds, 3600 to 43200; an hour if `None`.
    pub max_session_seconds: Option<u32>,
}

/// What `AssumeRole` takes; `..AssumeRoleRequest::default()` is an hour without more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssumeRoleRequest<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// What the session is called in ARNs and records.
    pub session_name: &'a str,
    /// 900 to 43200, at most what the role allows; an hour if `None`.
    pub duration_seconds: Option<u32>,
    /// What the trust policy may ask for as `sts:ExternalId`.
    pub external_id: Option<&'a str>,
    /// Limits what the session may do: the JSON of an identity policy.
    pub policy: Option<&'a str>,
    /// Pairs of tag key and tag value.
    pub tags: &'a [(&'a str, &'a str)],
    /// The keys of those tags that the next session of a chain inherits.
    pub transitive_tag_keys: &'a [&'a str],
    /// Who is behind the session; all sessions of a chain keep it.
    pub source_identity: Option<&'a str>,
}

/// The credentials of a session. Secret: neither shown nor copied, wiped when dropped.
#[non_exhaustive]
pub struct SessionCredentials {
    /// `ASIA…`, and its secret.
    pub access_key: AccessKey,
    /// To be sent with each request.
    pub session_token: Zeroizing<String>,
    /// When the session ends.
    pub expiration: Timestamp,
    /// The session's ARN.
    pub arn: String,
    /// `AROA…:SESSION`.
    pub assumed_role_id: String,
    /// How much of the room for a session's policy and tags they take, in percent; `None` without any.
    pub packed_policy_size: Option<u32>,
    /// Who is behind the session, if that was told.
    pub source_identity: Option<String>,
}

/// A role, as `ListRoles` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct RoleDescription {
    /// The role's name.
    pub role_name: String,
    /// The unique id, `AROA…`.
    pub role_id: String,
    /// The role's ARN.
    pub arn: String,
    /// When the role was created, to the millisecond.
    #[serde(deserialize_with = "epoch_seconds")]
    pub create_date: Timestamp,
    /// The trust policy as it was written.
    pub assume_role_policy_document: String,
    /// The longest session, in seconds.
    pub max_session_duration: u32,
    /// The names of the role's policies.
    pub policy_names: Vec<String>,
    /// The role's tags.
    pub tags: Vec<PrincipalTag>,
}

/// A tag of a user, role or session: `aws:PrincipalTag/KEY` in policies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PrincipalTag {
    /// Compared without regard to case.
    pub key: String,
    /// May be empty.
    pub value: String,
}

/// An access key of a service, as `ListAccessKeys` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ServiceAccessKey {
    /// The service, `backup.amazonaws.com`.
    pub service_name: String,
    /// The access key.
    pub access_key_id: String,
    /// When it was made, to the millisecond.
    #[serde(deserialize_with = "epoch_seconds")]
    pub create_date: Timestamp,
}

impl Engine {
    /// Makes a role with its policies: `CreateRole`, and `PutRolePolicy` for each policy. If one is refused, the ones before
    /// it stand; [`Engine::delete_role`] takes them back. Gives the role's ARN.
    pub fn create_role(
        &self,
        caller: &Caller,
        name: &str,
        request: &CreateRoleRequest<'_>,
    ) -> Result<String, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            role: Inner,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inner {
            arn: String,
        }
        let input = role(name)
            .with("AssumeRolePolicyDocument", request.trust_policy)
            .with_some("Path", request.path)
            .with_some("MaxSessionDuration", request.max_session_seconds)
            .with_some("Tags", tag_list(request.tags));
        let created: Created = typed(&self.call_iam(caller, "CreateRole", &input)?)?;
        for (policy, document) in request.policies {
            self.put_role_policy(caller, name, policy, document)?;
        }
        Ok(created.role.arn)
    }

    /// `PutRolePolicy`: another identity policy, or another text of one.
    pub fn put_role_policy(
        &self,
        caller: &Caller,
        name: &str,
        policy: &str,
        document: &str,
    ) -> Result<(), KmsError> {
        let input = role(name).with("PolicyName", policy).with("PolicyDocument", document);
        self.call_iam(caller, "PutRolePolicy", &input).map(drop)
    }

    /// `PutUserPolicy`: the same for a user.
    pub fn put_user_policy(
        &self,
        caller: &Caller,
        name: &str,
        policy: &str,
        document: &str,
    ) -> Result<(), KmsError> {
        let input = user(name).with("PolicyName", policy).with("PolicyDocument", document);
        self.call_iam(caller, "PutUserPolicy", &input).map(drop)
    }

    /// `UpdateAssumeRolePolicy`: another trust policy. Sessions that there are go on.
    pub fn update_trust_policy(
        &self,
        caller: &Caller,
        name: &str,
        document: &str,
    ) -> Result<(), KmsError> {
        let input = role(name).with("PolicyDocument", document);
        self.call_iam(caller, "UpdateAssumeRolePolicy", &input).map(drop)
    }

    /// `TagRole`.
    pub fn tag_role(
        &self,
        caller: &Caller,
        name: &str,
        tags: &[(&str, &str)],
    ) -> Result<(), KmsError> {
        let input = role(name).with("Tags", tag_list(tags).unwrap_or_default());
        self.call_iam(caller, "TagRole", &input).map(drop)
    }

    /// `TagUser`.
    pub fn tag_user(
        &self,
        caller: &Caller,
        name: &str,
        tags: &[(&str, &str)],
    ) -> Result<(), KmsError> {
        let input = user(name).with("Tags", tag_list(tags).unwrap_or_default());
        self.call_iam(caller, "TagUser", &input).map(drop)
    }

    /// `UntagRole`.
    pub fn untag_role(&self, caller: &Caller, name: &str, keys: &[&str]) -> Result<(), KmsError> {
        let input = role(name).with("TagKeys", keys.to_vec());
        self.call_iam(caller, "UntagRole", &input).map(drop)
    }

    /// `UntagUser`.
    pub fn untag_user(&self, caller: &Caller, name: &str, keys: &[&str]) -> Result<(), KmsError> {
        let input = user(name).with("TagKeys", keys.to_vec());
        self.call_iam(caller, "UntagUser", &input).map(drop)
    }

    /// All roles: one call, recorded as `ListRoles`.
    pub fn roles(&self, caller: &Caller) -> Result<Vec<RoleDescription>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Listed {
            roles: Vec<RoleDescription>,
        }
        typed(&self.call_iam(caller, "ListRoles", &Json::object())?).map(|Listed { roles }| roles)
    }

    /// Deletes a role with its policies: one call and one record each. Its sessions end with it.
    pub fn delete_role(&self, caller: &Caller, name: &str) -> Result<(), KmsError> {
        for policy in self.policy_names_of_role(caller, name) {
            let input = role(name).with("PolicyName", policy);
            self.call_iam(caller, "DeleteRolePolicy", &input)?;
        }
        self.call_iam(caller, "DeleteRole", &role(name)).map(drop)
    }

    /// `AssumeRole`: credentials of a session, returned once. To call with them in this process:
    /// [`Engine::caller_for_session`].
    pub fn assume_role(
        &self,
        caller: &Caller,
        request: &AssumeRoleRequest<'_>,
    ) -> Result<SessionCredentials, KmsError> {
        let keys = request.transitive_tag_keys;
        let input = Json::object()
            .with("RoleArn", request.role_arn)
            .with("RoleSessionName", request.session_name)
            .with_some("DurationSeconds", request.duration_seconds)
            .with_some("ExternalId", request.external_id)
            .with_some("Policy", request.policy)
            .with_some("Tags", tag_list(request.tags))
            .with_some("TransitiveTagKeys", (!keys.is_empty()).then(|| keys.to_vec()))
            .with_some("SourceIdentity", request.source_identity);
        let answer = self.call_sts(caller, "AssumeRole", input.to_string().as_bytes())?;
        SessionCredentials::read(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    /// An access key for what acts as a service of AWS, `backup.amazonaws.com`; its secret is returned once.
    pub fn create_service_access_key(
        &self,
        caller: &Caller,
        service: &str,
    ) -> Result<AccessKey, KmsError> {
        let input = Json::object().with("ServiceName", service);
        let answer = self.call_iam(caller, "CreateAccessKey", &input)?;
        access_key(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    /// The access keys of all services: one call, recorded as `ListAccessKeys`.
    pub fn service_access_keys(&self, caller: &Caller) -> Result<Vec<ServiceAccessKey>, KmsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Listed {
            access_key_metadata: Vec<ServiceAccessKey>,
        }
        typed(&self.call_iam(caller, "ListAccessKeys", &Json::object())?)
            .map(|Listed { access_key_metadata }| access_key_metadata)
    }

    /// Deletes all access keys of a service: one call and one record each. `false` if it has none.
    pub fn delete_service(&self, caller: &Caller, service: &str) -> Result<bool, KmsError> {
        let keys = self.service_access_keys(caller)?;
        let keys = keys.iter().filter(|key| key.service_name == service).collect::<Vec<_>>();
        for key in &keys {
            let input = Json::object()
                .with("ServiceName", service)
                .with("AccessKeyId", key.access_key_id.as_str());
            self.call_iam(caller, "DeleteAccessKey", &input)?;
        }
        Ok(!keys.is_empty())
    }
}

impl SessionCredentials {
    /// The credentials in the answer of `AssumeRole`, without a copy of a secret in between; `None` of another answer.
    pub fn read(answer: &Answer) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Assumed<'a> {
            #[serde(borrow)]
            credentials: Credentials<'a>,
            #[serde(rename = "AssumedRoleUser")]
            user: AssumedRoleUser,
            packed_policy_size: Option<u32>,
            source_identity: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Credentials<'a> {
            access_key_id: &'a str,
            secret_access_key: &'a str,
            session_token: &'a str,
            expiration: &'a str,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct AssumedRoleUser {
            assumed_role_id: String,
            arn: String,
        }
        let secret_text = |text: &str| {
            let mut copy = Zeroizing::new(String::with_capacity(text.len()));
            copy.push_str(text);
            copy
        };
        let Assumed { credentials, user, packed_policy_size, source_identity } =
            serde_json::from_str(answer).ok()?;
        let secret = SecretAccessKey::from_sealed(secret_text(credentials.secret_access_key));
        Some(Self {
            access_key: AccessKey { id: credentials.access_key_id.parse().ok()?, secret },
            session_token: secret_text(credentials.session_token),
            expiration: Timestamp::parse_event_time(credentials.expiration).ok()?,
            arn: user.arn,
            assumed_role_id: user.assumed_role_id,
            packed_policy_size,
            source_identity,
        })
    }
}

fn role(name: &str) -> Json {
    Json::object().with("RoleName", name)
}

fn user(name: &str) -> Json {
    Json::object().with("UserName", name)
}

fn tag_list(tags: &[(&str, &str)]) -> Option<Vec<Json>> {
    let tag = |(key, value): &(&str, &str)| Json::object().with("Key", *key).with("Value", *value);
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}
