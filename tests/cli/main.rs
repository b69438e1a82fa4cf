//! Black-box tests of the binary: each types commands as a user would and reads what comes back.
//!
//! | module | what it shows |
//! |---|---|
//! | `support` | a data directory, and how to run the binary on it |
//! | `keys` | the key engine from the command line: answers, refusals, and the records they leave |
//! | `envelope` | files encrypted and decrypted: sizes, keys, pipes, and what is refused |
//! | `root_key` | where the root key comes from, and how it is changed for another one |
//! | `real_logs` | CloudTrail's own files: counts, idempotence, losslessness, verification |
//! | `manners` | help, exit codes, formats, errors that say what to do |
//! | `story` | `demo` from end to end, and the README's own commands |

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod envelope;
mod keys;
mod manners;
mod principals;
mod real_logs;
mod root_key;
mod story;
mod support;
