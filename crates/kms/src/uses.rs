//! How keys are used: the last use of each, which is what `GetKeyLastUsage` tells, and how many messages each material of a
//! symmetric key encrypted.
//!
//! Only successful cryptography counts, as with AWS. Every such call is a record already, which names the key and, in
//! `additionalEventData`, the material; so nothing more is written for it: no state change per Encrypt. While the engine
//! runs, uses are noted when their record takes its place in the ledger; at opening they are read back from the records
//! themselves. Snapshots hold them too, which saves reading all of them; a snapshot is therefore taken by a call that is
//! alone ([`crate::Engine`] sees to it), when no other call is between its place in the ledger and its note here.
//!
//! Why encryptions are counted: each message has a key of its own (`sealing`), so that no number of messages that one could
//! send today comes near a limit. The count says so, and says when that is no longer true.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keytrail_event::{Guid, Timestamp};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::input::lower_first;
use crate::material::MaterialId;
use crate::names::KeyArn;
use crate::ops::Service;
use crate::state::{KeyMaterial, State};

/// The operations that count as a use; and of those that encrypt, which member of the record's `additionalEventData` names
/// the material that they encrypted with. Only symmetric keys show theirs.
const TRACKED: &[(&str, Option<&str>)] = &[
    ("Decrypt", None),
    ("DeriveSharedSecret", None),
    ("Encrypt", Some(MATERIAL)),
    ("GenerateDataKey", Some(MATERIAL)),
    ("GenerateDataKeyPair", Some(MATERIAL)),
    ("GenerateDataKeyPairWithoutPlaintext", Some(MATERIAL)),
    ("GenerateDataKeyWithoutPlaintext", Some(MATERIAL)),
    ("GenerateMac", None),
    ("ReEncrypt", Some(DESTINATION_MATERIAL)),
    ("Sign", None),
    ("Verify", None),
    ("VerifyMac", None),
];

/// The member for the one material of a call.
const MATERIAL: &str = "KeyMaterialId";
/// The member for the material that `ReEncrypt` encrypts with.
const DESTINATION_MATERIAL: &str = "DestinationKeyMaterialId";

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

/// All uses up to a point of the ledger. Keys and materials that are gone may still be in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uses {
    last: BTreeMap<KeyArn, LastUse>,
    /// Messages that each material encrypted.
    encryptions: BTreeMap<MaterialId, u64>,
}

/// The same while calls go on.
pub(crate) struct SharedUses {
    uses: Mutex<Uses>,
    /// From so many encryptions on a material is worn.
    worn_from: u64,
    /// Materials that are worn. Follows `uses`, so that every call can look.
    worn: AtomicU64,
}

impl Tracked {
    pub(crate) fn find(service: Service, operation: &str) -> Option<Self> {
        let known = TRACKED.iter().find(|(name, _)| *name == operation);
        known.filter(|_| service == Service::Kms).map(|(name, _)| Self(name))
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.0
    }

    /// The member of `additionalEventData` that names the material which this operation encrypts with.
    pub(crate) fn encrypting_member(self) -> Option<&'static str> {
        TRACKED.iter().find(|(name, _)| *name == self.0).and_then(|(_, member)| *member)
    }
}

impl SharedUses {
    /// A material is worn from so many encryptions on.
    pub(crate) fn new(uses: Uses, worn_from: u64) -> Self {
        let worn = AtomicU64::new(uses.reaching(worn_from));
        Self { uses: Mutex::new(uses), worn_from, worn }
    }

    /// Judges the same uses by another limit.
    pub(crate) fn judge_by(&mut self, worn_from: u64) {
        let uses = self.uses.get_mut().unwrap_or_else(PoisonError::into_inner);
        (self.worn_from, self.worn) = (worn_from, AtomicU64::new(uses.reaching(worn_from)));
    }

