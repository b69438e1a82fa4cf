//! What the fuzzer runs: one function for each reader of foreign bytes, with what must hold whatever it is given.
//!
//! | target | input | what must hold, beside that nothing panics |
//! |---|---|---|
//! | [`Endpoint::request`] | bytes on a socket, or signed calls | never 5xx; a record for each authenticated request and none for others |
//! | [`World::call`] | operations with their JSON | no failure of ours; exactly one record each |
//! | [`World::blob`] | ciphertexts, signatures, MACs, tampered with | only what is genuine passes |
//! | [`World::token`] | grant and import tokens, tampered with | only what is genuine passes |
//! | [`policy()`] | policy documents | the text is kept; decision and explanation agree; no allow over a deny |
//! | [`sigv4()`] | headers and body | nothing unsigned passes; what is signed passes, and nothing else of it |
//! | [`Ledgers::ledger`] | files of a ledger, tampered with | what verifies or reads is what was signed; what opens is sound |
//! | [`Messages::message`] | encrypted messages, tampered with | nothing but the data comes out, and all of it only of what is genuine |
//! | [`event()`] | log files | each record that splits joins to the same bytes |
//!
//! `targets/` binds them to libFuzzer, `corpus/` is what it begins with, `run` runs them. The tests of `keytrail-server` run
//! the corpus through the same functions, so that neither rots.
//!
//! # What it is not
//!
//! No second implementation of anything, and no access to what is not public: it comes in where strangers do.

mod edits;
mod endpoint;
mod event;
mod fixture;
mod ledgers;
mod message;
mod policy;
mod script;
mod sigv4;
mod world;

pub use endpoint::Endpoint;
pub use event::event;
pub use ledgers::Ledgers;
pub use message::Messages;
pub use policy::policy;
pub use sigv4::sigv4;
pub use world::World;
