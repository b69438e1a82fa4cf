//! The one table: which member of a record becomes which column of the lake.
//!
//! Everything else follows from it: the split, the join, the lake's schema, the layout codes and
//! `schemas/record-columns.md`. A new column takes a fresh code; a code is never used again for
//! something else, because a layout that was written once is read forever.

use self::Kind::{Bool, Json, Text, Time};

/// What a cell of a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, unescaped.
    Text,
    /// The member's JSON value, verbatim.
    Json,
    /// True or false.
    Bool,
    /// A time in microseconds, UTC.
    Time,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Name in the lake: CloudTrail's in snake case.
    pub name: &'static str,
    /// Where the member stands, from the record inwards; empty for a derived column.
    pub path: &'static [&'static str],
    /// What its cells hold.
    pub kind: Kind,
    /// Its letter in a layout; none for a derived column.
    pub code: Option<char>,
    /// What it means, in one sentence (Markdown).
    pub doc: &'static str,
}

/// Number of columns.
pub const COLUMN_COUNT: usize = COLUMNS.len();

pub(crate) const USER: &str = "userIdentity";
pub(crate) const SESSION: &str = "sessionContext";
pub(crate) const ISSUER: &str = "sessionIssuer";
pub(crate) const ATTRIBUTES: &str = "attributes";

