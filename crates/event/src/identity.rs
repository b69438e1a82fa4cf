//! Who made the call: CloudTrail's `userIdentity`, typed.
//!
//! The element's members depend on the kind of caller
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>).
//! All are optional here; the constructors give each kind the members that AWS gives it, so that
//! nobody builds a root user with a user name by accident.

use crate::json::{Json, Members};
use crate::{AccountId, Arn, Timestamp};

/// The caller of a record. Absent members are left out of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserIdentity {
    /// `type`: `Root`, `IAMUser`, `AssumedRole`, …; absent in service events.
    pub kind: Option<String>,
    /// `principalId`: the unique id (`AIDA…`, `AROA…:session`), or the account id of a root user.
    pub principal_id: Option<String>,
    /// `arn` of the principal.
    pub arn: Option<String>,
    /// `accountId` that the principal belongs to.
    pub account_id: Option<AccountId>,
    /// `accessKeyId` that signed the request. The id only; the secret has no place in this crate.
    pub access_key_id: Option<String>,
    /// `userName`: the friendly name of an IAM user.
    pub user_name: Option<String>,
    /// `sessionContext`, when temporary credentials were used.
    pub session_context: Option<SessionContext>,
    /// `invokedBy`: the DNS name of the service that called with the principal's forwarded rights.
    pub invoked_by: Option<String>,
    /// `invokedByDelegate.accountId`.
    pub invoked_by_delegate: Option<AccountId>,
    /// `onBehalfOf`: the Identity Center user behind the call.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// `inScopeOf`: the resource that the credentials were issued to.
    pub in_scope_of: Option<InScopeOf>,
    /// `credentialId` of an Identity Center bearer token.
    pub credential_id: Option<String>,
    /// `identityProvider` of web and SAML users.
    pub identity_provider: Option<String>,
}

/// `sessionContext`: how temporary credentials came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionContext {
    /// `sessionIssuer`: the role or user that the credentials were issued from.
    pub issuer: Option<SessionIssuer>,
    /// `webIdFederationData`, an object of AWS's making.
    pub web_id_federation_data: Option<Json>,
    /// `attributes`: creation time and second factor.
    pub attributes: Option<SessionAttributes>,
    /// `sourceIdentity` set when the role was assumed.
    pub source_identity: Option<String>,
    /// `ec2RoleDelivery`: `1.0` or `2.0`, the version of the instance metadata service.
    pub ec2_role_delivery: Option<String>,
    /// `assumedRoot`: `true` in a short-lived root session from `AssumeRoot`; written as a string.
    pub assumed_root: Option<bool>,
    /// `signInSessionArn` of a console or `aws login` session.
    pub sign_in_session_arn: Option<String>,
}

/// `sessionContext.sessionIssuer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIssuer {
    /// `type`: `Role`, `IAMUser` or `Root`.
    pub kind: String,
    /// `principalId` of the issuer (`AROA…`).
    pub principal_id: String,
    /// `arn` of the issuer: the role itself, where `userIdentity.arn` names the session.
    pub arn: String,
    /// `accountId` of the issuer.
    pub account_id: AccountId,
    /// `userName`: the role's name.
    pub user_name: Option<String>,
}

/// `sessionContext.attributes`; AWS writes both as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAttributes {
    /// `creationDate` of the credentials.
    pub creation_date: Timestamp,
    /// `mfaAuthenticated`: whether a second factor was shown.
    pub mfa_authenticated: bool,
}

/// `onBehalfOf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBehalfOf {
    /// `userId` in the identity store.
    pub user_id: String,
    /// `identityStoreArn`.
    pub identity_store_arn: String,
}

/// `inScopeOf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InScopeOf {
    /// `issuerType`, such as `AWS::Lambda::Function`.
    pub issuer_type: Option<String>,
    /// `credentialsIssuedTo`: the ARN of the resource.
    pub credentials_issued_to: Option<String>,
    /// `sourceArn`.
    pub source_arn: Option<String>,
    /// `sourceAccount`.
    pub source_account: Option<AccountId>,
}

impl UserIdentity {
    /// The account's root user: its principal id is the account id.
    pub fn root(account: &AccountId, access_key_id: &str) -> Self {
        Self {
            kind: Some("Root".to_owned()),
            principal_id: Some(account.to_string()),
            arn: Some(Arn::iam_root(account).to_string()),
            account_id: Some(account.clone()),
            access_key_id: Some(access_key_id.to_owned()),
            ..Self::default()
        }
    }

