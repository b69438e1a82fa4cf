//! Who calls, and may they: principals, signatures, policy documents, decisions.
//!
//! Two doors, each with a token that only it can make. [`sigv4::verify`] says who signed a request
//! ([`sigv4::Authenticated`]). [`decide`] takes a principal, an action, a resource and the policies that speak about them,
//! and answers with [`Authorized`], or with [`Denied`], whose text is AWS's own.
//! Code that guards something takes the token by reference and cannot be reached without a decision.
//!
//! # What it is not
//!
//! Not here: network, storage, keys, the clock. The caller brings the policies; nothing is looked up.
//!
//! A policy with an element, an operator or a value that is not understood does not parse, so no statement is ever ignored.
//! Policies of organisations, permissions boundaries and federation do not exist here.
//!
//! ```
//! use keytrail_auth::{
//!     AccessRequest, GrantFacts, IdentityPolicy, KeyPolicy, Principal, RequestContext, Resource, UserName, decide,
//! };
//! use keytrail_event::AccountId;
//!
//! let account: AccountId = "111122223333".parse()?;
//! let alice = Principal::User { account: account.clone(), name: UserName::parse("alice")? };
//! let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
//! let key_policy = KeyPolicy::default_for(&account);
//! let context = RequestContext::default();
//! let request = |identity_policies| AccessRequest {
//!     principal: &alice,
//!     action: "kms:Encrypt",
//!     resource: Resource::Key { arn: key, account: &account, policy: &key_policy, grants: &[] },
//!     identity_policies,
//!     session_policy: None,
//!     context: &context,
//!     grant_facts: GrantFacts::NONE,
//! };
//!
//! // The default key policy only delegates to identity policies, and alice has none.
//! let denied = decide(&request(&[])).err().ok_or("allowed")?;
//! assert!(denied.to_string().ends_with("because no identity-based policy allows the kms:Encrypt action"));
//!
//! let statement = r#"{"Statement": {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}}"#;
//! let token = decide(&request(&[&IdentityPolicy::parse(statement)?]))?;
//! assert_eq!(token.resource(), key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access_key;
mod condition;
mod decision;
mod denied;
mod error;
mod explanation;
mod grant;
mod names;
mod pattern;
mod policy;
mod principal;
pub mod sigv4;

pub use access_key::{AccessKey, AccessKeyId, SecretAccessKey};
pub use condition::{ConditionKey, ContextValue, RequestContext};
pub use decision::{
    AccessRequest, Authorized, Grounds, Resource, Retirement, decide, decide_retirement,
};
pub use denied::{Denied, Reason};
pub use error::AuthError;
pub use explanation::{Considered, Finding, explain};
pub use grant::{GrantConstraint, GrantFacts, GrantOperation, GrantPrincipal, GrantTerms};
pub use names::{
    RoleId, RoleName, RolePath, ServiceName, SessionName, SourceIdentity, UserId, UserName,
};
pub use policy::{Effect, IdentityPolicy, KeyPolicy, POLICY_BYTES_MAX, TrustPolicy};
pub use principal::Principal;
