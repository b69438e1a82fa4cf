//! One CloudTrail record, typed, and its one text.
//!
//! [`Record::to_json`] is the only writer of native records. Its bytes are what is signed,
//! delivered, ingested and given back, so it is deterministic: AWS's member order
//! (`schemas/record.md`), compact, minimal escapes. It cannot fail, and it applies AWS's size
//! limits itself, so that no caller can grow a record without bound.

use crate::identity::UserIdentity;
use crate::json::{Json, Members};
use crate::{AccountId, Guid, Region, Timestamp};

/// The `eventVersion` that is written.
pub const EVENT_VERSION: &str = "1.11";

/// AWS truncates `userAgent`, `errorCode` and `errorMessage` at 1 KB.
const TEXT_BYTES_MAX: usize = 1024;

/// AWS omits the content of `requestParameters`, `responseElements` and `serviceEventDetails`
/// beyond 100 KB.
const PARAMETERS_BYTES_MAX: usize = 100 * 1024;

/// AWS's limit for `additionalEventData` is 28 KB.
const ADDITIONAL_BYTES_MAX: usize = 28 * 1024;

/// A little more than the average record, to allocate once.
const RECORD_BYTES: usize = 2048;

/// A record of eventVersion 1.11 under construction.
///
/// `None` leaves a member out, except in `request_parameters` and `response_elements`, where
/// CloudTrail writes `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `userIdentity`: who called.
    pub user_identity: UserIdentity,
    /// `eventTime`: when the request completed; written in whole seconds.
    pub event_time: Timestamp,
    /// `eventSource`: `kms.amazonaws.com`.
    pub event_source: String,
    /// `eventName`: the API action.
    pub event_name: String,
    /// `awsRegion` of the endpoint.
    pub aws_region: Region,
    /// `sourceIPAddress`: address of the caller, or DNS name of the calling service.
    pub source_ip_address: String,
    /// `userAgent`, cut at 1 KB.
    pub user_agent: Option<String>,
    /// `errorCode`, only of calls that failed; cut at 1 KB.
    pub error_code: Option<String>,
    /// `errorMessage`, cut at 1 KB.
    pub error_message: Option<String>,
    /// `requestParameters`, else `null`; replaced by a marker beyond 100 KB.
    pub request_parameters: Option<Json>,
    /// `responseElements`, else `null`; replaced by a marker beyond 100 KB.
    pub response_elements: Option<Json>,
    /// `additionalEventData`; replaced by a marker beyond 28 KB.
    pub additional_event_data: Option<Json>,
    /// `requestID`; absent in service events.
    pub request_id: Option<Guid>,
    /// `eventID`: the key by which events are found and deduplicated.
    pub event_id: Guid,
    /// `readOnly`: whether the action changes nothing.
    pub read_only: bool,
    /// `resources`; an empty list is left out, as AWS does.
    pub resources: Vec<Resource>,
    /// `eventType`.
    pub event_type: EventType,
    /// `apiVersion`; KMS has none.
    pub api_version: Option<String>,
    /// `managementEvent`.
    pub management_event: bool,
    /// `recipientAccountId`: the account whose log holds this copy.
    pub recipient_account_id: AccountId,
    /// `sharedEventID`: common to the copies that several accounts got.
    pub shared_event_id: Option<Guid>,
    /// `serviceEventDetails`, of service events only; replaced by a marker beyond 100 KB.
    pub service_event_details: Option<Json>,
    /// `vpcEndpointId` when the call came through an interface endpoint.
    pub vpc_endpoint_id: Option<String>,
    /// `vpcEndpointAccountId`: the endpoint's owner.
    pub vpc_endpoint_account_id: Option<AccountId>,
    /// `eventCategory`.
    pub event_category: EventCategory,
    /// `tlsDetails`; absent if the caller was a service.
    pub tls_details: Option<TlsDetails>,
    /// `sessionCredentialFromConsole`: written, as the string `"true"`, only when true.
    pub session_credential_from_console: bool,
}

