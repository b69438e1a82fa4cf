//! The answer no, in AWS's words.

use std::fmt;

use crate::Grounds;

/// The answer no. Its `Display` is the text that AWS gives to the caller and writes into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub(crate) principal: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) refusal: Refusal,
}

impl Denied {
    /// Why it was denied.
    pub fn reason(&self) -> Reason {
        self.refusal.reason
    }

    /// The statement that denies; `None` if there is none, and nothing allows.
    pub fn denied_by(&self) -> Option<Grounds> {
        self.refusal.by
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, action, resource, refusal } = self;
        write!(
            f,
            "User: {principal} is not authorized to perform: {action} on resource: {resource}"
        )?;
        if action.starts_with("sts:") {
            return Ok(()); // STS tells no reason
        }
        match refusal.reason {
            Reason::NoIdentityPolicy => {
                write!(f, " because no identity-based policy allows the {action} action")
            }
            Reason::NoKeyPolicy => {
                write!(f, " because no resource-based policy allows the {action} action")
            }
            Reason::DeniedByIdentityPolicy => {
                write!(f, " with an explicit deny in an identity-based policy")
            }
            Reason::NoSessionPolicy => {
                write!(f, " because no session policy allows the {action} action")
            }
            Reason::NoTrustPolicy => {
                write!(f, " because no role trust policy allows the {action} action")
            }
            Reason::DeniedByKeyPolicy => {
                write!(f, " with an explicit deny in a resource-based policy")
            }
            Reason::DeniedBySessionPolicy => {
                write!(f, " with an explicit deny in a session policy")
            }
            Reason::DeniedByTrustPolicy => {
                write!(f, " with an explicit deny in the role trust policy")
            }
        }
    }
}

impl std::error::Error for Denied {}

/// Why a request was denied, each with a clause of its own in AWS's text
/// ([access denied messages](https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The key policy delegates (or there is no key), but no identity policy allows.
    NoIdentityPolicy,
    /// The key policy neither names the principal nor delegates to its account.
    NoKeyPolicy,
    /// Everything else allows, but not the policy that limits the session.
    NoSessionPolicy,
    /// The role's trust policy neither names the principal nor delegates to its account.
    NoTrustPolicy,
    /// A `Deny` in an identity policy.
    DeniedByIdentityPolicy,
    /// A `Deny` in the key policy.
    DeniedByKeyPolicy,
    /// A `Deny` in the policy that limits the session.
    DeniedBySessionPolicy,
    /// A `Deny` in the role's trust policy.
    DeniedByTrustPolicy,
}

/// A reason, and the statement behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) by: Option<Grounds>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, by: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_aws_for_each_reason() {
        let text = |reason| {
            let [principal, action, resource] = ["P", "kms:X", "R"].map(str::to_owned);
            Denied { principal, action, resource, refusal: Refusal::from(reason) }.to_string()
        };
        let start = "User: P is not authorized to perform: kms:X on resource: R ";
        for (reason, clause) in [
            (Reason::NoIdentityPolicy, "because no identity-based policy allows the kms:X action"),
            (Reason::NoKeyPolicy, "because no resource-based policy allows the kms:X action"),
            (Reason::DeniedByKeyPolicy, "with an explicit deny in a resource-based policy"),
            (Reason::DeniedByIdentityPolicy, "with an explicit deny in an identity-based policy"),
            (Reason::NoSessionPolicy, "because no session policy allows the kms:X action"),
            (Reason::DeniedBySessionPolicy, "with an explicit deny in a session policy"),
            (Reason::NoTrustPolicy, "because no role trust policy allows the kms:X action"),
            (Reason::DeniedByTrustPolicy, "with an explicit deny in the role trust policy"),
        ] {
            assert_eq!(text(reason), format!("{start}{clause}"));
        }
    }

    /// As in real records of 2023.
    #[test]
    fn sts_tells_no_reason() {
        let [principal, action, resource] = ["P", "sts:AssumeRole", "R"].map(str::to_owned);
        let refusal = Refusal::from(Reason::NoTrustPolicy);
        let denied = Denied { principal, action, resource, refusal };
        let text = "User: P is not authorized to perform: sts:AssumeRole on resource: R";
        assert_eq!(denied.to_string(), text);
    }
}
