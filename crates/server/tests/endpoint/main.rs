//! The endpoint over real sockets: what is answered, what is refused, what is recorded, what is logged, and how it stops.
//!
//! | module | what it shows |
//! |---|---|
//! | `support` | an endpoint with a given clock in a temporary directory, and a client that signs |
//! | `calls` | authenticated calls: answers, errors, records |
//! | `refusals` | requests that nobody is proven to have made: refused, counted, logged, not recorded |
//! | `sessions` | roles: credentials that end, and their token |
//! | `attacks` | smuggled, altered and repeated requests |
//! | `limits` | what a client cannot do to the process |
//! | `manners` | health, metrics, log lines, stopping |
//! | `encrypted` | TLS, and what records say about it |

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod attacks;
mod calls;
mod encrypted;
mod limits;
mod manners;
mod refusals;
mod sessions;
mod support;
