//! Accounts beside the first one, and callers in any of them.

use keytrail_auth::{AccessKey, UserName};
use keytrail_event::{AccountId, Json};

use super::Engine;
use crate::error::KmsError;
use crate::ops::Service;
use crate::state::Owner;
use crate::typed;
use crate::{Answer, Caller, EngineError};

impl Engine {
    /// Makes an account, with a root user and its access key, which is returned once: one call, recorded as `CreateAccount`
    /// of Organizations. Only principals of the first account may.
    pub fn create_account(
        &self,
        caller: &Caller,
        account: &AccountId,
    ) -> Result<AccessKey, KmsError> {
        let input = Json::object().with("AccountId", account.as_str());
        let answer = self.call_organizations(caller, "CreateAccount", &input)?;
        typed::access_key(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    /// All accounts, in order: one call, recorded as `ListAccounts` of Organizations.
    pub fn accounts(&self, caller: &Caller) -> Result<Vec<AccountId>, KmsError> {
        let answer = self.call_organizations(caller, "ListAccounts", &Json::object())?;
        typed::accounts(&answer).ok_or_else(|| KmsError::internal(answer.request_id()))
    }

    /// The root user or a user of an account, with the first of its access keys: `root` or `alice` of the first account,
    /// `444455556666:root` or `444455556666:alice` of another. For calls from this process: nothing was authenticated.
    pub fn caller_named(&self, name: &str) -> Result<Caller, EngineError> {
        let unknown = || EngineError::UnknownUser { name: name.chars().take(80).collect() };
        let (account, user) = self.in_account(name).ok_or_else(unknown)?;
        let owner = match user {
            "root" => Owner::Root(account),
            user => Owner::User { account, name: UserName::parse(user).map_err(|_| unknown())? },
        };
        let id = self.read_state()?.access_keys_of(&owner).next().cloned().ok_or_else(unknown)?;
        self.caller_for_access_key(id.as_str())
    }

    /// The account that a name is of, and the name there; `None` if what stands before its colon is no account.
    pub(super) fn in_account<'a>(&self, name: &'a str) -> Option<(AccountId, &'a str)> {
        match name.split_once(':') {
            Some((account, name)) => AccountId::parse(account).ok().map(|account| (account, name)),
            None => Some((self.config.account.clone(), name)),
        }
    }

    fn call_organizations(
        &self,
        caller: &Caller,
        operation: &str,
        input: &Json,
    ) -> Result<Answer, KmsError> {
        self.perform(Service::Organizations, caller, operation, input.to_string().as_bytes())
    }
}
