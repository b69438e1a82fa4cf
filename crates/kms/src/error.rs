//! Two kinds of failure. [`EngineError`]: the engine cannot be created or opened; for the operator. [`KmsError`]: a call was
//! refused; for the caller, in AWS's words.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use keytrail_auth::Denied;
use keytrail_event::Guid;
use keytrail_ledger::LedgerError;

/// Why an engine could not be created or opened, its clock not be moved, or an access key not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The environment's: a file operation failed.
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// What was being done: `open`, `read`, `write`, `create`, `inspect`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The operator's: the root key may be read by others. `chmod 600` it, and consider it known.
    #[error("{path} can be read by others: set its mode to 0600", path = path.display())]
    RootKeyExposed {
        /// The root key's file.
        path: PathBuf,
    },
    /// The data's: this is no root key file, or not a whole one.
    #[error("{path} is not a root key: restore it from a copy", path = path.display())]
    RootKeyFile {
        /// The root key's file.
        path: PathBuf,
    },
    /// The operator's: the root key is not in its file, which says that it comes from elsewhere.
    #[error("{path} does not hold the root key, only where it comes from", path = path.display())]
    RootKeyElsewhere {
        /// The root key's file.
        path: PathBuf,
    },
    /// The operator's: a root key is given as 64 hexadecimal digits, and these are none.
    #[error("this is not a root key: it has to be 64 hexadecimal digits")]
    RootKeyDigits,
    /// The operator's: the passphrase is shorter than eight bytes.
    #[error(
        "the passphrase is too short: it has to have 8 bytes at least, and should have many more"
    )]
    PassphraseTooShort,
    /// The environment's: the machine has not the memory that stretching the passphrase takes.
    #[error("the passphrase cannot be made a root key: there is not enough memory")]
    PassphraseNotStretched,
    /// The operator's: the store key does not open with this root key (or was changed). For a passphrase: it is another one.
    #[error(
        "{path} does not open with this root key: give the root key or the passphrase that is in force, or restore keys/ and \
         root.key from copies of the same time",
        path = path.display()
    )]
    WrongRootKey {
        /// The sealed store key.
        path: PathBuf,
    },
    /// The data's: the sealed store key is not there.
    #[error("{path} is missing: restore it from a copy, nothing can be opened without it", path = path.display())]
    StoreKeyMissing {
        /// The sealed file.
        path: PathBuf,
    },
    /// The data's: this is no sealed store key, or not a whole one.
    #[error("{path} is not a sealed store key: restore it from a copy", path = path.display())]
    StoreKeyFile {
        /// The sealed file.
        path: PathBuf,
    },
    /// The data's: a sealed file in `keys/` does not open with the store key beside it: it is another directory's, or was
    /// changed.
    #[error("{path} does not belong to the store key beside it: restore keys/ from one copy", path = path.display())]
    ForeignFile {
        /// The sealed file.
        path: PathBuf,
    },
    /// The data's: the file of the material keys is not there, or is none.
    #[error("{path} is missing or damaged: restore it from a copy, no key material opens without it", path = path.display())]
    MaterialKeysFile {
        /// The file.
        path: PathBuf,
    },
    /// The data's: a key has material whose material key is not there. It was erased by somebody else, or `keys/` and `ledger/`
    /// come from copies of different times.
    #[error(
        "{path} has no key for the material of {key}: restore it from the newest copy; without it this material is lost",
        path = path.display()
    )]
    MaterialKeyMissing {
        /// The file of the material keys.
        path: PathBuf,
        /// The ARN of the key whose material does not open.
        key: String,
    },
    /// The data's: the sealed seed of a signing key is not there.
    #[error("{path} is missing: restore it from a copy, nothing can be signed without it", path = path.display())]
    SigningKeyMissing {
        /// The sealed file.
        path: PathBuf,
    },
    /// The operator's: the data directory belongs to another account or log.
    #[error("the data directory has {what} {found}, the configuration says {configured}")]
    OtherConfiguration {
        /// `account` or `origin`.
        what: &'static str,
        /// The value in the data directory.
        found: String,
        /// The value given.
        configured: String,
    },
    /// The operator's: there is no Region, one twice, or one that has keys is left out.
    #[error("{detail}")]
    Region {
        /// Which one, and what is wrong.
        detail: String,
    },
    /// The data's: creating the engine was interrupted, so that it has no root user's access key.
    #[error("creating this data directory was interrupted: remove it and create it again")]
    Unfinished,
    /// The data's: a state change in the ledger does not open with the store key, or was changed. The state after it
    /// cannot be known, and nothing is guessed.
    #[error(
        "the state change at sequence {sequence} is refused: {detail}; run verify, and restore the ledger"
    )]
    StateChange {
        /// Sequence of the ledger entry.
        sequence: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// The caller's: no principal has this access key.
    #[error("no principal has the access key {id}")]
    UnknownAccessKey {
        /// The id that was asked for, cut to 40 characters.
        id: String,
    },
    /// The caller's: the session is over.
    #[error("the security token is expired")]
    ExpiredToken,
    /// The caller's: no service's DNS name begins like this.
    #[error("{name:?} is no name of a service: at most 63 lower-case letters, digits and '-'")]
    ServiceName {
        /// The name that was given, cut to 63 characters.
        name: String,
    },
    /// The caller's: no user has this name, or the user has no access key.
    #[error("no user with an access key is called {name:?}; `keytrail principal list` tells all")]
    UnknownUser {
        /// The name that was asked for, cut to 64 characters.
        name: String,
    },
    /// The caller's: the service has no access key here.
    #[error(
        "the service {name:?} has no access key; `keytrail principal create --service` makes one"
    )]
    UnknownService {
        /// The name that was asked for, cut to 128 characters.
        name: String,
    },
    /// The asker's: a question about policies names something that is not there.
    #[error("{detail}")]
    Question {
        /// What is not there, and what would be.
        detail: String,
    },
    /// The operator's: the clock is farther ahead than asked for, and never goes back.
    #[error("the clock is {now} seconds ahead already and cannot go back to {asked}")]
    ClockBackwards {
        /// The offset that was asked for, in seconds.
        asked: u64,
        /// The offset that there is.
        now: u64,
    },
    /// The operator's: times would come near the end of what the engine can count.
    #[error("the clock cannot be moved {asked} seconds ahead: the most is {most}, a hundred years")]
    ClockTooFar {
        /// The offset that was asked for, in seconds.
        asked: u64,
        /// The largest one.
        most: u64,
    },
    /// The ledger could not be created, opened, read or written.
    #[error("the ledger in {path} is not available", path = path.display())]
    Ledger {
        /// The ledger's directory.
        path: PathBuf,
        /// What it said.
        #[source]
        source: LedgerError,
    },
    /// The ledger failed, or an operation panicked while it held the state. Opening the engine again rebuilds the state
    /// from what is in the log.
    #[error("the engine stopped after a failure: open it again")]
    Stopped,
}

