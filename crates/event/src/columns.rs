//! The one table: which member of a record becomes which column of the lake.
//!
//! Everything else follows from it: the split, the join, the lake's schema, the layout alphabet and
//! `schemas/record-columns.md`. A new column is added at the end of its group with a fresh code; a code is never used
//! again for something else, because layouts that were written once are read forever.

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

/// All columns in the order of the lake.
pub const COLUMNS: &[Column] = &[
    Column {
        name: "event_version",
        path: &["eventVersion"],
        kind: Kind::Text,
        code: Some('A'),
        doc: "Version of the record format, `major.minor`; a larger minor is compatible.",
    },
    Column {
        name: "event_time",
        path: &["eventTime"],
        kind: Kind::Time,
        code: Some('B'),
        doc: "When the request completed, UTC.",
    },
    Column {
        name: "event_source",
        path: &["eventSource"],
        kind: Kind::Text,
        code: Some('C'),
        doc: "DNS name of the service, `kms.amazonaws.com`.",
    },
    Column {
        name: "event_name",
        path: &["eventName"],
        kind: Kind::Text,
        code: Some('D'),
        doc: "The API action, `Decrypt`.",
    },
    Column {
        name: "aws_region",
        path: &["awsRegion"],
        kind: Kind::Text,
        code: Some('E'),
        doc: "Region of the endpoint that was called.",
    },
    Column {
        name: "source_ip_address",
        path: &["sourceIPAddress"],
        kind: Kind::Text,
        code: Some('F'),
        doc: "Address of the caller, or DNS name of the calling service.",
    },
    Column {
        name: "user_agent",
        path: &["userAgent"],
        kind: Kind::Text,
        code: Some('G'),
        doc: "Program of the caller, cut at 1 KB.",
    },
    Column {
        name: "error_code",
        path: &["errorCode"],
        kind: Kind::Text,
        code: Some('H'),
        doc: "Why the call failed; null in a call that succeeded.",
    },
    Column {
        name: "error_message",
        path: &["errorMessage"],
        kind: Kind::Text,
        code: Some('I'),
        doc: "The failure in words, cut at 1 KB.",
    },
    Column {
        name: "request_parameters",
        path: &["requestParameters"],
        kind: Kind::Json,
        code: Some('J'),
        doc: "What was asked.",
    },
    Column {
        name: "response_elements",
        path: &["responseElements"],
        kind: Kind::Json,
        code: Some('K'),
        doc: "What was answered, of changes only.",
    },
    Column {
        name: "additional_event_data",
        path: &["additionalEventData"],
        kind: Kind::Json,
        code: Some('L'),
        doc: "More facts, such as `keyMaterialId`.",
    },
    Column {
        name: "request_id",
        path: &["requestID"],
        kind: Kind::Text,
        code: Some('M'),
        doc: "The service's id of the request.",
    },
    Column {
        name: "event_id",
        path: &["eventID"],
        kind: Kind::Text,
        code: Some('N'),
        doc: "CloudTrail's id of the event: the key for finding and deduplicating.",
    },
    Column {
        name: "read_only",
        path: &["readOnly"],
        kind: Kind::Bool,
        code: Some('O'),
        doc: "Whether the action changes nothing.",
    },
    Column {
        name: "resources",
        path: &["resources"],
        kind: Kind::Json,
        code: Some('P'),
        doc: "The resources the call touched, with their ARNs.",
    },
    Column {
        name: "event_type",
        path: &["eventType"],
        kind: Kind::Text,
        code: Some('Q'),
        doc: "`AwsApiCall`, `AwsServiceEvent`, `AwsConsoleSignIn`, …",
    },
    Column {
        name: "api_version",
        path: &["apiVersion"],
        kind: Kind::Text,
        code: Some('R'),
        doc: "Version of the API, where the service has one.",
    },
    Column {
        name: "management_event",
        path: &["managementEvent"],
        kind: Kind::Bool,
        code: Some('S'),
        doc: "Whether this is a management event.",
    },
    Column {
        name: "recipient_account_id",
        path: &["recipientAccountId"],
        kind: Kind::Text,
        code: Some('T'),
        doc: "Account whose log holds this copy.",
    },
    Column {
        name: "shared_event_id",
        path: &["sharedEventID"],
        kind: Kind::Text,
        code: Some('U'),
        doc: "Id common to the copies that several accounts got.",
    },
    Column {
        name: "vpc_endpoint_id",
        path: &["vpcEndpointId"],
        kind: Kind::Text,
        code: Some('V'),
        doc: "Interface endpoint that the call came through.",
    },
    Column {
        name: "vpc_endpoint_account_id",
        path: &["vpcEndpointAccountId"],
        kind: Kind::Text,
        code: Some('W'),
        doc: "Owner of that endpoint.",
    },
    Column {
        name: "event_category",
        path: &["eventCategory"],
        kind: Kind::Text,
        code: Some('X'),
        doc: "`Management`, `Data`, `NetworkActivity` or `Insight`.",
    },
    Column {
        name: "service_event_details",
        path: &["serviceEventDetails"],
        kind: Kind::Json,
        code: Some('Y'),
        doc: "Payload of a service event.",
    },
    Column {
        name: "addendum",
        path: &["addendum"],
        kind: Kind::Json,
        code: Some('Z'),
        doc: "Why an event is late, or what it corrects.",
    },
    Column {
        name: "session_credential_from_console",
        path: &["sessionCredentialFromConsole"],
        kind: Kind::Text,
        code: Some('a'),
        doc: "`true` when the credentials come from a console session.",
    },
    Column {
        name: "edge_device_details",
        path: &["edgeDeviceDetails"],
        kind: Kind::Json,
        code: Some('b'),
        doc: "The Outposts or Snow device.",
    },
    Column {
        name: "tls_details",
        path: &["tlsDetails"],
        kind: Kind::Json,
        code: Some('c'),
        doc: "TLS version, cipher suite, key exchange and host name.",
    },
    Column {
        name: "event_context",
        path: &["eventContext"],
        kind: Kind::Json,
        code: Some('d'),
        doc: "Request and tag context, of event data stores only.",
    },
    Column {
        name: "insight_details",
        path: &["insightDetails"],
        kind: Kind::Json,
        code: Some('e'),
        doc: "Payload of an Insights event.",
    },
    Column {
        name: "identity_type",
        path: &["userIdentity", "type"],
        kind: Kind::Text,
        code: Some('f'),
        doc: "Kind of caller: `Root`, `IAMUser`, `AssumedRole`, `AWSService`, …",
    },
    Column {
        name: "principal_id",
        path: &["userIdentity", "principalId"],
        kind: Kind::Text,
        code: Some('g'),
        doc: "Unique id of the caller, `AIDA…` or `AROA…:session`.",
    },
    Column {
        name: "principal_arn",
        path: &["userIdentity", "arn"],
        kind: Kind::Text,
        code: Some('h'),
        doc: "ARN of the caller; of a role session, the session's.",
    },
    Column {
        name: "account_id",
        path: &["userIdentity", "accountId"],
        kind: Kind::Text,
        code: Some('i'),
        doc: "Account the caller belongs to.",
    },
    Column {
        name: "access_key_id",
        path: &["userIdentity", "accessKeyId"],
        kind: Kind::Text,
        code: Some('j'),
        doc: "Access key that signed the request.",
    },
    Column {
        name: "user_name",
        path: &["userIdentity", "userName"],
        kind: Kind::Text,
        code: Some('k'),
        doc: "Friendly name of the user.",
    },
    Column {
        name: "invoked_by",
        path: &["userIdentity", "invokedBy"],
        kind: Kind::Text,
        code: Some('l'),
        doc: "Service that called with the caller's forwarded rights.",
    },
    Column {
        name: "identity_provider",
        path: &["userIdentity", "identityProvider"],
        kind: Kind::Text,
        code: Some('m'),
        doc: "Provider of a web or SAML user.",
    },
    Column {
        name: "credential_id",
        path: &["userIdentity", "credentialId"],
        kind: Kind::Text,
        code: Some('n'),
        doc: "Identity Center credential.",
    },
    Column {
        name: "on_behalf_of",
        path: &["userIdentity", "onBehalfOf"],
        kind: Kind::Json,
        code: Some('o'),
        doc: "Identity Center user behind the call.",
    },
    Column {
        name: "in_scope_of",
        path: &["userIdentity", "inScopeOf"],
        kind: Kind::Json,
        code: Some('p'),
        doc: "Resource the credentials were issued to.",
    },
    Column {
        name: "invoked_by_delegate",
        path: &["userIdentity", "invokedByDelegate"],
        kind: Kind::Json,
        code: Some('q'),
        doc: "Account of the delegate that called.",
    },
    Column {
        name: "issuer_type",
        path: &["userIdentity", "sessionContext", "sessionIssuer", "type"],
        kind: Kind::Text,
        code: Some('r'),
        doc: "What issued the session: `Role`, `IAMUser`, `Root`.",
    },
    Column {
        name: "issuer_principal_id",
        path: &["userIdentity", "sessionContext", "sessionIssuer", "principalId"],
        kind: Kind::Text,
        code: Some('s'),
        doc: "Unique id of the issuer, `AROA…`.",
    },
    Column {
        name: "issuer_arn",
        path: &["userIdentity", "sessionContext", "sessionIssuer", "arn"],
        kind: Kind::Text,
        code: Some('t'),
        doc: "ARN of the role or user behind the session.",
    },
    Column {
        name: "issuer_account_id",
        path: &["userIdentity", "sessionContext", "sessionIssuer", "accountId"],
        kind: Kind::Text,
        code: Some('u'),
        doc: "Account of the issuer.",
    },
    Column {
        name: "issuer_user_name",
        path: &["userIdentity", "sessionContext", "sessionIssuer", "userName"],
        kind: Kind::Text,
        code: Some('v'),
        doc: "Name of the role or user.",
    },
    Column {
        name: "session_creation_date",
        path: &["userIdentity", "sessionContext", "attributes", "creationDate"],
        kind: Kind::Text,
        code: Some('w'),
        doc: "When the session began; CloudTrail's own text.",
    },
    Column {
        name: "mfa_authenticated",
        path: &["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"],
        kind: Kind::Text,
        code: Some('x'),
        doc: "`true` when a second factor was shown; CloudTrail's own text.",
    },
    Column {
        name: "source_identity",
        path: &["userIdentity", "sessionContext", "sourceIdentity"],
        kind: Kind::Text,
        code: Some('y'),
        doc: "Who assumed the role, as set with it.",
    },
    Column {
        name: "web_id_federation_data",
        path: &["userIdentity", "sessionContext", "webIdFederationData"],
        kind: Kind::Json,
        code: Some('z'),
        doc: "Web identity behind the session.",
    },
    Column {
        name: "ec2_role_delivery",
        path: &["userIdentity", "sessionContext", "ec2RoleDelivery"],
        kind: Kind::Text,
        code: Some('0'),
        doc: "Version of the instance metadata service.",
    },
    Column {
        name: "assumed_root",
        path: &["userIdentity", "sessionContext", "assumedRoot"],
        kind: Kind::Text,
        code: Some('1'),
        doc: "`true` in a session made by `AssumeRoot`.",
    },
    Column {
        name: "sign_in_session_arn",
        path: &["userIdentity", "sessionContext", "signInSessionArn"],
        kind: Kind::Text,
        code: Some('2'),
        doc: "Console or `aws login` session.",
    },
    Column {
        name: "key_arn",
        path: &[],
        kind: Kind::Text,
        code: None,
        doc: "KMS key that the call used, from `resources`, the parameters or the error text.",
    },
    Column {
        name: "key_arn2",
        path: &[],
        kind: Kind::Text,
        code: None,
        doc: "Second KMS key of the call: the destination of `ReEncrypt`.",
    },
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

/// A name that must be in the table; evaluated at compile time only, so the panic is a compile error.
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