/// All columns in the order of the lake: the record's own members, those of `userIdentity`, those
/// of its `sessionContext`, and the derived ones. Names and meanings are CloudTrail's
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>).
pub const COLUMNS: &[Column] = &[
    member(
        'A',
        "event_version",
        Text,
        &["eventVersion"],
        "Version of the record format, `major.minor`; a larger minor is compatible.",
    ),
    member('B', "event_time", Time, &["eventTime"], "When the request completed, UTC."),
    member(
        'C',
        "event_source",
        Text,
        &["eventSource"],
        "DNS name of the service, `kms.amazonaws.com`.",
    ),
    member('D', "event_name", Text, &["eventName"], "The API action, `Decrypt`."),
    member('E', "aws_region", Text, &["awsRegion"], "Region of the endpoint that was called."),
    member(
        'F',
        "source_ip_address",
        Text,
        &["sourceIPAddress"],
        "Address of the caller, or DNS name of the calling service.",
    ),
    member('G', "user_agent", Text, &["userAgent"], "Program of the caller, cut at 1 KB."),
    member(
        'H',
        "error_code",
        Text,
        &["errorCode"],
        "Why the call failed; null in a call that succeeded.",
    ),
    member('I', "error_message", Text, &["errorMessage"], "The failure in words, cut at 1 KB."),
    member('J', "request_parameters", Json, &["requestParameters"], "What was asked."),
    member(
        'K',
        "response_elements",
        Json,
        &["responseElements"],
        "What was answered, of changes only.",
    ),
    member(
        'L',
        "additional_event_data",
        Json,
        &["additionalEventData"],
        "More facts, such as `keyMaterialId`.",
    ),
    member('M', "request_id", Text, &["requestID"], "The service's id of the request."),
    member(
        'N',
        "event_id",
        Text,
        &["eventID"],
        "CloudTrail's id of the event: the key for finding and deduplicating.",
    ),
    member('O', "read_only", Bool, &["readOnly"], "Whether the action changes nothing."),
    member(
        'P',
        "resources",
        Json,
        &["resources"],
        "The resources the call touched, with their ARNs.",
    ),
    member(
        'Q',
        "event_type",
        Text,
        &["eventType"],
        "`AwsApiCall`, `AwsServiceEvent`, `AwsConsoleSignIn`, …",
    ),
    member(
        'R',
        "api_version",
        Text,
        &["apiVersion"],
        "Version of the API, where the service has one.",
    ),
    member(
        'S',
        "management_event",
        Bool,
        &["managementEvent"],
        "Whether this is a management event.",
    ),
    member(
        'T',
        "recipient_account_id",
        Text,
        &["recipientAccountId"],
        "Account whose log holds this copy.",
    ),
    member(
        'U',
        "shared_event_id",
        Text,
        &["sharedEventID"],
        "Id common to the copies that several accounts got.",
    ),
    member(
        'V',
        "vpc_endpoint_id",
        Text,
        &["vpcEndpointId"],
        "Interface endpoint that the call came through.",
    ),
    member(
        'W',
        "vpc_endpoint_account_id",
        Text,
        &["vpcEndpointAccountId"],
        "Owner of that endpoint.",
    ),
    member(
        'X',
        "event_category",
        Text,
        &["eventCategory"],
        "`Management`, `Data`, `NetworkActivity` or `Insight`.",
    ),
    member(
        'Y',
        "service_event_details",
        Json,
        &["serviceEventDetails"],
        "Payload of a service event.",
    ),
    member('Z', "addendum", Json, &["addendum"], "Why an event is late, or what it corrects."),
    member(
        'a',
        "session_credential_from_console",
        Text,
        &["sessionCredentialFromConsole"],
        "`true` when the credentials come from a console session.",
    ),
    member(
        'b',
        "edge_device_details",
        Json,
        &["edgeDeviceDetails"],
        "The Outposts or Snow device.",
    ),
    member(
        'c',
        "tls_details",
        Json,
        &["tlsDetails"],
        "TLS version, cipher suite, key exchange and host name.",
    ),
    member(
        'd',
        "event_context",
        Json,
        &["eventContext"],
        "Request and tag context, of event data stores only.",
    ),
    member('e', "insight_details", Json, &["insightDetails"], "Payload of an Insights event."),
    member(
        'f',
        "identity_type",
        Text,
        &[USER, "type"],
        "Kind of caller: `Root`, `IAMUser`, `AssumedRole`, `AWSService`, …",
    ),
    member(
        'g',
        "principal_id",
        Text,
        &[USER, "principalId"],
        "Unique id of the caller, `AIDA…` or `AROA…:session`.",
    ),
    member(
        'h',
        "principal_arn",
        Text,
        &[USER, "arn"],
        "ARN of the caller; of a role session, the session's.",
    ),
    member('i', "account_id", Text, &[USER, "accountId"], "Account the caller belongs to."),
    member(
        'j',
        "access_key_id",
        Text,
        &[USER, "accessKeyId"],
        "Access key that signed the request.",
    ),
    member('k', "user_name", Text, &[USER, "userName"], "Friendly name of the user."),
    member(
        'l',
        "invoked_by",
        Text,
        &[USER, "invokedBy"],
        "Service that called with the caller's forwarded rights.",
    ),
    member(
        'm',
        "identity_provider",
        Text,
        &[USER, "identityProvider"],
        "Provider of a web or SAML user.",
    ),
    member('n', "credential_id", Text, &[USER, "credentialId"], "Identity Center credential."),
    member(
        'o',
        "on_behalf_of",
        Json,
        &[USER, "onBehalfOf"],
        "Identity Center user behind the call.",
    ),
    member(
        'p',
        "in_scope_of",
        Json,
        &[USER, "inScopeOf"],
        "Resource the credentials were issued to.",
    ),
    member(
        'q',
        "invoked_by_delegate",
        Json,
        &[USER, "invokedByDelegate"],
        "Account of the delegate that called.",
    ),
    member(
        'r',
        "issuer_type",
        Text,
        &[USER, SESSION, ISSUER, "type"],
        "What issued the session: `Role`, `IAMUser`, `Root`.",
    ),
    member(
        's',
        "issuer_principal_id",
        Text,
        &[USER, SESSION, ISSUER, "principalId"],
        "Unique id of the issuer, `AROA…`.",
    ),
    member(
        't',
        "issuer_arn",
        Text,
        &[USER, SESSION, ISSUER, "arn"],
        "ARN of the role or user behind the session.",
    ),
    member(
        'u',
        "issuer_account_id",
        Text,
        &[USER, SESSION, ISSUER, "accountId"],
        "Account of the issuer.",
    ),
    member(
        'v',
        "issuer_user_name",
        Text,
        &[USER, SESSION, ISSUER, "userName"],
        "Name of the role or user.",
    ),
    member(
        'w',
        "session_creation_date",
        Text,
        &[USER, SESSION, ATTRIBUTES, "creationDate"],
        "When the session began; CloudTrail's own text.",
    ),
    member(
        'x',
        "mfa_authenticated",
        Text,
        &[USER, SESSION, ATTRIBUTES, "mfaAuthenticated"],
        "`true` when a second factor was shown; CloudTrail's own text.",
    ),
    member(
        'y',
        "source_identity",
        Text,
        &[USER, SESSION, "sourceIdentity"],
        "Who assumed the role, as set with it.",
    ),
    member(
        'z',
        "web_id_federation_data",
        Json,
        &[USER, SESSION, "webIdFederationData"],
        "Web identity behind the session.",
    ),
    member(
        '0',
        "ec2_role_delivery",
        Text,
        &[USER, SESSION, "ec2RoleDelivery"],
        "Version of the instance metadata service.",
    ),
    member(
        '1',
        "assumed_root",
        Text,
        &[USER, SESSION, "assumedRoot"],
        "`true` in a session made by `AssumeRoot`.",
    ),
    member(
        '2',
        "sign_in_session_arn",
        Text,
        &[USER, SESSION, "signInSessionArn"],
        "Console or `aws login` session.",
    ),
    derived(
        "key_arn",
        "KMS key that the call used, from `resources`, the parameters or the error text.",
    ),
    derived("key_arn2", "Second KMS key of the call: the destination of `ReEncrypt`."),
];