impl EngineError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    pub(crate) fn ledger(path: &Path, source: LedgerError) -> Self {
        Self::Ledger { path: path.to_owned(), source }
    }
}

/// A refused call, as its caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsError {
    code: ErrorCode,
    message: Option<String>,
    request_id: Guid,
}

impl KmsError {
    pub(crate) fn new(refusal: Refusal, request_id: Guid) -> Self {
        Self { code: refusal.code, message: refusal.message, request_id }
    }

    /// The record of the call could not be made durable, so the caller learns nothing else.
    pub(crate) fn internal(request_id: Guid) -> Self {
        Self::new(Refusal::internal(), request_id)
    }

    /// Which error.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// AWS's text; some errors have none.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// `requestID` of the record, and `x-amzn-RequestId` of an HTTP response.
    pub fn request_id(&self) -> Guid {
        self.request_id
    }

    /// The HTTP status that AWS answers with: 400 for every client error, whatever the service model says; 500 for ours.
    pub fn http_status(&self) -> u16 {
        match self.code {
            ErrorCode::KMSInternalException => 500,
            _ => 400,
        }
    }

    /// The body of an HTTP response: `{"__type":"DisabledException","message":"…"}`.
    pub fn to_json(&self) -> String {
        keytrail_event::Json::object()
            .with("__type", self.code.as_str())
            .with_some("message", self.message.as_deref())
            .to_string()
    }
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

impl std::error::Error for KmsError {}

/// Declares the codes once: variant and AWS's name are the same word.
macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $code:ident,)+) => {
        /// The errors of the API, by AWS's names
        /// ([common errors](https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html) and those of each
        /// operation).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $code,)+
        }

        impl ErrorCode {
            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)+
                }
            }
        }
    };
}

