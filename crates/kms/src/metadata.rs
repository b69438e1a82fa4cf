//! `KeyMetadata`: what `DescribeKey` and `CreateKey` tell about a key, once for the answer and once for the record.
//!
//! Both have the same members in the same order. The answer spells them as the API does and writes times as numbers, the
//! record lowers the first letter (`aWSAccountId`) and writes times as locale text.

use keytrail_event::{Json, Region, Timestamp};

use crate::algorithms::KeyKind;
use crate::input::lower_first;
use crate::names::{KeyArn, KeyId};
use crate::reply::Reply;
use crate::state::{Expiration, KeyManager, KeyOrigin, MultiRegion};

/// What is told about a key.
#[derive(Debug)]
pub(crate) struct KeyFacts {
    pub(crate) kind: KeyKind,
    pub(crate) arn: KeyArn,
    pub(crate) creation_date: Timestamp,
    pub(crate) enabled: bool,
    pub(crate) description: String,
    pub(crate) key_state: &'static str,
    pub(crate) deletion_date: Option<Timestamp>,
    pub(crate) origin: KeyOrigin,
    pub(crate) manager: KeyManager,
    /// Only of imported material.
    pub(crate) expiration: Option<Expiration>,
    /// Only of a primary key that waits for the end of its replicas.
    pub(crate) pending_window_days: Option<u32>,
    pub(crate) multi_region: Option<MultiRegion>,
    /// Only of symmetric keys that have or had material.
    pub(crate) current_key_material_id: Option<String>,
}

enum Value<'a> {
    Text(&'a str),
    Id(KeyId),
    Flag(bool),
    Time(Timestamp),
    List(Vec<&'static str>),
    Number(u32),
    Family(&'a MultiRegion),
}

impl KeyFacts {
    fn members(&self) -> Vec<(&'static str, Value<'_>)> {
        let spec = self.kind.spec().as_str();
        let (algorithms, names) = self.kind.algorithms();
        let mut members = vec![
            ("AWSAccountId", Value::Text(self.arn.account().as_str())),
            ("KeyId", Value::Id(self.arn.id())),
            ("Arn", Value::Text(self.arn.as_str())),
            ("CreationDate", Value::Time(self.creation_date)),
            ("Enabled", Value::Flag(self.enabled)),
            ("Description", Value::Text(&self.description)),
            ("KeyUsage", Value::Text(self.kind.usage().as_str())),
            ("KeyState", Value::Text(self.key_state)),
        ];
        members.extend(self.deletion_date.map(|date| ("DeletionDate", Value::Time(date))));
        let expiration = self.expiration;
        let valid_to = expiration.and_then(|expiration| expiration.valid_to);
        members.extend(valid_to.map(|date| ("ValidTo", Value::Time(date))));
        members.push(("Origin", Value::Text(self.origin.as_str())));
        let model = expiration.map(|expiration| expiration.model);
        members.extend(model.map(|model| ("ExpirationModel", Value::Text(model))));
        members.extend([
            ("KeyManager", Value::Text(self.manager.as_str())),
            ("CustomerMasterKeySpec", Value::Text(spec)),
            ("KeySpec", Value::Text(spec)),
            (algorithms, Value::List(names)),
            ("MultiRegion", Value::Flag(self.multi_region.is_some())),
        ]);
        let family = self.multi_region.as_ref();
        members.extend(family.map(|it| ("MultiRegionConfiguration", Value::Family(it))));
        let days = self.pending_window_days;
        members.extend(days.map(|it| ("PendingDeletionWindowInDays", Value::Number(it))));
        let material_id = self.current_key_material_id.as_deref();
        members.extend(material_id.map(|id| ("CurrentKeyMaterialId", Value::Text(id))));
        members
    }

    /// As the answer tells it.
    pub(crate) fn to_reply(&self) -> Reply {
        self.members().into_iter().fold(Reply::object(1024), |reply, (name, value)| match value {
            Value::Text(text) => reply.json(name, text),
            Value::Id(id) => reply.json(name, id.to_string()),
            Value::Flag(flag) => reply.json(name, flag),
            Value::Time(time) => reply.time(name, time),
            Value::List(items) => reply.json(name, items),
            Value::Number(number) => reply.json(name, number),
            Value::Family(family) => reply.json(name, self.family(family, str::to_owned)),
        })
    }

    /// As the record of `CreateKey` tells it.
    pub(crate) fn to_record(&self) -> Json {
        self.members().into_iter().fold(Json::object(), |object, (name, value)| {
            let value: Json = match value {
                Value::Text(text) => text.into(),
                Value::Id(id) => id.to_string().into(),
                Value::Flag(flag) => flag.into(),
                Value::Time(time) => time.locale().into(),
                Value::List(items) => items.into(),
                Value::Number(number) => number.into(),
                Value::Family(family) => self.family(family, lower_first),
            };
            object.with(lower_first(name), value)
        })
    }

    /// Where the related keys are, with members spelled as `spell` says.
    fn family(&self, family: &MultiRegion, spell: fn(&str) -> String) -> Json {
        let own = self.arn.place().region();
        let kind = if *own == family.primary { "PRIMARY" } else { "REPLICA" };
        let key = |region: &Region| {
            let arn = self.arn.place().in_region(region.clone()).key_arn(self.arn.id());
            let object = Json::object().with(spell("Arn"), arn.as_str());
            object.with(spell("Region"), region.as_str())
        };
        let replicas = family.replicas.iter().map(key).collect::<Vec<_>>();
        Json::object()
            .with(spell("MultiRegionKeyType"), kind)
            .with(spell("PrimaryKey"), key(&family.primary))
            .with(spell("ReplicaKeys"), replicas)
    }
}
