//! An AWS managed key is made for a call that names its alias: behind the call's back, before the call is looked at again.
//!
//! AWS documents no record of it. Here it is one service event, `CreateKey` by AWS Internal with the metadata that a
//! `CreateKey` tells, its policy and its alias, and in the same frame the key and its alias, so that neither is ever there alone. The call that asked
//! has its own record right behind.

use keytrail_event::{Guid, Json, Record, Resource, Timestamp};

use super::Engine;
use super::call::service_event;
use super::due::NotDone;
use crate::algorithms::KeyKind;
use crate::aws_managed::{AwsService, ROTATION_DAYS};
use crate::environment::random_bytes;
use crate::material::{Material, WrappedMaterial};
use crate::material_keys::MaterialKey;
use crate::names::{KeyId, Place};
use crate::state::{Alias, Change, Key, KeyManager, RotationSchedule};

impl Engine {
    /// Makes the key of a service in a place, with its alias, unless they are there; returns when that is durable. No lock is
    /// held.
    pub(super) fn make_aws_managed_key(
        &self,
        service: &AwsService,
        place: &Place,
        now: Timestamp,
    ) -> Result<(), NotDone> {
        let random = &*self.environment.random;
        let made = self.material_keys.make(1, self.ledger.size(), &self.store_key, random);
        let under = made.map_err(|_| NotDone)?.pop().ok_or(NotDone)?;
        let mut state = self.state.write().map_err(|_| NotDone)?;
        let arn = service.alias_arn(place);
        if state.aliases.contains_key(&arn) {
            // Another call was faster.
            drop(state);
            return self.material_keys.erase(&[under.id()]).map_err(|_| NotDone);
        }
        let key = self.new_aws_managed_key(service, place, now, &under);
        let record = self.creation(&key, arn.as_str(), now).to_json();
        let alias = Alias { target: key.arn.clone(), created: now, updated: None };
        let change = Change::AwsManagedKeyMade { key: Box::new(key), arn, alias };
        change.check(&state).map_err(|_| NotDone)?;
        let sealed = self.seal_change(&state, &change, &record);
        let pending = self.enqueue(record, sealed, now).map_err(|_| NotDone)?;
        state.apply(change);
        self.note_next_due(&state);
        drop(state);
        pending.wait().map(drop).map_err(|_| NotDone)
    }

    fn new_aws_managed_key(
        &self,
        service: &AwsService,
        place: &Place,
        now: Timestamp,
        under: &MaterialKey,
    ) -> Key {
        let random = &*self.environment.random;
        let id = KeyId::from_random(random_bytes(random));
        let material = Material::generate(id, random);
        let wrapped = WrappedMaterial::wrap(&material, id, under, random);
        let attributes = (service.description(), service.policy(place), Vec::new());
        let kind = KeyKind::default();
        Key {
            manager: KeyManager::Aws,
            rotation: Some(RotationSchedule::starting(now, ROTATION_DAYS)),
            ..Key::new(place.key_arn(id), now, kind, attributes, Some(wrapped))
        }
    }

    fn creation(&self, key: &Key, alias: &str, now: Timestamp) -> Record {
        let place = key.arn.place();
        let event_id = Guid::from_random(random_bytes(&*self.environment.random));
        let resource = |arn: &str| Resource::kms_key(place.account().clone(), arn);
        let details = Json::object()
            .with("keyId", key.id().to_string())
            .with("aliasArn", alias)
            .with("rotationPeriodInDays", ROTATION_DAYS)
            .with("policy", key.policy.as_str());
        Record {
            event_name: "CreateKey".to_owned(),
            response_elements: Some(Json::object().with("keyMetadata", key.metadata().to_record())),
            resources: vec![resource(key.arn.as_str()), resource(alias)],
            service_event_details: Some(details),
            ..service_event(place, event_id, now)
        }
    }
}
