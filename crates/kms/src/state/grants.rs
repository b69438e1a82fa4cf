//! The grants of all keys: by key and id for whoever manages them, and by key and grantee for decisions, so that a key with
//! its quota of grants is not searched at each call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use keytrail_auth::{GrantPrincipal, GrantTerms, Retirement};
use keytrail_event::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::unix_nanos;
use crate::names::KeyArn;

/// A grant's id: 256 random bits, written as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct GrantId([u8; Self::LEN]);

impl GrantId {
    const LEN: usize = 32;

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != Self::LEN * 2 || !text.bytes().all(digit) {
            return None;
        }
        let mut bytes = [0; Self::LEN];
        for (position, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(position * 2..position * 2 + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for GrantId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a grant id is 64 hexadecimal digits in lower case")
    }
}

impl From<GrantId> for String {
    fn from(id: GrantId) -> Self {
        id.to_string()
    }
}

/// A grant's name; a repeated request under the same name makes no second grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GrantName(pub(crate) String);

/// A grant. Its tokens are not in here, nor anywhere else: each says by itself which grant it is for (`grant_token`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    pub(crate) terms: GrantTerms,
    pub(crate) retiring: Option<GrantPrincipal>,
    pub(crate) name: Option<GrantName>,
    /// The account of whoever made it.
    pub(crate) issuer: String,
    #[serde(with = "unix_nanos")]
    pub(crate) created: Timestamp,
}

impl Grant {
    /// What a decision about its end looks at.
    pub(crate) fn retirement(&self) -> Retirement<'_> {
        let Self { terms, retiring, issuer, .. } = self;
        Retirement { terms, retiring: retiring.as_ref(), issuer }
    }
}

/// All grants. Written as a list of pairs of key and grant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grants {
    of_keys: BTreeMap<KeyArn, BTreeMap<GrantId, Grant>>,
    /// Follows `of_keys`.
    by_grantee: BTreeMap<(KeyArn, GrantPrincipal), BTreeSet<GrantId>>,
}

impl Grants {
    pub(crate) fn find(&self, key: &KeyArn, id: &GrantId) -> Option<&Grant> {
        self.of_keys.get(key)?.get(id)
    }

    /// The grants of a key in order of id, behind `after`.
    pub(crate) fn of_key(
        &self,
        key: &KeyArn,
        after: Option<&GrantId>,
    ) -> impl Iterator<Item = &Grant> {
        let behind = move |id: &&GrantId| after.is_none_or(|after| *id > after);
        let grants = self.of_keys.get(key).into_iter().flatten();
        grants.filter(move |(id, _)| behind(id)).map(|(_, grant)| grant)
    }

    pub(crate) fn count(&self, key: &KeyArn) -> usize {
        self.of_keys.get(key).map_or(0, BTreeMap::len)
    }

    /// All grants in order of key and id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&KeyArn, &Grant)> {
        self.of_keys.iter().flat_map(|(key, grants)| grants.values().map(move |grant| (key, grant)))
    }

    /// The grants of a key that name this principal, by exactly this ARN.
    pub(crate) fn to<'a>(
        &'a self,
        key: &KeyArn,
        grantee: &GrantPrincipal,
    ) -> impl Iterator<Item = &'a Grant> + use<'a> {
        let ids = self.by_grantee.get(&(key.clone(), grantee.clone()));
        let of_key = self.of_keys.get(key);
        ids.into_iter().flatten().filter_map(move |id| of_key?.get(id))
    }

    pub(super) fn insert(&mut self, key: KeyArn, grant: Grant) {
        let grantee = (key.clone(), grant.terms.grantee.clone());
        self.by_grantee.entry(grantee).or_default().insert(grant.id);
        self.of_keys.entry(key).or_default().insert(grant.id, grant);
    }

    pub(super) fn remove(&mut self, key: &KeyArn, id: &GrantId) {
        let Some(grants) = self.of_keys.get_mut(key) else { return };
        let Some(grant) = grants.remove(id) else { return };
        if grants.is_empty() {
            self.of_keys.remove(key);
        }
        let grantee = (key.clone(), grant.terms.grantee);
        if let Some(ids) = self.by_grantee.get_mut(&grantee) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_grantee.remove(&grantee);
            }
        }
    }

    /// Removes all grants of a key that is deleted.
    pub(super) fn remove_key(&mut self, key: &KeyArn) {
        for grant in self.of_keys.remove(key).into_iter().flatten().map(|(_, grant)| grant) {
            self.by_grantee.remove(&(key.clone(), grant.terms.grantee));
        }
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all())
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut grants = Self::default();
        for (key, grant) in Vec::<(KeyArn, Grant)>::deserialize(deserializer)? {
            grants.insert(key, grant);
        }
        Ok(grants)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn grant(number: u8, grantee: &str) -> Grant {
        let grantee =
            GrantPrincipal::parse(&format!("arn:aws:iam::111122223333:user/{grantee}")).unwrap();
        Grant {
            id: GrantId::from_bytes([number; 32]),
            terms: GrantTerms { grantee, operations: Vec::new(), constraint: None },
            retiring: None,
            name: None,
            issuer: "111122223333".to_owned(),
            created: Timestamp::from_unix_nanos(1),
        }
    }

    #[test]
    fn the_index_follows_every_change() {
        let [key, other] = [1, 2].map(crate::names::key_arn_for_tests);
        let mut grants = Grants::default();
        for (key, number, grantee) in
            [(&key, 2, "alice"), (&key, 1, "alice"), (&key, 3, "bob"), (&other, 4, "alice")]
        {
            grants.insert(key.clone(), grant(number, grantee));
        }
        let alice = grant(0, "alice").terms.grantee;
        let to = |grants: &Grants, key: &KeyArn| {
            grants
                .to(key, &alice)
                .map(|grant| grant.id.to_string()[..2].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(to(&grants, &key), ["01", "02"]);
        assert_eq!(to(&grants, &other), ["04"]);
        let text = serde_json::to_string(&grants).unwrap();
        assert_eq!(serde_json::from_str::<Grants>(&text).unwrap(), grants);
        grants.remove(&key, &GrantId::from_bytes([1; 32]));
        assert_eq!(to(&grants, &key), ["02"]);
        assert_eq!(grants.count(&key), 2);
        grants.remove_key(&key);
        grants.remove(&other, &GrantId::from_bytes([4; 32]));
        assert_eq!(grants, Grants::default());
    }

    #[test]
    fn ids_are_64_digits() {
        let id = GrantId::from_bytes([0xab; 32]);
        assert_eq!(GrantId::parse(&id.to_string()), Some(id));
        for wrong in ["", "ab", &"AB".repeat(32), &"ab".repeat(33)] {
            assert_eq!(GrantId::parse(wrong), None);
        }
    }
}
