//! Everything has a limit, so that a client, or many, cannot take the process down.

use std::time::Duration;

/// What the endpoint gives to its clients at most. The defaults are for real use, other values for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are open at once; more wait in the system's backlog until one closes. With [`Self::body_bytes`] each,
    /// this bounds the memory that strangers can occupy, and with the times below for how long.
    pub connections: usize,
    /// Calls that are carried out at once. Each holds a thread while its record is made durable, and the ledger commits all
    /// that wait together, so that more of them cost no more syncs; 256 fill a batch well.
    pub calls_in_flight: usize,
    /// How long a request waits for its turn before it is told to slow down.
    pub turn_wait: Duration,
    /// Bytes of a request's body. The longest that KMS takes is a key policy of 32 KiB, escaped; AWS's own limit is 1 MiB.
    pub body_bytes: usize,
    /// Bytes of a request's line and headers. Real ones have about 1 KiB; with the token of a session that has many tags, 30.
    pub header_bytes: usize,
    /// Number of a request's headers.
    pub headers: usize,
    /// How long a connection may be idle, or take to send its headers.
    pub header_wait: Duration,
    /// How long a request may take to send its body.
    pub body_wait: Duration,
    /// How long a client may leave an answer unread that the network has no room for.
    pub write_wait: Duration,
    /// How long requests that are under way may take once the endpoint is asked to stop.
    pub stop_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            calls_in_flight: 256,
            turn_wait: Duration::from_secs(5),
            body_bytes: 1 << 20,
            header_bytes: 48 << 10,
            headers: 64,
            header_wait: Duration::from_mins(1),
            body_wait: Duration::from_secs(10),
            write_wait: Duration::from_secs(10),
            stop_wait: Duration::from_secs(10),
        }
    }
}