error_codes! {
    /// No policy allows it, or one denies it. Called `AccessDenied` in a record.
    AccessDeniedException,
    /// The alias name is taken.
    AlreadyExistsException,
    /// Another change of the key is under way or about to begin.
    ConflictException,
    /// There is no such custom key store; there are none at all.
    CustomKeyStoreNotFoundException,
    /// IAM: the user has access keys or policies left.
    DeleteConflictException,
    /// The key is disabled.
    DisabledException,
    /// The call would have succeeded, but it was a rehearsal.
    DryRunOperationException,
    /// Organizations: the account exists.
    DuplicateAccountException,
    /// IAM: the user exists.
    EntityAlreadyExistsException,
    /// The import token is older than 24 hours.
    ExpiredImportTokenException,
    /// The session is over.
    ExpiredTokenException,
    /// The ciphertext belongs to another key than the one named.
    IncorrectKeyException,
    /// The material is not one for this key, or not the one that it was.
    IncorrectKeyMaterialException,
    /// The alias name has a character that it must not have.
    InvalidAliasNameException,
    /// The text is no ARN of a key or alias.
    InvalidArnException,
    /// The ciphertext is malformed, was changed, or the encryption context is another. No message, so as not to say which.
    InvalidCiphertextException,
    /// There is no such grant on the key.
    InvalidGrantIdException,
    /// The grant token is none of ours.
    InvalidGrantTokenException,
    /// The import token is none of ours, or one for another key.
    InvalidImportTokenException,
    /// IAM: tags are duplicate, too many, or reserved.
    InvalidInputException,
    /// The key's usage or spec does not fit the operation or algorithm.
    InvalidKeyUsageException,
    /// The marker is none that a list operation gave.
    InvalidMarkerException,
    /// Our fault: the call was not carried out, or its record could not be written.
    KMSInternalException,
    /// The MAC is none of this message, key and algorithm. No message.
    KMSInvalidMacException,
    /// The signature is none of this message, key and algorithm. No message.
    KMSInvalidSignatureException,
    /// The key's state does not permit the operation.
    KMSInvalidStateException,
    /// A quota is used up.
    LimitExceededException,
    /// The policy is malformed, or would lock its writer out.
    MalformedPolicyDocumentException,
    /// The name begins with `alias/aws/`.
    NotAuthorizedException,
    /// IAM: there is no such user, policy or access key.
    NoSuchEntityException,
    /// There is no such key, alias or policy.
    NotFoundException,
    /// STS: the session's policy and tags are too long together.
    PackedPolicyTooLargeException,
    /// The request's body is not JSON, or a member has another type than the API says.
    SerializationException,
    /// The tags are duplicate, too many, or reserved.
    TagException,
    /// The API has no such operation.
    UnknownOperationException,
    /// The access key does not exist (any more).
    UnrecognizedClientException,
    /// The API has it, this engine has not.
    UnsupportedOperationException,
    /// A parameter is missing or outside its constraints.
    ValidationException,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operation's no, on its way into the record and to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// An error that AWS gives no message with.
    pub(crate) const fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationException, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFoundException, message)
    }

    pub(crate) const fn internal() -> Self {
        Self::bare(ErrorCode::KMSInternalException)
    }

    /// `errorCode` of the record: the API's name, except that a denial is `AccessDenied`.
    pub(crate) fn recorded_code(&self) -> &'static str {
        match self.code {
            ErrorCode::AccessDeniedException => "AccessDenied",
            code => code.as_str(),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(ErrorCode::AccessDeniedException, denied.to_string())
    }
}
