//! Keys that take long to make are made outside the state's lock: two primes of an RSA key cost as much as ten thousand
//! encryptions, and all other calls would wait for them.
//!
//! ```text
//! the operation runs ──► it needs an RSA key ──► it is ordered here, and the operation gives up
//!      ▲                                               │
//!      └── it runs again, from its first check ◄── made, with no lock held
//! ```
//!
//! So nobody makes the engine work who was not allowed to, and whatever changed meanwhile is seen: only the second run
//! counts. A key that it has no use for any more is wiped.

use std::cell::RefCell;

use keytrail_ledger::Random;

use crate::algorithms::{KeySpec, SecretKey};
use crate::error::Refusal;

/// One call's place for a key that it orders.
#[derive(Default)]
pub(crate) struct Workbench(RefCell<Order>);

#[derive(Default)]
enum Order {
    #[default]
    None,
    Placed(KeySpec),
    Made(SecretKey),
    /// The library could not make it. It is not tried again: the call is refused.
    Failed,
}

impl Workbench {
    /// Whether something was ordered.
    pub(crate) fn has_order(&self) -> bool {
        matches!(*self.0.borrow(), Order::Placed(_))
    }

    /// Makes what was ordered.
    pub(crate) fn make(&self, random: &dyn Random) {
        let order = self.0.take();
        let order = match order {
            Order::Placed(spec) => {
                SecretKey::generate(spec, random).map_or(Order::Failed, Order::Made)
            }
            order => order,
        };
        self.0.replace(order);
    }

    /// The key that was made for this call; else it is ordered, and the call refused until it runs again.
    fn take_or_order(&self, spec: KeySpec) -> Result<SecretKey, Refusal> {
        match self.0.take() {
            Order::Made(key) => return Ok(key),
            Order::None | Order::Placed(_) => self.0.replace(Order::Placed(spec)),
            Order::Failed => self.0.replace(Order::Failed),
        };
        Err(Refusal::internal())
    }
}

impl super::Call<'_> {
    /// A new key. A slow one ends this run of the operation, and is there in the next.
    pub(crate) fn new_secret_key(&self, spec: KeySpec) -> Result<SecretKey, Refusal> {
        if spec.is_slow() {
            return self.workbench.take_or_order(spec);
        }
        SecretKey::generate(spec, self.random).map_err(|_| Refusal::internal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn a_key_is_ordered_made_and_taken_once() {
        let workbench = Workbench::default();
        assert!(!workbench.has_order());
        assert!(workbench.take_or_order(KeySpec::Ed25519).is_err() && workbench.has_order());
        workbench.make(&SeededRandom::new(1));
        assert!(!workbench.has_order());
        assert!(workbench.take_or_order(KeySpec::Ed25519).is_ok());
        assert!(workbench.take_or_order(KeySpec::Ed25519).is_err() && workbench.has_order());
    }

    /// Else the call would run, order and fail for ever.
    #[test]
    fn what_cannot_be_made_is_not_ordered_again() {
        let workbench = Workbench::default();
        assert!(workbench.take_or_order(KeySpec::SymmetricDefault).is_err());
        workbench.make(&SeededRandom::new(1));
        for _ in 0..2 {
            assert!(workbench.take_or_order(KeySpec::SymmetricDefault).is_err());
            assert!(!workbench.has_order());
        }
    }
}