/// One entry of `resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `accountId` of the owner.
    pub account_id: AccountId,
    /// `type`: `AWS::KMS::Key`.
    pub kind: String,
    /// `ARN`, in capitals here and only here.
    pub arn: String,
}

/// `eventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EventType {
    /// A call of an API.
    #[default]
    AwsApiCall,
    /// Something the service did by itself.
    AwsServiceEvent,
    /// An action in the console that is no API call.
    AwsConsoleAction,
    /// A sign-in to the console.
    AwsConsoleSignIn,
    /// Network activity at an endpoint.
    AwsVpceEvents,
}

impl EventType {
    /// AWS's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsApiCall => "AwsApiCall",
            Self::AwsServiceEvent => "AwsServiceEvent",
            Self::AwsConsoleAction => "AwsConsoleAction",
            Self::AwsConsoleSignIn => "AwsConsoleSignIn",
            Self::AwsVpceEvents => "AwsVpceEvents",
        }
    }
}

/// `eventCategory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EventCategory {
    /// Control plane; all of KMS.
    #[default]
    Management,
    /// Data plane, such as S3 object reads.
    Data,
    /// Network activity at an endpoint.
    NetworkActivity,
}

impl EventCategory {
    /// AWS's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
            Self::NetworkActivity => "NetworkActivity",
        }
    }
}

/// `tlsDetails`: the connection that the caller used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsDetails {
    /// `tlsVersion`: `TLSv1.3`.
    pub tls_version: String,
    /// `cipherSuite`: `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// `clientProvidedHostHeader`: `kms.us-east-1.amazonaws.com`.
    pub client_provided_host_header: String,
    /// `keyExchange`: `x25519`, `X25519MLKEM768`; newer records only.
    pub key_exchange: Option<String>,
}

impl Record {
    /// A successful management call that changes something, made by the service itself: everything
    /// that is optional is left out, `sourceIPAddress` is `AWS Internal`. Meant for struct update:
    /// `Record { read_only: true, source_ip_address, ..Record::new(…) }`.
    pub fn new(
        event_time: Timestamp,
        event_source: &str,
        event_name: &str,
        user_identity: UserIdentity,
        aws_region: Region,
        recipient_account_id: AccountId,
        event_id: Guid,
    ) -> Self {
        Self {
            user_identity,
            event_time,
            event_source: event_source.to_owned(),
            event_name: event_name.to_owned(),
            aws_region,
            source_ip_address: "AWS Internal".to_owned(),
            user_agent: None,
            error_code: None,
            error_message: None,
            request_parameters: None,
            response_elements: None,
            additional_event_data: None,
            request_id: None,
            event_id,
            read_only: false,
            resources: Vec::new(),
            event_type: EventType::AwsApiCall,
            api_version: None,
            management_event: true,
            recipient_account_id,
            shared_event_id: None,
            service_event_details: None,
            vpc_endpoint_id: None,
            vpc_endpoint_account_id: None,
            event_category: EventCategory::Management,
            tls_details: None,
            session_credential_from_console: false,
        }
    }

