//! What can be wrong with a name, an identifier or a policy document. A refusal of access is no error: see `Denied`.

/// Why a principal's name, an access key id or a policy document was not accepted.
///
/// All variants are the writer's to mend; none holds more of the input than the part to be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// A user name must have 1 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`
    /// ([IAM quotas](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)).
    #[error("user name {name:?} must have 1 to 64 letters, digits or characters of +=,.@_-")]
    UserName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// A role name must have 1 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`.
    #[error("role name {name:?} must have 1 to 64 letters, digits or characters of +=,.@_-")]
    RoleName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// A role's path must be `/`, or begin and end with one, with visible ASCII between.
    #[error(
        "role path {name:?} must begin and end with / and have 1 to 512 visible ASCII characters without * ? :"
    )]
    RolePath {
        /// The path, cut to 80 characters.
        name: String,
    },
    /// A session's name must have 2 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`.
    #[error("session name {name:?} must have 2 to 64 letters, digits or characters of +=,.@_-")]
    SessionName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// A source identity must have 2 to 64 characters of `A-Z a-z 0-9 + = , . @ _ -`.
    #[error("source identity {name:?} must have 2 to 64 letters, digits or characters of +=,.@_-")]
    SourceIdentity {
        /// The text, cut to 80 characters.
        name: String,
    },
    /// A service must be named by its DNS name.
    #[error("service {name:?} must be named as in backup.amazonaws.com")]
    ServiceName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// An access key id must be `AKIA` or `ASIA` and 16 characters of `A-Z 2-7`.
    #[error("access key id must be AKIA or ASIA and 16 characters of A-Z and 2-7")]
    AccessKeyId,
    /// A user's unique id must be `AIDA` and 17 characters of `A-Z 2-7`.
    #[error("user id must be AIDA and 17 characters of A-Z and 2-7")]
    UserId,
    /// A role's unique id must be `AROA` and 17 characters of `A-Z 2-7`.
    #[error("role id must be AROA and 17 characters of A-Z and 2-7")]
    RoleId,
    /// A grant's principal must be an account id, or the ARN of an account, user, role or session.
    #[error(
        "a grant's principal must be an account id or the ARN of an account, user, role or session"
    )]
    GrantPrincipal,
    /// The document is longer than [`POLICY_BYTES_MAX`](crate::POLICY_BYTES_MAX).
    #[error("policy has {bytes} bytes, more than the {max} that are allowed", max = crate::POLICY_BYTES_MAX)]
    PolicyTooLong {
        /// Length of the document.
        bytes: usize,
    },
    /// The text is not JSON, or an element has a type or a name that the policy grammar does not know.
    #[error("policy is not well formed: {detail}")]
    PolicySyntax {
        /// What the parser expected, with line and column.
        detail: String,
    },
    /// The elements are well formed, but their values are not allowed.
    #[error("policy statement {statement}: {detail}")]
    PolicyStatement {
        /// Position of the statement, the first being 1.
        statement: usize,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// The document's `Version` is neither `2012-10-17` nor `2008-10-17`.
    #[error("policy Version must be 2012-10-17 or 2008-10-17")]
    PolicyVersion,
}