    /// Notes uses of keys by one call, and the material if it encrypted. Calls may come here in another order than in the
    /// ledger; the ledger's order counts.
    pub(crate) fn note(
        &self,
        of_keys: impl IntoIterator<Item = (KeyArn, LastUse)>,
        encrypting: Option<MaterialId>,
    ) {
        let mut uses = self.lock();
        of_keys.into_iter().for_each(|(key, last)| uses.note(key, last));
        if encrypting.is_some_and(|material| uses.count(material) == self.worn_from) {
            self.worn.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn last_of(&self, key: &KeyArn) -> Option<LastUse> {
        self.lock().last.get(key).copied()
    }

    pub(crate) fn encryptions_with(&self, material: MaterialId) -> u64 {
        self.lock().encryptions.get(&material).copied().unwrap_or(0)
    }

    /// The largest count of all materials.
    pub(crate) fn encryptions_max(&self) -> u64 {
        self.lock().encryptions.values().copied().max().unwrap_or(0)
    }

    /// How many materials are worn.
    pub(crate) fn worn(&self) -> u64 {
        self.worn.load(Ordering::Relaxed)
    }

    /// The materials that are worn, with their counts.
    pub(crate) fn all_worn(&self) -> BTreeMap<MaterialId, u64> {
        let mut all = self.lock().encryptions.clone();
        all.retain(|_, count| *count >= self.worn_from);
        all
    }

    /// A copy, without what is about keys and materials that are not in this state any more.
    pub(crate) fn all_in(&self, state: &State) -> Uses {
        let mut uses = self.lock().clone();
        uses.last.retain(|key, _| state.keys.contains_key(key));
        let materials = state.keys.values().flat_map(|key| key.materials.iter());
        let materials = materials.map(KeyMaterial::id).collect::<BTreeSet<_>>();
        uses.encryptions.retain(|material, _| materials.contains(material));
        uses
    }

    /// Nothing that is done under the lock can leave the maps half changed.
    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uses {
    fn note(&mut self, key: KeyArn, last: LastUse) {
        let known = self.last.entry(key).or_insert(last);
        if known.sequence < last.sequence {
            *known = last;
        }
    }

    /// One more encryption with this material; how many there are now.
    fn count(&mut self, material: MaterialId) -> u64 {
        let count = self.encryptions.entry(material).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// How many materials have encrypted so much.
    fn reaching(&self, limit: u64) -> u64 {
        self.encryptions.values().map(|count| u64::from(*count >= limit)).sum()
    }

    /// Notes the use that this record of the ledger is, if it is one. Of a call that several accounts have records of, each
    /// tells of its own keys.
    pub(crate) fn note_record(&mut self, sequence: u64, record: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Recorded<'_>>(record) else { return };
        let Some(last) = record.as_use(sequence) else { return };
        let keys = record.resources.iter().filter_map(|named| KeyArn::parse(&named.arn));
        let keys = keys.collect::<Vec<_>>();
        let is_its_own = |key: &KeyArn| key.account().as_str() == record.recipient_account_id;
        // A call that encrypts names the key that it encrypts with last.
        let encrypts_with_own = keys.last().is_some_and(is_its_own);
        keys.into_iter().filter(is_its_own).for_each(|key| self.note(key, last));
        if !encrypts_with_own {
            return;
        }
        let member = last.operation.encrypting_member().map(lower_first);
        let additional = record.additional_event_data.unwrap_or_default();
        let named = member.and_then(|member| additional.get(&*member)?.as_str());
        if let Some(material) = named.and_then(|id| MaterialId::try_from(id.to_owned()).ok()) {
            self.count(material);
        }
    }
}

/// What is read of a record.
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
    #[serde(borrow)]
    recipient_account_id: Cow<'a, str>,
    error_code: Option<IgnoredAny>,
    #[serde(default, borrow)]
    resources: Vec<Named<'a>>,
    /// Short: the materials, or the id of a grant.
    additional_event_data: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "ARN", borrow)]
    arn: Cow<'a, str>,
}

impl Recorded<'_> {
    fn as_use(&self, sequence: u64) -> Option<LastUse> {
        if self.error_code.is_some() || self.event_source != Service::Kms.event_source() {
            return None;
        }
        Some(LastUse {
            sequence,
            operation: Tracked::find(Service::Kms, &self.event_name)?,
            time: Timestamp::parse_event_time(&self.event_time).ok()?,
            event_id: Guid::parse(&self.event_id).ok()?,
            request_id: Guid::parse(self.request_id.as_deref()?).ok()?,
        })
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
            "requestID":"{KEY}","eventID":"{KEY}","recipientAccountId":"111122223333","resources":[{{"ARN":"arn:aws:kms:us-east-1:111122223333:key/{KEY}"}},
            {{"ARN":"arn:aws:kms:us-east-1:111122223333:alias/x"}}]}}"#
        )
    }

    fn noted(records: &[(u64, String)]) -> Uses {
        let mut uses = Uses::default();
        for (sequence, record) in records {
            uses.note_record(*sequence, record.as_bytes());
        }
        uses
    }

    #[test]
    fn only_successful_cryptography_counts() {
        let noted = |record: String| noted(&[(7, record)]).last.into_iter().next();
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
        let records =
            [(7, "Encrypt"), (9, "Decrypt"), (8, "Sign")].map(|(at, name)| (at, record(name, "")));
        let last = noted(&records).last.into_values().next().unwrap();
        assert_eq!((last.sequence, last.operation.as_str()), (9, "Decrypt"));
    }

    #[test]
    fn messages_are_counted_by_the_material_that_encrypted_them() {
        let [source, destination] = ["a", "b"].map(|digit| digit.repeat(64));
        let one = format!(r#""additionalEventData":{{"keyMaterialId":"{source}"}},"#);
        let two = format!(
            r#""additionalEventData":{{"sourceKeyMaterialId":"{source}","destinationKeyMaterialId":"{destination}"}},"#
        );
        let failed = format!(r#""errorCode":"DisabledException",{one}"#);
        let records = [
            ("Encrypt", &one),
            ("Decrypt", &one),
            ("Encrypt", &failed),
            ("GenerateDataKey", &one),
            ("GenerateDataKeyPairWithoutPlaintext", &one),
            ("ReEncrypt", &two),
            ("ImportKeyMaterial", &one),
        ];
        let uses = noted(&records.map(|(name, more)| (1, record(name, more))));
        let counts = uses.encryptions.iter().map(|(id, count)| (id.to_string(), *count));
        assert_eq!(counts.collect::<Vec<_>>(), [(source, 3), (destination, 1)]);
        let shared = SharedUses::new(uses, 3);
        assert_eq!((shared.worn(), shared.encryptions_max(), shared.all_worn().len()), (1, 3, 1));
    }

    #[test]
    fn each_account_tells_of_its_own_keys() {
        let more = format!(
            r#""additionalEventData":{{"sourceKeyMaterialId":"{}","destinationKeyMaterialId":"{}"}},"#,
            "a".repeat(64),
            "b".repeat(64)
        );
        let owners = record("ReEncrypt", &more);
        let foreign = owners.replace("\"111122223333\"", "\"444455556666\"");
        let uses = noted(&[(7, owners), (8, foreign)]);
        assert_eq!(uses.last.values().map(|last| last.sequence).collect::<Vec<_>>(), [7]);
        assert_eq!(uses.encryptions.into_values().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn uses_are_the_same_after_they_were_written_down() {
        let one = format!(r#""additionalEventData":{{"keyMaterialId":"{}"}},"#, "0".repeat(64));
        let uses = noted(&[(7, record("Encrypt", &one))]);
        let text = serde_json::to_string(&uses).unwrap();
        assert_eq!(serde_json::from_str::<Uses>(&text).unwrap(), uses);
        assert!(serde_json::from_str::<Uses>(&text.replace("Encrypt", "Encode")).is_err());
    }
}
