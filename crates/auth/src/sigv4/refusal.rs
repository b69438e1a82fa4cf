//! How a request is refused that nobody is proven to have made.

/// Why a request is not authenticated. `Display` is the text that the client is told, in AWS's words.
///
/// Nothing in it comes from a secret, and of the request only what has passed a character set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// There is no `Authorization` header.
    #[error("Request is missing Authentication Token")]
    Anonymous,
    /// The `Authorization` header cannot be taken apart, or a header that it needs is not there or not readable.
    #[error("{0}")]
    Incomplete(&'static str),
    /// A header that would be interpreted is not covered by the signature.
    #[error("'{header}' must be a 'SignedHeader' in the AWS Authorization.")]
    NotSigned {
        /// The header's name, in lower case.
        header: String,
    },
    /// A header that would be interpreted is there twice, so that signer and reader could mean different ones.
    #[error("'{header}' must not be sent more than once.")]
    Ambiguous {
        /// The header's name, in lower case.
        header: String,
    },
    /// The credential scope names a Region that does not answer here.
    #[error("Credential should be scoped to a valid region, not '{found}'.")]
    OtherRegion {
        /// The Region in the scope.
        found: String,
    },
    /// The credential scope names another service.
    #[error("Credential should be scoped to correct service: '{expected}'.")]
    OtherService {
        /// The service that answers.
        expected: String,
    },
    /// The credential scope does not end in `aws4_request`.
    #[error("Credential should be scoped with a valid terminator: 'aws4_request'.")]
    OtherTerminator,
    /// The date in the credential scope is not that of `x-amz-date`.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{date}', \
         from '{signed}'."
    )]
    OtherDate {
        /// The date in the scope.
        scope: String,
        /// The date of `x-amz-date`.
        date: String,
        /// `x-amz-date`.
        signed: String,
    },
    /// Signed more than 15 minutes ago, by the clock of this machine.
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - 15 min.)")]
    Expired {
        /// `x-amz-date`.
        signed: String,
        /// The earliest time that would do.
        earliest: String,
        /// The time here.
        now: String,
    },
    /// Signed more than 15 minutes in the future, by the clock of this machine.
    #[error("Signature not yet current: {signed} is still later than {latest} ({now} + 15 min.)")]
    NotYetCurrent {
        /// `x-amz-date`.
        signed: String,
        /// The latest time that would do.
        latest: String,
        /// The time here.
        now: String,
    },
    /// No principal has this access key; or a session's key comes without its token, or with one that was not made for it.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
    /// The session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// The signature is not the one that the secret makes of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl Unauthenticated {
    /// AWS's name of the error
    /// ([common errors](https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html)); status 400 in the JSON
    /// protocol.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Anonymous => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownAccessKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::NotSigned { .. }
            | Self::Ambiguous { .. }
            | Self::OtherRegion { .. }
            | Self::OtherService { .. }
            | Self::OtherTerminator
            | Self::OtherDate { .. }
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::Mismatch => "InvalidSignatureException",
        }
    }
}
