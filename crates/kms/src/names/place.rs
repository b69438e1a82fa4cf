//! Where things live, and what they are called in full: a [`Place`] is a Region of an account, and an ARN is a place with a
//! name in it.
//!
//! An ARN is compared, ordered and looked up by its text, so that a map finds a key by the ARN that a caller sent, without
//! taking it apart. All ARNs of a kind in one place stand side by side in that order. Copies share one allocation: each call
//! puts the ARN of its key into its record.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use keytrail_event::{AccountId, Arn, Region};
use serde::{Deserialize, Serialize};

use super::{AliasName, KeyId};

/// A Region of an account: where keys, aliases and grants live, and where a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(Arc<Coordinates>);

#[derive(Debug, PartialEq, Eq)]
struct Coordinates {
    account: AccountId,
    region: Region,
    /// `arn:aws:kms:REGION:ACCOUNT:`, which follows from both.
    prefix: String,
}

impl Place {
    pub(crate) fn new(account: AccountId, region: Region) -> Self {
        let arn = Arn::kms_alias(&region, &account, "alias/");
        let prefix = format!("arn:{}:kms:{region}:{account}:", arn.partition());
        Self(Arc::new(Coordinates { account, region, prefix }))
    }

    pub(crate) fn account(&self) -> &AccountId {
        &self.0.account
    }

    pub(crate) fn region(&self) -> &Region {
        &self.0.region
    }

    /// The same account in another Region.
    pub(crate) fn in_region(&self, region: Region) -> Self {
        Self::new(self.account().clone(), region)
    }

    /// The ARN of what is called `resource` here: `key/…` or `alias/…`, whether it exists or not.
    pub(crate) fn arn_text(&self, resource: &str) -> String {
        [&self.0.prefix, resource].concat()
    }

    /// The ARN of the key with this id here, to look it up.
    pub(crate) fn key_arn_text(&self, id: impl fmt::Display) -> String {
        format!("{}{KEY}{id}", self.0.prefix)
    }

    pub(crate) fn key_arn(&self, id: KeyId) -> KeyArn {
        let text = self.key_arn_text(id);
        KeyArn(Arc::new(NamedKey { place: self.clone(), id, text }))
    }

    pub(crate) fn alias_arn(&self, name: AliasName) -> AliasArn {
        let text = self.arn_text(name.as_str());
        AliasArn(Arc::new(NamedAlias { place: self.clone(), name, text }))
    }
}

/// What a key is called by behind its place.
pub(crate) const KEY: &str = "key/";
/// What an alias's name begins with; it is called by its name behind its place.
pub(crate) const ALIAS: &str = "alias/";

/// The ARN of a key: its identity. The id alone may be that of several related keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct KeyArn(Arc<NamedKey>);

#[derive(Debug)]
struct NamedKey {
    place: Place,
    id: KeyId,
    text: String,
}

impl KeyArn {
    /// Reads the ARN of a key in whatever place; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (place, arn) = parse_place(text)?;
        let named = place.key_arn(KeyId::parse(arn.kms_key_id()?)?);
        (named.as_str() == text).then_some(named)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn account(&self) -> &AccountId {
        self.0.place.account()
    }

    pub(crate) fn id(&self) -> KeyId {
        self.0.id
    }
}

/// The ARN of an alias: its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct AliasArn(Arc<NamedAlias>);

#[derive(Debug)]
struct NamedAlias {
    place: Place,
    name: AliasName,
    text: String,
}

impl AliasArn {
    /// Reads the ARN of an alias in whatever place, the reserved ones too; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (place, arn) = parse_place(text)?;
        let named = place.alias_arn(AliasName(arn.kms_alias_name()?.to_owned()));
        (named.as_str() == text).then_some(named)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn name(&self) -> &AliasName {
        &self.0.name
    }
}

/// The place that an ARN of KMS names, and its parts. The partition is not looked at: it follows from the Region, and who
/// wants it checked compares the texts.
fn parse_place(text: &str) -> Option<(Place, Arn)> {
    let arn = Arn::parse(text).ok().filter(|arn| arn.service() == "kms")?;
    let account = AccountId::parse(arn.account()).ok()?;
    Some((Place::new(account, Region::parse(arn.region()).ok()?), arn))
}

/// What a record's `resources` name: keys, aliases, and roles that are assumed.
#[derive(Debug, Clone)]
pub(crate) enum ResourceArn {
    Key(KeyArn),
    Alias(AliasArn),
    Role { account: AccountId, arn: String },
}

