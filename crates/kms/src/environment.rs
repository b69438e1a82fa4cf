//! What the engine takes from the outside world: the time, and randomness. Both are passed in, so that a test gives a
//! fixed clock and a seed and gets the same bytes again. [`SystemClock`] and [`OsRandom`] are the real ones; whoever
//! wants them has to name them.
//!
//! One thing is not passed in: AWS-LC takes its own randomness, which the operating system seeds, for the primes of RSA keys,
//! for ECDSA's nonces, and for the salts and paddings of PSS and OAEP (`algorithms`). None of it shows in a record.

use std::sync::Arc;

use keytrail_event::Timestamp;
use keytrail_ledger::Random;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now. It may step back; nothing in the engine relies on it growing.
    fn now(&self) -> Timestamp;
}

/// Everything an engine needs from outside, shared by all its threads.
#[derive(Clone)]
pub struct Environment {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A source fit for keys.
    pub random: Arc<dyn Random>,
}

impl Environment {
    /// The system's clock and the operating system's random generator.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(OsRandom) }
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one ambient clock; it is passed in by name"
        )]
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = since_1970.map_or(0, |duration| duration.as_nanos());
        Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The random generator of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct OsRandom;

impl Random for OsRandom {
    /// # Panics
    /// If the operating system has no randomness. There is nothing a key engine could do without it, and any value that
    /// it went on with would be a key that somebody can guess.
    fn fill(&self, buf: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one ambient randomness; it is passed in by name"
        )]
        getrandom::fill(buf).expect("the operating system provides randomness");
    }
}

/// Fresh random bytes; for secrets, the caller wraps them in `Zeroizing` where they land.
pub(crate) fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}
