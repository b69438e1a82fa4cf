//! Records for the tests of this crate: the plainest one, and one with every member.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use crate::{
    AccountId, EventType, Guid, InScopeOf, Json, OnBehalfOf, Record, Region, Resource,
    SessionAttributes, SessionContext, SessionIssuer, Timestamp, TlsDetails, UserIdentity,
};

pub(crate) const KEY: &str =
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

pub(crate) fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

/// A call that sets nothing optional.
pub(crate) fn plain() -> Record {
    Record::new(
        Timestamp::from_unix_seconds(1_767_323_045),
        "kms.amazonaws.com",
        "Decrypt",
        UserIdentity::root(&account(), "AKIAEXAMPLE"),
        Region::parse("us-east-1").unwrap(),
        account(),
        Guid::from_random([7; 16]),
    )
}

/// Every member that a record can have, all at once; no real record has them all.
pub(crate) fn full() -> Record {
    Record {
        user_identity: full_identity(),
        user_agent: Some("aws-cli/1.45.11".to_owned()),
        error_code: Some("DisabledException".to_owned()),
        error_message: Some(format!("{KEY} is disabled.")),
        request_parameters: Some(Json::object().with("keyId", "alias/app")),
        response_elements: Some(Json::object().with("keyId", KEY)),
        additional_event_data: Some(Json::object().with("keyMaterialId", "0f")),
        request_id: Some(Guid::from_random([6; 16])),
        read_only: true,
        resources: vec![Resource::kms_key(account(), KEY), Resource::kms_key(account(), KEY)],
        event_type: EventType::AwsServiceEvent,
        api_version: Some("2014-11-01".to_owned()),
        shared_event_id: Some(Guid::from_random([5; 16])),
        service_event_details: Some(Json::object().with("keyId", KEY)),
        vpc_endpoint_id: Some("vpce-1234".to_owned()),
        vpc_endpoint_account_id: Some(account()),
        tls_details: Some(TlsDetails {
            tls_version: "TLSv1.3".to_owned(),
            cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
            client_provided_host_header: "kms.us-east-1.amazonaws.com".to_owned(),
            key_exchange: Some("x25519".to_owned()),
        }),
        session_credential_from_console: true,
        ..plain()
    }
}

fn full_identity() -> UserIdentity {
    let attributes = SessionAttributes {
        creation_date: Timestamp::from_unix_seconds(1_767_320_000),
        mfa_authenticated: true,
    };
    UserIdentity {
        session_context: Some(SessionContext {
            issuer: Some(SessionIssuer {
                kind: "Role".to_owned(),
                principal_id: "AROAEXAMPLE".to_owned(),
                arn: "arn:aws:iam::111122223333:role/app".to_owned(),
                account_id: account(),
                user_name: Some("app".to_owned()),
            }),
            web_id_federation_data: Some(Json::object()),
            attributes: Some(attributes),
            source_identity: Some("alice".to_owned()),
            ec2_role_delivery: Some("2.0".to_owned()),
            assumed_root: Some(false),
            sign_in_session_arn: Some("arn:aws:signin:us-east-1:111122223333:session/s".to_owned()),
        }),
        user_name: Some("alice".to_owned()),
        invoked_by: Some("s3.amazonaws.com".to_owned()),
        invoked_by_delegate: Some(account()),
        on_behalf_of: Some(OnBehalfOf {
            user_id: "u-1".to_owned(),
            identity_store_arn: "arn:aws:identitystore::111122223333:identitystore/d-1".to_owned(),
        }),
        in_scope_of: Some(InScopeOf {
            issuer_type: Some("AWS::Lambda::Function".to_owned()),
            ..InScopeOf::default()
        }),
        credential_id: Some("c-1".to_owned()),
        identity_provider: Some("idp.example.com".to_owned()),
        ..UserIdentity::root(&account(), "ASIAEXAMPLE")
    }
}
