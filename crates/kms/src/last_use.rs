//! The last use of each key: what `GetKeyLastUsage` tells.
//!
//! Only successful cryptography counts, as with AWS. Every such call is a record already, so nothing more is written for it:
//! no state change per Encrypt. While the engine runs, the last use of each key is remembered when its record takes its
//! place in the ledger; at opening it is read back from the records themselves. Snapshots hold it too, which saves reading
//! all of them; a snapshot is therefore taken by a call that is alone ([`crate::Engine`] sees to it), when no other call is
//! between its place in the ledger and its note here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keytrail_event::{Guid, Timestamp};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::names::KeyArn;
use crate::ops::Service;

/// The operations that count as a use.
const TRACKED: &[&str] = &[
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// One use of a key, and where it is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastUse {
    /// Of the record in the ledger; the higher one is the later use.
    pub(crate) sequence: u64,
    pub(crate) operation: Tracked,
    /// `eventTime` of the record: whole seconds.
    #[serde(with = "crate::state::unix_nanos")]
    pub(crate) time: Timestamp,
    #[serde(with = "guid_text")]
    pub(crate) event_id: Guid,
    #[serde(with = "guid_text")]
    pub(crate) request_id: Guid,
}

/// An operation that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Tracked(&'static str);

/// The last use of each key that was used; a key that is gone may still be in it.
pub(crate) type Uses = BTreeMap<KeyArn, LastUse>;

/// The same while calls go on.
#[derive(Default)]
pub(crate) struct LastUses(Mutex<Uses>);

impl Tracked {
    pub(crate) fn find(service: Service, operation: &str) -> Option<Self> {
        let known = TRACKED.iter().find(|name| **name == operation);
        known.filter(|_| service == Service::Kms).map(|name| Self(name))
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.0
    }
}

impl LastUses {
    pub(crate) fn new(uses: Uses) -> Self {
        Self(Mutex::new(uses))
    }

    /// Notes a use of these keys. Calls may come here in another order than in the ledger; the ledger's order counts.
    pub(crate) fn note(&self, keys: impl IntoIterator<Item = KeyArn>, last: LastUse) {
        let mut uses = self.lock();
        keys.into_iter().for_each(|key| note(&mut uses, key, last));
    }

    pub(crate) fn of(&self, key: &KeyArn) -> Option<LastUse> {
        self.lock().get(key).copied()
    }

    pub(crate) fn all(&self) -> Uses {
        self.lock().clone()
    }

    /// Nothing that is done under the lock can leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the use that this record of the ledger is, if it is one.
pub(crate) fn note_record(uses: &mut Uses, sequence: u64, record: &[u8]) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Recorded<'a> {
        #[serde(borrow)]
        event_source: Cow<'a, str>,
        #[serde(borrow)]
        event_name: Cow<'a, str>,
        #[serde(borrow)]
        event_time: Cow<'a, str>,
        #[serde(rename = "eventID", borrow)]
        event_id: Cow<'a, str>,
        #[serde(rename = "requestID", borrow)]
        request_id: Option<Cow<'a, str>>,
        error_code: Option<IgnoredAny>,
        #[serde(default, borrow)]
        resources: Vec<Named<'a>>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(rename = "ARN", borrow)]
        arn: Cow<'a, str>,
    }
    let Ok(record) = serde_json::from_slice::<Recorded<'_>>(record) else { return };
    if record.error_code.is_some() || record.event_source != Service::Kms.event_source() {
        return;
    }
    let use_of = || {
        Some(LastUse {
            sequence,
            operation: Tracked::find(Service::Kms, &record.event_name)?,
            time: Timestamp::parse_event_time(&record.event_time).ok()?,
            event_id: Guid::parse(&record.event_id).ok()?,
            request_id: Guid::parse(record.request_id.as_deref()?).ok()?,
        })
    };
    let Some(last) = use_of() else { return };
    for key in record.resources.iter().filter_map(|named| KeyArn::parse(&named.arn)) {
        note(uses, key, last);
    }
}

fn note(uses: &mut Uses, key: KeyArn, last: LastUse) {
    let known = uses.entry(key).or_insert(last);
    if known.sequence < last.sequence {
        *known = last;
    }
}

impl<'de> Deserialize<'de> for Tracked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        let unknown = || D::Error::custom("an operation that does not count as a use");
        Self::find(Service::Kms, &name).ok_or_else(unknown)
    }
}

/// Identifiers as text.
mod guid_text {
    use std::borrow::Cow;

    use keytrail_event::Guid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(id: &Guid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Guid, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Guid::parse(&text).map_err(|_| D::Error::custom("not a UUID"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const KEY: &str = "1234abcd-12ab-4000-8000-1234567890ab";

    fn record(name: &str, error: &str) -> String {
        format!(
            r#"{{"eventTime":"2025-05-21T05:47:45Z","eventSource":"kms.amazonaws.com","eventName":"{name}",{error}
            "requestID":"{KEY}","eventID":"{KEY}","resources":[{{"ARN":"arn:aws:kms:us-east-1:111122223333:key/{KEY}"}},
            {{"ARN":"arn:aws:kms:us-east-1:111122223333:alias/x"}}]}}"#
        )
    }

    #[test]
    fn only_successful_cryptography_counts() {
        let noted = |record: String| {
            let mut uses = Uses::new();
            note_record(&mut uses, 7, record.as_bytes());
            uses.into_iter().next()
        };
        let (key, last) = noted(record("Encrypt", "")).unwrap();
        assert_eq!((key.id().to_string().as_str(), last.sequence), (KEY, 7));
        assert_eq!(
            (last.operation.as_str(), last.event_id.to_string()),
            ("Encrypt", KEY.to_owned())
        );
        assert_eq!(noted(record("Encrypt", r#""errorCode":"DisabledException","#)), None);
        assert_eq!(noted(record("DescribeKey", "")), None);
        assert_eq!(noted(record("Encrypt", "").replace("kms.", "s3.")), None);
        assert_eq!(noted("{}".to_owned()), None);
    }

    #[test]
    fn the_order_of_the_ledger_counts() {
        let mut uses = Uses::new();
        for (sequence, name) in [(7, "Encrypt"), (9, "Decrypt"), (8, "Sign")] {
            note_record(&mut uses, sequence, record(name, "").as_bytes());
        }
        let last = uses.into_values().next().unwrap();
        assert_eq!((last.sequence, last.operation.as_str()), (9, "Decrypt"));
    }

    #[test]
    fn a_use_is_the_same_after_it_was_written_down() {
        let mut uses = Uses::new();
        note_record(&mut uses, 7, record("Encrypt", "").as_bytes());
        let text = serde_json::to_string(&uses).unwrap();
        assert_eq!(serde_json::from_str::<Uses>(&text).unwrap(), uses);
        assert!(serde_json::from_str::<Uses>(&text.replace("Encrypt", "Encode")).is_err());
    }
}
