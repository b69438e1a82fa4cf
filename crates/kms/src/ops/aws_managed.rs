//! AWS managed keys that there are not yet: a call that looks at one by its alias, or a service that uses its own for
//! somebody, orders it from the workbench, and finds it when it runs again.

use super::Call;
use crate::aws_managed::AwsService;
use crate::environment::random_bytes;
use crate::error::Refusal;
use crate::names::{KeyId, KeyReference, no_such_alias};
use crate::state::Key;

impl Call<'_> {
    /// The key that a reference names, as [`Call::find`]. The alias of an AWS managed key that there is not yet is enough to
    /// have it made, for whoever may then look at it.
    pub(crate) fn find_or_make(&self, reference: &KeyReference) -> Result<&Key, Refusal> {
        let arn = reference.arn();
        match AwsService::of_alias(arn, self.home()) {
            Some(service) if !self.state.aliases.contains_key(arn) => {
                Err(self.order_aws_managed_key(service, arn))
            }
            _ => self.find(reference),
        }
    }

    /// No alias has this ARN; but if it is the one of the service that calls for the caller, its key is made, and the
    /// refusal goes no further.
    pub(super) fn order_for_service(&self, arn: &str) -> Refusal {
        let service = AwsService::of_alias(arn, self.home());
        match service.filter(|service| self.caller.via().is_some_and(|host| service.is(host))) {
            Some(service) => self.order_aws_managed_key(service, arn),
            None => no_such_alias(arn),
        }
    }

    /// Who could not look at the key learns that there is none, and makes none.
    fn order_aws_managed_key(&self, service: &'static AwsService, arn: &str) -> Refusal {
        let key = self.home().key_arn(KeyId::from_random(random_bytes(self.random)));
        if !self.may_describe_under(&service.policy(self.home()), &key) {
            return no_such_alias(arn);
        }
        self.workbench.order_aws_managed_key(service);
        Refusal::internal()
    }
}
