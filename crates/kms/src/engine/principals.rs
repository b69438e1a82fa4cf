//! Who may call: the root user and the users, by their access keys.

use keytrail_auth::{AccessKey, AccessKeyId, AuthError, RoleName, SecretAccessKey, SessionName};
use keytrail_event::{Guid, Json, Record, Timestamp, UserIdentity};

use super::Engine;
use super::call::{region_of, service_event};
use crate::environment::random_bytes;
use crate::error::KmsError;
use crate::iam;
use crate::ops::Service;
use crate::session::Session;
use crate::state::{AccessKeyEntry, Change, Founded, Owner};
use crate::typed::{self, SessionCredentials, UserDescription};
use crate::{Caller, EngineError};

impl Engine {
    /// The root user of the first account, with its access key. For calls from this process: nothing was authenticated.
    pub fn root_caller(&self) -> Result<Caller, EngineError> {
        let state = self.read_state()?;
        let root = Owner::Root(self.config.account.clone());
        let id = state.access_keys_of(&root).next().ok_or(EngineError::Unfinished)?;
        Ok(self.caller(id.clone(), &root, None))
    }

    /// The principal that an access key belongs to. For calls from this process, or after a signature by the key's secret
    /// was verified: the id alone proves nothing.
    pub fn caller_for_access_key(&self, access_key_id: &str) -> Result<Caller, EngineError> {
        let unknown =
            || EngineError::UnknownAccessKey { id: access_key_id.chars().take(40).collect() };
        let id: AccessKeyId = access_key_id.parse().map_err(|_| unknown())?;
        let state = self.read_state()?;
        let entry = state.access_keys.get(&id).ok_or_else(unknown)?;
        let user_id = match &entry.owner {
            Owner::Root(_) => None,
            Owner::Service { name, .. } => Some(name.to_string()),
            Owner::User { account, name } => {
                let user = state.user(account, name).ok_or_else(unknown)?;
                Some(user.id.as_str().to_owned())
            }
        };
        Ok(self.caller(id, &entry.owner, user_id))
    }

    /// What acts as a service in the first account, with the first of its access keys. For calls from this process: nothing
    /// was authenticated.
    pub fn caller_for_service(&self, name: &str) -> Result<Caller, EngineError> {
        let unknown = || EngineError::UnknownService { name: name.chars().take(128).collect() };
        let name = keytrail_auth::ServiceName::parse(name).map_err(|_| unknown())?;
        let service = Owner::Service { account: self.config.account.clone(), name };
        let id = self.read_state()?.access_keys_of(&service).next().cloned().ok_or_else(unknown)?;
        self.caller_for_access_key(id.as_str())
    }

    /// The secret of an access key, for verifying signatures.
    pub fn secret_access_key(&self, id: &AccessKeyId) -> Result<SecretAccessKey, EngineError> {
        let unknown = || EngineError::UnknownAccessKey { id: id.to_string() };
        let state = self.read_state()?;
        let entry = state.access_keys.get(id).ok_or_else(unknown)?;
        iam::open_secret(id, &entry.sealed_secret, &self.store_key).ok_or_else(unknown)
    }

    /// Secret and caller of an access key, for verifying a signature: the caller is proven by nothing else. A session's key
    /// needs the session's token, and no other has one.
    ///
    /// # Errors
    /// [`EngineError::UnknownAccessKey`] if there is no such key, or the token is not one for it;
    /// [`EngineError::ExpiredToken`] if the session is over.
    pub fn credentials(
        &self,
        id: &AccessKeyId,
        session_token: Option<&str>,
    ) -> Result<(SecretAccessKey, Caller), EngineError> {
        let Some(token) = session_token else {
            let secret = self.secret_access_key(id)?;
            return Ok((secret, self.caller_for_access_key(id.as_str())?));
        };
        let unknown = || EngineError::UnknownAccessKey { id: id.to_string() };
        let opened = Session::open(token, id, &self.config.origin, &self.store_key);
        let (secret, session) = opened.ok_or_else(unknown)?;
        let state = self.read_state()?;
        let role = session.role(&state).cloned().ok_or_else(unknown)?;
        if session.has_ended(self.now()) {
            return Err(EngineError::ExpiredToken);
        }
        let region = self.config.default_region().clone();
        Ok((secret, Caller::of_session(session, &role, id.clone(), region)))
    }

    /// The session whose credentials these are, for calls from this process: [`Engine::assume_role`] gives them.
    pub fn caller_for_session(
        &self,
        credentials: &SessionCredentials,
    ) -> Result<Caller, EngineError> {
        let (id, token) = (&credentials.access_key.id, credentials.session_token.as_str());
        self.credentials(id, Some(token)).map(|(_, caller)| caller)
    }

    /// What a session of a role would be, for questions about policies ([`Engine::check_policy`]). It has ended before it
    /// began: each call by it is refused, and its access key is nobody's. A role of another account than the first is named as
    /// in [`Engine::caller_named`].
    pub fn imagined_session(&self, role: &str, session: &str) -> Result<Caller, EngineError> {
        let wrong = |error: AuthError| EngineError::Question { detail: error.to_string() };
        let (account, role) = self.in_account(role).unwrap_or((self.config.account.clone(), role));
        let name = RoleName::parse(role).map_err(wrong)?;
        let session = SessionName::parse(session).map_err(wrong)?;
        let state = self.read_state()?;
        let role = state.role(&account, &name).ok_or_else(|| {
            let detail = format!("no role is called {name}; `keytrail principal list` tells all");
            EngineError::Question { detail }
        })?;
        let now = self.now();
        let session = Session {
            account,
            role: name,
            role_id: role.id.clone(),
            name: session,
            issued: now,
            expires: Timestamp::from_unix_seconds(0),
            policy: None,
            tags: Vec::new(),
            transitive: Vec::new(),
            source_identity: None,
        };
        let id = AccessKeyId::temporary_from_random([0; 10]);
        Ok(Caller::of_session(session, role, id, self.config.default_region().clone()))
    }