    /// An IAM user with a long-lived access key. `principal_id` is its unique id (`AIDA…`).
    pub fn iam_user(
        account: &AccountId,
        name: &str,
        principal_id: &str,
        access_key_id: &str,
    ) -> Self {
        Self {
            kind: Some("IAMUser".to_owned()),
            principal_id: Some(principal_id.to_owned()),
            arn: Some(Arn::iam_user(account, name).to_string()),
            account_id: Some(account.clone()),
            access_key_id: Some(access_key_id.to_owned()),
            user_name: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// A session of a role. `role_id` is the role's unique id (`AROA…`), `access_key_id` starts
    /// with `ASIA`.
    ///
    /// The session has no `userName` of its own: the role's name stands in `sessionIssuer`.
    pub fn assumed_role(
        account: &AccountId,
        role: &str,
        role_id: &str,
        session: &str,
        access_key_id: &str,
        attributes: SessionAttributes,
    ) -> Self {
        let issuer = SessionIssuer {
            kind: "Role".to_owned(),
            principal_id: role_id.to_owned(),
            arn: format!("arn:aws:iam::{account}:role/{role}"),
            account_id: account.clone(),
            user_name: Some(role.to_owned()),
        };
        Self {
            kind: Some("AssumedRole".to_owned()),
            principal_id: Some(format!("{role_id}:{session}")),
            arn: Some(format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")),
            account_id: Some(account.clone()),
            access_key_id: Some(access_key_id.to_owned()),
            session_context: Some(SessionContext {
                issuer: Some(issuer),
                attributes: Some(attributes),
                ..SessionContext::default()
            }),
            ..Self::default()
        }
    }

    /// An AWS service calling on its own behalf, `dynamodb.amazonaws.com`.
    pub fn aws_service(service: &str) -> Self {
        Self {
            kind: Some("AWSService".to_owned()),
            invoked_by: Some(service.to_owned()),
            ..Self::default()
        }
    }

    /// A caller from another account, as the key owner's copy of the record shows it: without ARN
    /// and access key.
    pub fn aws_account(account: &AccountId, principal_id: &str) -> Self {
        Self {
            kind: Some("AWSAccount".to_owned()),
            principal_id: Some(principal_id.to_owned()),
            account_id: Some(account.clone()),
            ..Self::default()
        }
    }

    /// The identity of a service event (key rotation, deletion): no caller, hence no `type`.
    pub fn service_event(account: &AccountId) -> Self {
        Self {
            account_id: Some(account.clone()),
            invoked_by: Some("AWS Internal".to_owned()),
            ..Self::default()
        }
    }

    /// Marks the call as made by `service` with this principal's forwarded rights.
    #[must_use]
    pub fn invoked_by(mut self, service: &str) -> Self {
        self.invoked_by = Some(service.to_owned());
        self
    }

    /// The members, in AWS's order.
    pub(crate) fn write(&self, out: &mut Members<'_>) {
        out.maybe_text("type", self.kind.as_deref());
        out.maybe_text("principalId", self.principal_id.as_deref());
        out.maybe_text("arn", self.arn.as_deref());
        out.maybe_text("accountId", self.account_id.as_ref().map(AccountId::as_str));
        out.maybe_text("accessKeyId", self.access_key_id.as_deref());
        out.maybe_text("userName", self.user_name.as_deref());
        out.maybe_text("identityProvider", self.identity_provider.as_deref());
        if let Some(session) = &self.session_context {
            out.object("sessionContext", |out| session.write(out));
        }
        if let Some(user) = &self.on_behalf_of {
            out.object("onBehalfOf", |out| user.write(out));
        }
        out.maybe_text("credentialId", self.credential_id.as_deref());
        if let Some(scope) = &self.in_scope_of {
            out.object("inScopeOf", |out| scope.write(out));
        }
        out.maybe_text("invokedBy", self.invoked_by.as_deref());
        if let Some(account) = &self.invoked_by_delegate {
            out.object("invokedByDelegate", |out| out.text("accountId", account.as_str()));
        }
    }
}

impl SessionContext {
    fn write(&self, out: &mut Members<'_>) {
        if let Some(issuer) = &self.issuer {
            out.object("sessionIssuer", |out| issuer.write(out));
        }
        if let Some(data) = &self.web_id_federation_data {
            out.json("webIdFederationData", data);
        }
        if let Some(attributes) = self.attributes {
            out.object("attributes", |out| attributes.write(out));
        }
        out.maybe_text("sourceIdentity", self.source_identity.as_deref());
        out.maybe_text("ec2RoleDelivery", self.ec2_role_delivery.as_deref());
        out.maybe_quoted("assumedRoot", self.assumed_root);
        out.maybe_text("signInSessionArn", self.sign_in_session_arn.as_deref());
    }
}

impl SessionIssuer {
    fn write(&self, out: &mut Members<'_>) {
        out.text("type", &self.kind);
        out.text("principalId", &self.principal_id);
        out.text("arn", &self.arn);
        out.text("accountId", self.account_id.as_str());
        out.maybe_text("userName", self.user_name.as_deref());
    }
}

impl SessionAttributes {
    fn write(self, out: &mut Members<'_>) {
        out.quoted("creationDate", self.creation_date);
        out.quoted("mfaAuthenticated", self.mfa_authenticated);
    }
}

impl OnBehalfOf {
    fn write(&self, out: &mut Members<'_>) {
        out.text("userId", &self.user_id);
        out.text("identityStoreArn", &self.identity_store_arn);
    }
}

impl InScopeOf {
    fn write(&self, out: &mut Members<'_>) {
        out.maybe_text("issuerType", self.issuer_type.as_deref());
        out.maybe_text("credentialsIssuedTo", self.credentials_issued_to.as_deref());
        out.maybe_text("sourceArn", self.source_arn.as_deref());
        out.maybe_text("sourceAccount", self.source_account.as_ref().map(AccountId::as_str));
    }
}
