//! Who makes a call, and from where: what the record will say about it.

use std::sync::Arc;

use keytrail_auth::{AccessKeyId, Principal};
use keytrail_event::{AccountId, Region, SessionAttributes, TlsDetails, UserIdentity};

use crate::EngineError;
use crate::names::Place;
use crate::session::Session;
use crate::state::Role;

/// The longest source address that is kept; an address has at most 45 characters, a service's DNS name 253.
const SOURCE_CHARS_MAX: usize = 256;
/// The longest label of a DNS name (RFC 1035).
const HOST_CHARS_MAX: usize = 63;

/// A principal with one of its access keys, as the engine knows them.
///
/// Only the engine makes one ([`Engine::root_caller`](crate::Engine::root_caller),
/// [`Engine::caller_for_access_key`](crate::Engine::caller_for_access_key)); each call checks again that the access key
/// still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    principal: Principal,
    principal_id: String,
    access_key_id: AccessKeyId,
    /// The caller's account, in the Region that it calls in.
    home: Place,
    /// If it calls with the credentials of a session.
    session: Option<Arc<Session>>,
    source_ip: String,
    user_agent: String,
    tls: Option<TlsDetails>,
    /// The DNS name of the service that calls for the principal, if one does.
    via: Option<String>,
}

impl Caller {
    /// A caller in this process: address `127.0.0.1`, user agent `keytrail`, no TLS.
    pub(crate) fn local(
        principal: Principal,
        principal_id: String,
        access_key_id: AccessKeyId,
        region: Region,
    ) -> Self {
        let home = Place::new(principal.account().clone(), region);
        Self {
            principal,
            principal_id,
            access_key_id,
            home,
            session: None,
            source_ip: "127.0.0.1".to_owned(),
            user_agent: "keytrail".to_owned(),
            tls: None,
            via: None,
        }
    }

    /// A session that calls.
    pub(crate) fn of_session(
        session: Session,
        role: &Role,
        access_key_id: AccessKeyId,
        region: Region,
    ) -> Self {
        let (principal, principal_id) = (session.principal(role), session.principal_id());
        let caller = Self::local(principal, principal_id, access_key_id, region);
        Self { session: Some(Arc::new(session)), ..caller }
    }

    /// The same caller in another Region. One that the engine does not have is refused at the call.
    #[must_use]
    pub fn in_region(mut self, region: Region) -> Self {
        self.home = self.home.in_region(region);
        self
    }

    /// The same caller from another address; cut at 256 characters.
    #[must_use]
    pub fn from_source(mut self, address: &str) -> Self {
        self.source_ip = address.chars().take(SOURCE_CHARS_MAX).collect();
        self
    }

    /// The same caller with another user agent; a record cuts it at 1 KB.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// The same caller over this TLS connection.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsDetails) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same caller, with a service in between: `s3` calls with the caller's rights, as `s3.<Region>.amazonaws.com` in
    /// `kms:ViaService`. Records say so (`invokedBy`), and have the service's DNS name for address and user agent and no
    /// TLS, as with AWS.
    ///
    /// Only a program that embeds the engine can say this, for it is what is trusted to play the service: no HTTP request
    /// can claim it. [`EngineError::ServiceName`] if it is none that a DNS name begins with: 1 to 63 lower-case letters,
    /// digits and `-`.
    pub fn via_service(mut self, service: &str) -> Result<Self, EngineError> {
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let edge = |letter: Option<char>| letter.is_none_or(|letter| letter == '-');
        let mut letters = service.chars();
        if service.len() > HOST_CHARS_MAX
            || !service.bytes().all(letter)
            || edge(letters.next())
            || service.ends_with('-')
        {
            let name = service.chars().take(HOST_CHARS_MAX).collect();
            return Err(EngineError::ServiceName { name });
        }
        self.via = Some(format!("{service}.amazonaws.com"));
        Ok(self)
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The principal's unique id: a user's `AIDA…`, a role's `AROA…` and the session's name, the root user's account.
    pub fn principal_id(&self) -> &str {
        &self.principal_id
    }

    /// The access key that the call is made with.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The Region that the call is made in. The first of the engine's, if nothing else was said.
    pub fn region(&self) -> &Region {
        self.home.region()
    }

    pub(crate) fn account(&self) -> &AccountId {
        self.home.account()
    }

    /// Where names without an account and a Region are looked for.
    pub(crate) fn home(&self) -> &Place {
        &self.home
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// The address; of a service, or with one in between, its name, as with AWS.
    pub(crate) fn source_ip(&self) -> &str {
        self.service_name().unwrap_or(&self.source_ip)
    }

    /// The user agent; of a service, or with one in between, its name, as with AWS.
    pub(crate) fn user_agent(&self) -> &str {
        self.service_name().unwrap_or(&self.user_agent)
    }

    fn service_name(&self) -> Option<&str> {
        match &self.principal {
            Principal::Service { name, .. } => Some(name.as_str()),
            _ => self.via.as_deref(),
        }
    }

    pub(crate) fn tls(&self) -> Option<&TlsDetails> {
        self.tls.as_ref().filter(|_| self.via.is_none())
    }

    /// The service in between, if there is one: what its DNS name begins with.
    pub(crate) fn via(&self) -> Option<&str> {
        self.via.as_deref().and_then(|name| name.split('.').next())
    }

    /// `userIdentity` of the copy that another account gets: the account and the unique id, no name.
    pub(crate) fn identity_abroad(&self) -> UserIdentity {
        match &self.principal {
            // A service belongs to no account, and is the same in each.
            Principal::Service { .. } => self.identity(),
            _ => self.forwarded(UserIdentity::aws_account(self.account(), &self.principal_id)),
        }
    }

    /// `userIdentity` of the record.
    pub(crate) fn identity(&self) -> UserIdentity {
        self.forwarded(self.own_identity())
    }

    /// Says which service is in between.
    fn forwarded(&self, identity: UserIdentity) -> UserIdentity {
        match &self.via {
            Some(name) => identity.invoked_by(name),
            None => identity,
        }
    }

    fn own_identity(&self) -> UserIdentity {
        let access_key_id = self.access_key_id.as_str();
        match &self.principal {
            Principal::User { account, name } => {
                UserIdentity::iam_user(account, name.as_str(), &self.principal_id, access_key_id)
            }
            Principal::Service { name, .. } => UserIdentity::aws_service(name.as_str()),
            principal => match self.session() {
                Some(session) => self.session_identity(session),
                None => UserIdentity::root(principal.account(), access_key_id),
            },
        }
    }

    fn session_identity(&self, session: &Session) -> UserIdentity {
        let attributes =
            SessionAttributes { creation_date: session.issued, mfa_authenticated: false };
        let mut identity = UserIdentity::assumed_role(
            &session.account,
            session.role.as_str(),
            session.role_id.as_str(),
            session.name.as_str(),
            self.access_key_id.as_str(),
            attributes,
        );
        if let Some(context) = &mut identity.session_context {
            context.source_identity = session.source_identity.as_ref().map(ToString::to_string);
            // The role's path stands in its ARN only.
            if let (Some(issuer), Some(role)) = (&mut context.issuer, self.principal.role_arn()) {
                issuer.arn = role.to_string();
            }
        }
        identity
    }
}