    /// Makes a user with these policies (name and document), and an access key, which is returned once.
    ///
    /// These are several calls and as many records: `CreateUser`, `PutUserPolicy` for each policy, `CreateAccessKey`. If one is
    /// refused, the ones before it stand; [`Engine::delete_user`] takes them back.
    pub fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        policies: &[(&str, &str)],
    ) -> Result<AccessKey, KmsError> {
        let user = || Json::object().with("UserName", name);
        self.call_iam(caller, "CreateUser", &user())?;
        for (policy, document) in policies {
            let input = user().with("PolicyName", *policy).with("PolicyDocument", *document);
            self.call_iam(caller, "PutUserPolicy", &input)?;
        }
        let answer = self.call_iam(caller, "CreateAccessKey", &user())?;
        typed::access_key(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    /// Deletes a user with its access keys and policies: one call and one record each. Its access keys are refused from
    /// the first moment on.
    pub fn delete_user(&self, caller: &Caller, name: &str) -> Result<(), KmsError> {
        let user = || Json::object().with("UserName", name);
        for (access_key, policy) in self.belongings(caller, name) {
            match (access_key, policy) {
                (Some(id), _) => {
                    self.call_iam(caller, "DeleteAccessKey", &user().with("AccessKeyId", id))?
                }
                (_, Some(name)) => {
                    self.call_iam(caller, "DeleteUserPolicy", &user().with("PolicyName", name))?
                }
                _ => continue,
            };
        }
        self.call_iam(caller, "DeleteUser", &user()).map(drop)
    }

    /// All users: one call, recorded as `ListUsers`.
    pub fn users(&self, caller: &Caller) -> Result<Vec<UserDescription>, KmsError> {
        let answer = self.call_iam(caller, "ListUsers", &Json::object())?;
        typed::users(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    pub(crate) fn call_iam(
        &self,
        caller: &Caller,
        operation: &str,
        input: &Json,
    ) -> Result<crate::Answer, KmsError> {
        self.perform(Service::Iam, caller, operation, input.to_string().as_bytes())
    }

    /// The access key ids and the policy names of a user, each in its half of a pair.
    fn belongings(&self, caller: &Caller, name: &str) -> Vec<(Option<String>, Option<String>)> {
        let (Ok(state), Ok(name)) = (self.read_state(), keytrail_auth::UserName::parse(name))
        else {
            return Vec::new();
        };
        let user = state.user(caller.account(), &name);
        let policies = user.into_iter().flat_map(|user| user.policies.keys());
        let owner = Owner::User { account: caller.account().clone(), name };
        let keys = state.access_keys_of(&owner).map(|id| (Some(id.to_string()), None));
        keys.chain(policies.map(|policy| (None, Some(policy.as_str().to_owned())))).collect()
    }

    /// The names of a role's policies; none of a role that is not there.
    pub(crate) fn policy_names_of_role(&self, caller: &Caller, name: &str) -> Vec<String> {
        let (Ok(state), Ok(name)) = (self.read_state(), RoleName::parse(name)) else {
            return Vec::new();
        };
        let role = state.role(caller.account(), &name);
        let names = role.into_iter().flat_map(|role| role.policies.keys());
        names.map(|name| name.as_str().to_owned()).collect()
    }

    fn caller(&self, id: AccessKeyId, owner: &Owner, user_id: Option<String>) -> Caller {
        let principal = owner.principal();
        let principal_id = user_id.unwrap_or_else(|| principal.account().to_string());
        Caller::local(principal, principal_id, id, self.config.default_region().clone())
    }

    /// Writes the first change of the log: what the directory is for, and the root user's access key. Recorded as
    /// `CreateAccessKey` by the root user, who has none yet.
    pub(super) fn found(&self) -> Result<AccessKey, EngineError> {
        let random = &*self.environment.random;
        let (now, config) = (self.now(), &self.config);
        let (account, home) = (config.account.clone(), config.home());
        let access_key = iam::generate(random);
        let sealed_secret =
            iam::seal_secret(&access_key.id, &access_key.secret, &self.store_key, random);
        let element = Json::object()
            .with("accessKeyId", access_key.id.as_str())
            .with("status", "Active")
            .with("createDate", now.locale());
        let root = UserIdentity::root(&config.account, access_key.id.as_str());
        let record = Record {
            user_identity: UserIdentity { access_key_id: None, ..root },
            event_source: Service::Iam.event_source().to_owned(),
            event_name: "CreateAccessKey".to_owned(),
            event_type: keytrail_event::EventType::AwsApiCall,
            aws_region: region_of(Service::Iam, &home),
            response_elements: Some(Json::object().with("accessKey", element)),
            request_id: Some(Guid::from_random(random_bytes(random))),
            ..service_event(&home, Guid::from_random(random_bytes(random)), now)
        };
        let change = Change::Founded {
            founded: Founded { account: account.clone() },
            root_access_key: access_key.id.clone(),
            entry: AccessKeyEntry { owner: Owner::Root(account), created: now, sealed_secret },
        };
        let mut state = self.state.write().map_err(|_| EngineError::Stopped)?;
        let record = record.to_json();
        let sealed = self.seal_change(&state, &change, &record);
        let failed = |source| EngineError::ledger(&self.data.join("ledger"), source);
        self.enqueue(record, sealed, now).map_err(failed)?.wait().map_err(failed)?;
        state.apply(change);
        Ok(access_key)
    }
}