    /// The record's text: one line without a line end, members in AWS's order.
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(RECORD_BYTES);
        Members::write(&mut text, |out| {
            self.write_call(out);
            self.write_content(out);
            self.write_classification(out);
        });
        text
    }

    /// Who called what, when and from where, and why it failed.
    fn write_call(&self, out: &mut Members<'_>) {
        out.text("eventVersion", EVENT_VERSION);
        out.object("userIdentity", |out| self.user_identity.write(out));
        out.quoted("eventTime", self.event_time);
        out.text("eventSource", &self.event_source);
        out.text("eventName", &self.event_name);
        out.text("awsRegion", self.aws_region.as_str());
        out.text("sourceIPAddress", &self.source_ip_address);
        out.maybe_text("userAgent", self.user_agent.as_deref().map(truncated));
        out.maybe_text("errorCode", self.error_code.as_deref().map(truncated));
        out.maybe_text("errorMessage", self.error_message.as_deref().map(truncated));
    }

    /// What was asked and answered, and about which resources.
    fn write_content(&self, out: &mut Members<'_>) {
        let null = Json::Null;
        let parameters = self.request_parameters.as_ref().unwrap_or(&null);
        let elements = self.response_elements.as_ref().unwrap_or(&null);
        out.limited("requestParameters", parameters, PARAMETERS_BYTES_MAX);
        out.limited("responseElements", elements, PARAMETERS_BYTES_MAX);
        if let Some(data) = &self.additional_event_data {
            out.limited("additionalEventData", data, ADDITIONAL_BYTES_MAX);
        }
        out.maybe_quoted("requestID", self.request_id);
        out.quoted("eventID", self.event_id);
        out.bool("readOnly", self.read_only);
        if !self.resources.is_empty() {
            out.objects("resources", &self.resources, Resource::write);
        }
    }

    /// What kind of event it is, for whose log, and how the call came in.
    fn write_classification(&self, out: &mut Members<'_>) {
        out.text("eventType", self.event_type.as_str());
        out.maybe_text("apiVersion", self.api_version.as_deref());
        out.bool("managementEvent", self.management_event);
        out.text("recipientAccountId", self.recipient_account_id.as_str());
        out.maybe_quoted("sharedEventID", self.shared_event_id);
        if let Some(details) = &self.service_event_details {
            out.limited("serviceEventDetails", details, PARAMETERS_BYTES_MAX);
        }
        let endpoint_owner = self.vpc_endpoint_account_id.as_ref().map(AccountId::as_str);
        out.maybe_text("vpcEndpointId", self.vpc_endpoint_id.as_deref());
        out.maybe_text("vpcEndpointAccountId", endpoint_owner);
        out.text("eventCategory", self.event_category.as_str());
        if let Some(tls) = &self.tls_details {
            out.object("tlsDetails", |out| tls.write(out));
        }
        if self.session_credential_from_console {
            out.text("sessionCredentialFromConsole", "true");
        }
    }
}

impl Resource {
    /// A KMS key, named by its ARN, in its owner's account.
    pub fn kms_key(account_id: AccountId, arn: impl Into<String>) -> Self {
        Self { account_id, kind: "AWS::KMS::Key".to_owned(), arn: arn.into() }
    }

    /// A role, named by its ARN, in its owner's account.
    pub fn iam_role(account_id: AccountId, arn: impl Into<String>) -> Self {
        Self { account_id, kind: "AWS::IAM::Role".to_owned(), arn: arn.into() }
    }

    fn write(&self, out: &mut Members<'_>) {
        out.text("accountId", self.account_id.as_str());
        out.text("type", &self.kind);
        out.text("ARN", &self.arn);
    }
}

impl TlsDetails {
    fn write(&self, out: &mut Members<'_>) {
        out.text("tlsVersion", &self.tls_version);
        out.text("cipherSuite", &self.cipher_suite);
        out.text("clientProvidedHostHeader", &self.client_provided_host_header);
        out.maybe_text("keyExchange", self.key_exchange.as_deref());
    }
}

