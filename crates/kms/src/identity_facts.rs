//! What records say about roles and sessions: the second half of [`Fact`](crate::facts::Fact), under the same rule. There is
//! no variant with room for a secret access key or a session token.

use keytrail_auth::{
    AccessKeyId, IdentityPolicy, RoleId, RoleName, RolePath, ServiceName, SessionName,
    SourceIdentity, TrustPolicy,
};
use keytrail_event::{Arn, Json, Timestamp};

use crate::parameters::ExternalId;
use crate::tags::{Tag, TagKey};

/// One fact; which member it becomes is decided here, once.
#[derive(Debug)]
pub(crate) enum IdentityFact {
    /// The trust policy, under the name that the operation gives it.
    Trust(&'static str, TrustPolicy),
    AssumedRole {
        id: String,
        arn: Arn,
    },
    /// Of a session: its access key's id and when it ends.
    Credentials {
        id: AccessKeyId,
        expiration: Timestamp,
    },
    DurationSeconds(u32),
    ExternalId(ExternalId),
    /// Tags that a session has from the one that it was made with.
    IncomingTransitiveTags(Vec<Tag>),
    MaxSessionDuration(u32),
    PackedPolicySize(u32),
    Path(RolePath),
    Role {
        arn: Arn,
        id: RoleId,
        name: RoleName,
        path: RolePath,
        created: Timestamp,
        trust: TrustPolicy,
        tags: Vec<Tag>,
    },
    RoleArn(Arn),
    RoleName(RoleName),
    RoleSessionName(SessionName),
    ServiceAccessKey {
        id: AccessKeyId,
        service: ServiceName,
        created: Timestamp,
    },
    ServiceName(ServiceName),
    SessionPolicy(IdentityPolicy),
    SourceIdentity(SourceIdentity),
    /// As IAM and STS write them.
    Tags(Vec<Tag>),
    TransitiveTagKeys(Vec<TagKey>),
}

impl IdentityFact {
    /// The member's API name and its value.
    pub(crate) fn member(&self) -> (&'static str, Json) {
        match self {
            Self::Trust(name, policy) => (*name, policy.as_str().into()),
            Self::AssumedRole { id, arn } => {
                let user = Json::object().with("assumedRoleId", id.as_str());
                ("AssumedRoleUser", user.with("arn", arn.to_string()))
            }
            Self::Credentials { id, expiration } => {
                let shown = Json::object().with("accessKeyId", id.as_str());
                ("Credentials", shown.with("expiration", expiration.locale()))
            }
            Self::DurationSeconds(seconds) => ("DurationSeconds", (*seconds).into()),
            Self::ExternalId(id) => ("ExternalId", id.as_str().into()),
            Self::IncomingTransitiveTags(tags) => {
                let pair = |object: Json, tag: &Tag| {
                    object.with(tag.tag_key.as_str(), tag.tag_value.as_str())
                };
                ("IncomingTransitiveTags", tags.iter().fold(Json::object(), pair))
            }
            Self::MaxSessionDuration(seconds) => ("MaxSessionDuration", (*seconds).into()),
            Self::PackedPolicySize(percent) => ("PackedPolicySize", (*percent).into()),
            Self::Path(path) => ("Path", path.as_str().into()),
            Self::Role { arn, id, name, path, created, trust, tags } => {
                let role = Json::object()
                    .with("assumeRolePolicyDocument", percent_encode(trust.as_str()))
                    .with("arn", arn.to_string())
                    .with("roleId", id.as_str())
                    .with("createDate", created.locale())
                    .with("roleName", name.as_str())
                    .with("path", path.as_str())
                    .with_some("tags", (!tags.is_empty()).then(|| iam_tags(tags)));
                ("Role", role)
            }
            Self::RoleArn(arn) => ("RoleArn", arn.to_string().into()),
            Self::RoleName(name) => ("RoleName", name.as_str().into()),
            Self::RoleSessionName(name) => ("RoleSessionName", name.as_str().into()),
            Self::ServiceAccessKey { id, service, created } => {
                let key = Json::object()
                    .with("serviceName", service.as_str())
                    .with("accessKeyId", id.as_str())
                    .with("status", "Active")
                    .with("createDate", created.locale());
                ("AccessKey", key)
            }
            Self::ServiceName(name) => ("ServiceName", name.as_str().into()),
            Self::SessionPolicy(policy) => ("Policy", policy.as_str().into()),
            Self::SourceIdentity(name) => ("SourceIdentity", name.as_str().into()),
            Self::Tags(tags) => ("Tags", iam_tags(tags)),
            Self::TransitiveTagKeys(keys) => {
                let keys = keys.iter().map(TagKey::as_str).collect::<Vec<_>>();
                ("TransitiveTagKeys", keys.into())
            }
        }
    }
}

fn iam_tags(tags: &[Tag]) -> Json {
    tags.iter().map(Tag::to_iam_record).collect::<Vec<_>>().into()
}

/// RFC 3986, as IAM writes policy documents in answers, and `CloudTrail` with it.
fn percent_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a real record of 2023.
    #[test]
    fn policies_are_encoded_as_in_records_of_aws() {
        let encoded =
            "%22%3A%7B%22AWS%22%3A%22123837392027%22%7D%2C%22Version%22%3A%222012-10-17%22%7D";
        let text = r#"":{"AWS":"123837392027"},"Version":"2012-10-17"}"#;
        assert_eq!(percent_encode(text), encoded);
    }
}
