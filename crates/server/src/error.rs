//! Why the endpoint stopped, other than by being asked to. What a client is told is no error here but an answer.

use keytrail_kms::EngineError;

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The operator's: the certificate or the key cannot be used.
    #[error("the {what} cannot be used: {detail}")]
    Tls {
        /// `certificate`, `private key`, both, a name.
        what: &'static str,
        /// What is wrong with it; nothing of a key.
        detail: String,
    },
    /// The environment's: the listening socket is gone.
    #[error("the listening socket failed")]
    Listener(#[source] std::io::Error),
    /// The engine could not save its state while closing. Nothing is lost: the ledger has it all, and the next opening
    /// reads it from there.
    #[error("the engine did not close well")]
    Close(#[source] EngineError),
}
