//! The AWS-compatible HTTP edge: the KMS API, and as much of STS as clients ask first.
//!
//! Requests come in here as HTTP, are authenticated by their signature, are turned by hand into calls on the embedded engine,
//! and leave only when the record of the call is durable. This crate knows the wire and nothing else does.
//!
//! ```text
//! POST /  X-Amz-Target: TrentService.Encrypt   the KMS API, JSON 1.1; signed for service kms and one of the engine's Regions
//! POST /  Action=AssumeRole&…                  STS, query protocol; signed for service sts and one of these or us-east-1
//! GET /health                                  the process answers
//! GET /ready                                   it takes calls: not while it stops, not while the ledger takes no records
//! GET /metrics                                 Prometheus text
//! ```
//!
//! A request whose signature is not verified is **no call**: there is no principal whom a record could name, so it leaves
//! none (AWS does the same), and nobody can fill the ledger without a key. It is counted and logged instead, with its
//! address. Every authenticated request is a call and leaves one record, whatever comes of it.
//!
//! With a [`TlsIdentity`] all of it is encrypted, and records tell what was agreed on. Begin with [`Server`].
//!
//! # What it is not
//!
//! No cryptography beyond TLS, no policy rules, no key states: those are `keytrail-kms` and `keytrail-auth`. No ambient
//! state either: it is handed an engine, a listener, a clock and randomness. Buffers of the network are not wiped; answers
//! that hold plaintext are. No request can say that a service stands between it and its principal (`kms:ViaService`): only
//! a program that embeds the engine can.

mod answer;
mod api;
mod connection;
mod error;
mod form;
mod limits;
mod log;
mod metrics;
mod query;
mod routes;
mod server;
mod stream;
mod tls;

pub use error::ServerError;
pub use limits::Limits;
pub use log::{Level, Log};
pub use server::Server;
pub use tls::{SelfMadeCertificate, TlsIdentity};
