//! Time as plain values.

/// 2025-05-21T05:47:45Z, in nanoseconds since the Unix epoch: when the tests begin.
pub const START_NS: u64 = 1_747_806_465_000_000_000;

/// Times one millisecond apart, from [`START_NS`] on.
#[derive(Clone, Debug)]
pub struct Ticks {
    next_ns: u64,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { next_ns: START_NS }
    }
}

impl Iterator for Ticks {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let now_ns = self.next_ns;
        self.next_ns += 1_000_000;
        Some(now_ns)
    }
}
