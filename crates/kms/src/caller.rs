//! Who makes a call, and from where: what the record will say about it.

use keytrail_auth::{AccessKeyId, Principal};
use keytrail_event::{AccountId, Region, TlsDetails, UserIdentity};

use crate::names::Place;

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
    /// The caller's account, in the Region that it calls in.
    home: Place,
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
        region: Region,
    ) -> Self {
        let home = Place::new(principal.account().clone(), region);
        Self {
            principal,
            principal_id,
            access_key_id,
            home,
            source_ip: "127.0.0.1".to_owned(),
            user_agent: "keytrail".to_owned(),
            tls: None,
        }
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

    pub(crate) fn source_ip(&self) -> &str {
        &self.source_ip
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    pub(crate) fn tls(&self) -> Option<&TlsDetails> {
        self.tls.as_ref()
    }

    /// `userIdentity` of the copy that another account gets: the account and the unique id, no name.
    pub(crate) fn identity_abroad(&self) -> UserIdentity {
        UserIdentity::aws_account(self.account(), &self.principal_id)
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