impl ResourceArn {
    pub(crate) fn role(arn: &Arn, account: AccountId) -> Self {
        Self::Role { account, arn: arn.to_string() }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Key(arn) => arn.as_str(),
            Self::Alias(arn) => arn.as_str(),
            Self::Role { arn, .. } => arn,
        }
    }

    /// Whose it is.
    pub(crate) fn account(&self) -> &AccountId {
        match self {
            Self::Key(arn) => arn.account(),
            Self::Alias(arn) => arn.place().account(),
            Self::Role { account, .. } => account,
        }
    }

    /// The key, if it is one.
    pub(crate) fn key(&self) -> Option<&KeyArn> {
        match self {
            Self::Key(arn) => Some(arn),
            Self::Alias(_) | Self::Role { .. } => None,
        }
    }
}

impl From<KeyArn> for ResourceArn {
    fn from(arn: KeyArn) -> Self {
        Self::Key(arn)
    }
}

impl From<AliasArn> for ResourceArn {
    fn from(arn: AliasArn) -> Self {
        Self::Alias(arn)
    }
}

/// Both kinds of ARN are their text to whoever compares, orders, looks up, shows or writes them.
macro_rules! is_its_text {
    ($arn:ident, $wrong:literal) => {
        impl PartialEq for $arn {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $arn {}

        impl PartialOrd for $arn {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $arn {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Borrow<str> for $arn {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $arn {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $arn {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or($wrong)
            }
        }

        impl From<$arn> for String {
            fn from(arn: $arn) -> Self {
                arn.as_str().to_owned()
            }
        }
    };
}

is_its_text!(KeyArn, "this is no ARN of a KMS key");
is_its_text!(AliasArn, "this is no ARN of a KMS alias");

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Bound;

    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn place(account: &str, region: &str) -> Place {
        Place::new(account.parse().unwrap(), region.parse().unwrap())
    }

    #[test]
    fn an_arn_is_a_place_and_a_name() {
        for (region, partition) in
            [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
        {
            let here = place("111122223333", region);
            let text = format!("arn:{partition}:kms:{region}:111122223333:key/{ID}");
            let arn = KeyArn::parse(&text).unwrap();
            assert_eq!((arn.as_str(), arn.place()), (&*text, &here));
            assert_eq!(arn, here.key_arn(arn.id()));
            let text = format!("arn:{partition}:kms:{region}:111122223333:alias/a");
            let alias = AliasArn::parse(&text).unwrap();
            assert_eq!((alias.as_str(), alias.name().as_str()), (&*text, "alias/a"));
            assert_eq!(here.arn_text("alias/a"), text);
        }
        let arn = |rest: &str| format!("arn:{rest}");
        for wrong in [
            arn(&format!("aws-cn:kms:us-east-1:111122223333:key/{ID}")),
            arn(&format!("aws:s3:us-east-1:111122223333:key/{ID}")),
            arn(&format!("aws:kms::111122223333:key/{ID}")),
            arn(&format!("aws:kms:us-east-1:1111:key/{ID}")),
            arn(&format!("aws:kms:us-east-1:111122223333:key/{}", ID.to_uppercase())),
            arn("aws:kms:us-east-1:111122223333:alias/a"),
            ID.to_owned(),
        ] {
            assert_eq!(KeyArn::parse(&wrong), None, "{wrong}");
        }
        assert_eq!(AliasArn::parse(&arn("aws:kms:us-east-1:111122223333:key/a")), None);
    }

    /// What pages of lists rely on.
    #[test]
    fn a_place_has_its_keys_side_by_side_in_order_of_id() {
        let places = [
            place("111122223333", "us-east-1"),
            place("111122223334", "us-east-1"),
            place("111122223333", "us-east-2"),
        ];
        let ids = [KeyId::MultiRegion([0; 16]), KeyId::from_random([9; 16])];
        let ids = [ids[0], ids[1], KeyId::from_random([1; 16])];
        let keys = ids.iter().flat_map(|id| places.iter().map(|place| place.key_arn(*id)));
        let keys = keys.collect::<BTreeSet<_>>();
        for place in &places {
            let start = place.arn_text(KEY);
            let bounds = (Bound::Included(start.as_str()), Bound::Unbounded);
            let found = keys.range::<str, _>(bounds);
            let found = found.take_while(|arn| arn.place() == place);
            let found = found.map(KeyArn::id).collect::<Vec<_>>();
            assert_eq!(found, [ids[2], ids[1], ids[0]]);
        }
        assert!(keys.contains(places[1].key_arn_text(ids[0]).as_str()));
    }
}
