//! What takes long is done outside the state's lock: two primes of an RSA key cost as much as ten thousand encryptions, making
//! a material key durable as much as the disk takes, and all other calls would wait for them.
//!
//! ```text
//! the operation runs ──► it needs an RSA key ──► it is ordered here, and the operation gives up
//!      ▲                                               │
//!      └── it runs again, from its first check ◄── made, with no lock held
//! ```
//!
//! So nobody makes the engine work who was not allowed to, and whatever changed meanwhile is seen: only the last run
//! counts. What it has no use for any more is wiped, and erased.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use keytrail_ledger::Random;

use crate::algorithms::{KeySpec, SecretKey};
use crate::aws_managed::AwsService;
use crate::error::Refusal;
use crate::material_keys::{MaterialKey, MaterialKeyId};

/// One call's place for what it orders.
#[derive(Default)]
pub(crate) struct Workbench {
    secret_key: RefCell<Order<KeySpec, SecretKey>>,
    material_key: RefCell<Order<(), Arc<MaterialKey>>>,
    /// Whether the run under way, or the last one, took the material key.
    used: Cell<bool>,
    /// A service whose AWS managed key is to be made.
    aws_managed_key: Cell<Option<&'static AwsService>>,
}

#[derive(Default)]
enum Order<W, T> {
    #[default]
    None,
    Placed(W),
    Made(T),
    /// It could not be made. It is not tried again: the call is refused.
    Failed,
}

impl Workbench {
    /// Whether something was ordered.
    pub(crate) fn has_order(&self) -> bool {
        matches!(*self.secret_key.borrow(), Order::Placed(_))
            || matches!(*self.material_key.borrow(), Order::Placed(()))
            || self.aws_managed_key.get().is_some()
    }

    /// A run of the operation begins.
    pub(crate) fn begin(&self) {
        self.used.set(false);
    }

    /// Makes what was ordered; `material_key` makes one durably, or fails.
    pub(crate) fn make(
        &self,
        random: &dyn Random,
        material_key: impl FnOnce() -> Option<Arc<MaterialKey>>,
    ) {
        let order = match self.secret_key.take() {
            Order::Placed(spec) => {
                SecretKey::generate(spec, random).map_or(Order::Failed, Order::Made)
            }
            order => order,
        };
        self.secret_key.replace(order);
        let order = match self.material_key.take() {
            Order::Placed(()) => material_key().map_or(Order::Failed, Order::Made),
            order => order,
        };
        self.material_key.replace(order);
    }

    /// Orders the AWS managed key of a service. It will be in the state of the next run.
    pub(crate) fn order_aws_managed_key(&self, service: &'static AwsService) {
        self.aws_managed_key.set(Some(service));
    }

    /// The service whose AWS managed key was ordered, for whoever makes it.
    pub(crate) fn take_aws_managed_key(&self) -> Option<&'static AwsService> {
        self.aws_managed_key.take()
    }

    /// The material key that was made for this call.
    pub(crate) fn made(&self) -> Option<MaterialKeyId> {
        match &*self.material_key.borrow() {
            Order::Made(key) => Some(key.id()),
            _ => None,
        }
    }

    /// The material key that was made for this call, if its last run did not take it.
    pub(crate) fn unused(&self) -> Option<MaterialKeyId> {
        self.made().filter(|_| !self.used.get())
    }

    /// The key that was made for this call; else it is ordered, and the call refused until it runs again.
    fn take_or_order(&self, spec: KeySpec) -> Result<SecretKey, Refusal> {
        match self.secret_key.take() {
            Order::Made(key) => return Ok(key),
            Order::None | Order::Placed(_) => self.secret_key.replace(Order::Placed(spec)),
            Order::Failed => self.secret_key.replace(Order::Failed),
        };
        Err(Refusal::internal())
    }

    /// The material key that was made for this call, also in the next run; else it is ordered.
    fn material_key(&self) -> Result<Arc<MaterialKey>, Refusal> {
        let mut order = self.material_key.borrow_mut();
        match &*order {
            Order::Made(key) => {
                self.used.set(true);
                return Ok(Arc::clone(key));
            }
            Order::None | Order::Placed(()) => *order = Order::Placed(()),
            Order::Failed => {}
        }
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

    /// The key that new material is to be sealed under. Ends this run of the operation, and is there in the next; a call gets
    /// one at most. An operation takes it where nothing refuses it any more, or nearly so: an unused one costs two syncs.
    pub(crate) fn new_material_key(&self) -> Result<Arc<MaterialKey>, Refusal> {
        self.workbench.material_key()
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
        workbench.make(&SeededRandom::new(1), || None);
        assert!(!workbench.has_order());
        assert!(workbench.take_or_order(KeySpec::Ed25519).is_ok());
        assert!(workbench.take_or_order(KeySpec::Ed25519).is_err() && workbench.has_order());
    }

    #[test]
    fn a_material_key_waits_for_the_run_that_takes_it() {
        let random = SeededRandom::new(2);
        let workbench = Workbench::default();
        assert!(workbench.material_key().is_err() && workbench.has_order());
        workbench.make(&random, || Some(Arc::new(MaterialKey::generate(&random))));
        assert!(!workbench.has_order());
        workbench.begin();
        let id = workbench.material_key().ok().map(|key| key.id());
        assert!(id.is_some() && workbench.unused().is_none());
        // The run ordered something else, and its successor does not come as far.
        workbench.begin();
        assert_eq!(workbench.unused(), id);
    }

    /// Else the call would run, order and fail for ever.
    #[test]
    fn what_cannot_be_made_is_not_ordered_again() {
        let workbench = Workbench::default();
        assert!(workbench.take_or_order(KeySpec::SymmetricDefault).is_err());
        assert!(workbench.material_key().is_err());
        workbench.make(&SeededRandom::new(1), || None);
        for _ in 0..2 {
            assert!(workbench.take_or_order(KeySpec::SymmetricDefault).is_err());
            assert!(workbench.material_key().is_err());
            assert!(!workbench.has_order() && workbench.unused().is_none());
        }
    }
}
