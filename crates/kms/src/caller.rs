//! Who makes a call, and from where: what the record will say about it.

use keytrail_auth::{AccessKeyId, Principal, UserName};
use keytrail_event::{TlsDetails, UserIdentity};

/// The longest source address that is kept; an address has at most 45 characters, a service's DNS name 253.
const SOURCE_CHARS_MAX: usize = 256;

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
    source_ip: String,
    user_agent: String,
    tls: Option<TlsDetails>,
}

impl Caller {
    /// A caller in this process: address `127.0.0.1`, user agent `keytrail`, no TLS.
    pub(crate) fn local(
        principal: Principal,
        principal_id: String,
        access_key_id: AccessKeyId,
    ) -> Self {
        Self {
            principal,
            principal_id,
            access_key_id,
            source_ip: "127.0.0.1".to_owned(),
            user_agent: "keytrail".to_owned(),
            tls: None,
        }
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

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The principal's unique id: a user's `AIDA…`, the root user's account.
    pub fn principal_id(&self) -> &str {
        &self.principal_id
    }

    /// The access key that the call is made with.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The user's name, unless it is the root user.
    pub(crate) fn user_name(&self) -> Option<&UserName> {
        match &self.principal {
            Principal::User { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(crate) fn source_ip(&self) -> &str {
        &self.source_ip
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    pub(crate) fn tls(&self) -> Option<&TlsDetails> {
        self.tls.as_ref()
    }

    /// `userIdentity` of the record.
    pub(crate) fn identity(&self) -> UserIdentity {
        let access_key_id = self.access_key_id.as_str();
        match &self.principal {
            Principal::User { account, name } => {
                UserIdentity::iam_user(account, name.as_str(), &self.principal_id, access_key_id)
            }
            other => UserIdentity::root(other.account(), access_key_id),
        }
    }
}