/// Index of the column with this name.
pub const fn column(name: &str) -> Option<usize> {
    let mut at = 0;
    while at < COLUMNS.len() {
        if same(COLUMNS[at].name, name) {
            return Some(at);
        }
        at += 1;
    }
    None
}

const fn member(
    code: char,
    name: &'static str,
    kind: Kind,
    path: &'static [&'static str],
    doc: &'static str,
) -> Column {
    Column { name, path, kind, code: Some(code), doc }
}

const fn derived(name: &'static str, doc: &'static str) -> Column {
    Column { name, path: &[], kind: Text, code: None, doc }
}

/// A name that must be in the table; evaluated at compile time only, so the panic is a compile
/// error.
const fn index(name: &str) -> usize {
    match column(name) {
        Some(at) => at,
        None => panic!("no such column"),
    }
}

/// String equality that a constant may use.
pub(crate) const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The columns' indexes by name, checked when the crate is compiled.
pub mod col {
    use super::index;

    /// Index of `event_version`.
    pub const EVENT_VERSION: usize = index("event_version");
    /// Index of `event_time`.
    pub const EVENT_TIME: usize = index("event_time");
    /// Index of `event_source`.
    pub const EVENT_SOURCE: usize = index("event_source");
    /// Index of `event_name`.
    pub const EVENT_NAME: usize = index("event_name");
    /// Index of `aws_region`.
    pub const AWS_REGION: usize = index("aws_region");
    /// Index of `source_ip_address`.
    pub const SOURCE_IP_ADDRESS: usize = index("source_ip_address");
    /// Index of `user_agent`.
    pub const USER_AGENT: usize = index("user_agent");
    /// Index of `error_code`.
    pub const ERROR_CODE: usize = index("error_code");
    /// Index of `error_message`.
    pub const ERROR_MESSAGE: usize = index("error_message");
    /// Index of `request_parameters`.
    pub const REQUEST_PARAMETERS: usize = index("request_parameters");
    /// Index of `response_elements`.
    pub const RESPONSE_ELEMENTS: usize = index("response_elements");
    /// Index of `additional_event_data`.
    pub const ADDITIONAL_EVENT_DATA: usize = index("additional_event_data");
    /// Index of `request_id`.
    pub const REQUEST_ID: usize = index("request_id");
    /// Index of `event_id`.
    pub const EVENT_ID: usize = index("event_id");
    /// Index of `read_only`.
    pub const READ_ONLY: usize = index("read_only");
    /// Index of `resources`.
    pub const RESOURCES: usize = index("resources");
    /// Index of `event_type`.
    pub const EVENT_TYPE: usize = index("event_type");
    /// Index of `api_version`.
    pub const API_VERSION: usize = index("api_version");
    /// Index of `management_event`.
    pub const MANAGEMENT_EVENT: usize = index("management_event");
    /// Index of `recipient_account_id`.
    pub const RECIPIENT_ACCOUNT_ID: usize = index("recipient_account_id");
    /// Index of `shared_event_id`.
    pub const SHARED_EVENT_ID: usize = index("shared_event_id");
    /// Index of `vpc_endpoint_id`.
    pub const VPC_ENDPOINT_ID: usize = index("vpc_endpoint_id");
    /// Index of `vpc_endpoint_account_id`.
    pub const VPC_ENDPOINT_ACCOUNT_ID: usize = index("vpc_endpoint_account_id");
    /// Index of `event_category`.
    pub const EVENT_CATEGORY: usize = index("event_category");
    /// Index of `service_event_details`.
    pub const SERVICE_EVENT_DETAILS: usize = index("service_event_details");
    /// Index of `addendum`.
    pub const ADDENDUM: usize = index("addendum");
    /// Index of `session_credential_from_console`.
    pub const SESSION_CREDENTIAL_FROM_CONSOLE: usize = index("session_credential_from_console");
    /// Index of `edge_device_details`.
    pub const EDGE_DEVICE_DETAILS: usize = index("edge_device_details");
    /// Index of `tls_details`.
    pub const TLS_DETAILS: usize = index("tls_details");
    /// Index of `event_context`.
    pub const EVENT_CONTEXT: usize = index("event_context");
    /// Index of `insight_details`.
    pub const INSIGHT_DETAILS: usize = index("insight_details");
    /// Index of `identity_type`.
    pub const IDENTITY_TYPE: usize = index("identity_type");
    /// Index of `principal_id`.
    pub const PRINCIPAL_ID: usize = index("principal_id");
    /// Index of `principal_arn`.
    pub const PRINCIPAL_ARN: usize = index("principal_arn");
    /// Index of `account_id`.
    pub const ACCOUNT_ID: usize = index("account_id");
    /// Index of `access_key_id`.
    pub const ACCESS_KEY_ID: usize = index("access_key_id");
    /// Index of `user_name`.
    pub const USER_NAME: usize = index("user_name");
    /// Index of `invoked_by`.
    pub const INVOKED_BY: usize = index("invoked_by");
    /// Index of `identity_provider`.
    pub const IDENTITY_PROVIDER: usize = index("identity_provider");
    /// Index of `credential_id`.
    pub const CREDENTIAL_ID: usize = index("credential_id");
    /// Index of `on_behalf_of`.
    pub const ON_BEHALF_OF: usize = index("on_behalf_of");
    /// Index of `in_scope_of`.
    pub const IN_SCOPE_OF: usize = index("in_scope_of");
    /// Index of `invoked_by_delegate`.
    pub const INVOKED_BY_DELEGATE: usize = index("invoked_by_delegate");
    /// Index of `issuer_type`.
    pub const ISSUER_TYPE: usize = index("issuer_type");
    /// Index of `issuer_principal_id`.
    pub const ISSUER_PRINCIPAL_ID: usize = index("issuer_principal_id");
    /// Index of `issuer_arn`.
    pub const ISSUER_ARN: usize = index("issuer_arn");
    /// Index of `issuer_account_id`.
    pub const ISSUER_ACCOUNT_ID: usize = index("issuer_account_id");
    /// Index of `issuer_user_name`.
    pub const ISSUER_USER_NAME: usize = index("issuer_user_name");
    /// Index of `session_creation_date`.
    pub const SESSION_CREATION_DATE: usize = index("session_creation_date");
    /// Index of `mfa_authenticated`.
    pub const MFA_AUTHENTICATED: usize = index("mfa_authenticated");
    /// Index of `source_identity`.
    pub const SOURCE_IDENTITY: usize = index("source_identity");
    /// Index of `web_id_federation_data`.
    pub const WEB_ID_FEDERATION_DATA: usize = index("web_id_federation_data");
    /// Index of `ec2_role_delivery`.
    pub const EC2_ROLE_DELIVERY: usize = index("ec2_role_delivery");
    /// Index of `assumed_root`.
    pub const ASSUMED_ROOT: usize = index("assumed_root");
    /// Index of `sign_in_session_arn`.
    pub const SIGN_IN_SESSION_ARN: usize = index("sign_in_session_arn");
    /// Index of `key_arn`.
    pub const KEY_ARN: usize = index("key_arn");
    /// Index of `key_arn2`.
    pub const KEY_ARN2: usize = index("key_arn2");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_paths_and_codes_are_distinct() {
        let names: BTreeSet<_> = COLUMNS.iter().map(|column| column.name).collect();
        let codes: BTreeSet<_> = COLUMNS.iter().filter_map(|column| column.code).collect();
        let paths: BTreeSet<_> =
            COLUMNS.iter().map(|column| column.path).filter(|path| !path.is_empty()).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert_eq!(codes.len(), paths.len());
        assert!(codes.iter().all(char::is_ascii_alphanumeric));
    }

    #[test]
    fn a_column_has_a_code_exactly_if_a_member_fills_it() {
        for column in COLUMNS {
            assert_eq!(column.code.is_some(), !column.path.is_empty(), "{}", column.name);
        }
        assert_eq!(COLUMNS[col::KEY_ARN2].name, "key_arn2");
        assert_eq!(column("keyArn"), None);
    }
}