/// At most 1 KB of `text`, cut at a character boundary.
fn truncated(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{self, KEY, plain};
    use crate::{Cell, col, join, split};

    #[test]
    fn a_record_without_options_has_the_members_aws_always_writes() {
        let expected = r#"{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE"},"eventTime":"2026-01-02T03:04:05Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"us-east-1","sourceIPAddress":"AWS Internal","requestParameters":null,"responseElements":null,"eventID":"07070707-0707-4707-8707-070707070707","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}"#;
        assert_eq!(plain().to_json(), expected);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = |text: &str| Record { user_agent: Some(text.to_owned()), ..plain() }.to_json();
        assert!(long(&"a".repeat(1025)).contains(&format!("\"{}\"", "a".repeat(1024))));
        assert!(long(&"ü".repeat(600)).contains(&format!("\"{}\"", "ü".repeat(512))));
        let cut = format!("a{}", "ü".repeat(511));
        assert!(long(&format!("a{}", "ü".repeat(600))).contains(&format!("\"{cut}\"")));
    }

    #[test]
    fn huge_parameters_are_replaced_by_the_marker() {
        let record = |bytes| {
            let text = "x".repeat(bytes - r#"{"a":""}"#.len());
            let parameters = Some(Json::object().with("a", text));
            Record { request_parameters: parameters, ..plain() }.to_json()
        };
        assert!(!record(PARAMETERS_BYTES_MAX).contains("omitted"));
        let marker = r#""requestParameters":{"reason":"requestParameters too large","omitted":true,"originalSize":102401},"#;
        assert!(record(PARAMETERS_BYTES_MAX + 1).contains(marker));
    }

    #[test]
    fn each_kind_of_caller_has_the_members_aws_gives_it() {
        let account = samples::account();
        let attributes = crate::SessionAttributes {
            creation_date: Timestamp::from_unix_seconds(0),
            mfa_authenticated: false,
        };
        let check = |identity: &UserIdentity, expected: &str| {
            let mut text = String::new();
            Members::write(&mut text, |out| identity.write(out));
            assert_eq!(text, expected);
        };
        check(
            &UserIdentity::iam_user(&account, "alice", "AIDA1", "AKIA1"),
            r#"{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","accessKeyId":"AKIA1","userName":"alice"}"#,
        );
        check(
            &UserIdentity::assumed_role(&account, "app", "AROA1", "s", "ASIA1", attributes)
                .invoked_by("s3.amazonaws.com"),
            r#"{"type":"AssumedRole","principalId":"AROA1:s","arn":"arn:aws:sts::111122223333:assumed-role/app/s","accountId":"111122223333","accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA1","arn":"arn:aws:iam::111122223333:role/app","accountId":"111122223333","userName":"app"},"attributes":{"creationDate":"1970-01-01T00:00:00Z","mfaAuthenticated":"false"}},"invokedBy":"s3.amazonaws.com"}"#,
        );
        check(
            &UserIdentity::aws_service("dynamodb.amazonaws.com"),
            r#"{"type":"AWSService","invokedBy":"dynamodb.amazonaws.com"}"#,
        );
        check(
            &UserIdentity::aws_account(&account, "AIDA2"),
            r#"{"type":"AWSAccount","principalId":"AIDA2","accountId":"111122223333"}"#,
        );
        check(
            &UserIdentity::service_event(&account),
            r#"{"accountId":"111122223333","invokedBy":"AWS Internal"}"#,
        );
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 300, failure_persistence: None, ..ProptestConfig::default()
        })]

        /// Native records never need `raw` or `extra`, and say what was put in.
        #[test]
        fn every_native_record_splits_into_typed_cells(
            texts in prop::array::uniform6(prop::option::of(any::<String>())),
            values in prop::array::uniform4(prop::option::of(json())),
            nanos in any::<u64>(),
            flags in any::<[bool; 3]>(),
        ) {
            let [user_agent, error_code, error_message, vpc_endpoint_id, user_name, arn] = texts;
            let [request_parameters, response_elements, additional_event_data, details] = values;
            let record = Record {
                user_agent: user_agent.clone(),
                error_code,
                error_message,
                request_parameters,
                response_elements,
                additional_event_data,
                service_event_details: details,
                vpc_endpoint_id,
                event_time: Timestamp::from_unix_nanos(nanos),
                read_only: flags[0],
                resources: vec![Resource::kms_key(samples::account(), KEY); usize::from(flags[1])],
                session_credential_from_console: flags[2],
                user_identity: UserIdentity { arn, user_name, ..plain().user_identity },
                ..plain()
            };
            let text = record.to_json();
            let row = split(text.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!((&row.raw, &row.extra), (&None, &None), "{}", text);
            let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
            prop_assert_eq!(&row.cells[col::EVENT_TIME], &Cell::Time(seconds * 1_000_000));
            prop_assert_eq!(row.cells[col::USER_AGENT].text(), user_agent.as_deref());
            prop_assert_eq!(join(&row), Ok(text.clone().into_bytes()));
        }
    }
}
