//! Tags: what people write on keys to find them, and policies to tell them apart. Not secret: records show them.
//!
//! A key has at most 50, each key once; a tag of the same key replaces the one before it. Names that begin with `aws:`, in
//! any case, are AWS's own.

use keytrail_event::Json;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};
use crate::input::Input;

/// Tags that a key may have.
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// A tag of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) tag_key: String,
    pub(crate) tag_value: String,
}

/// The key of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TagKey(String);

/// A tag as it is sent, before it is known to have both of its members.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    tag_key: Option<String>,
    tag_value: Option<String>,
}

impl Tag {
    pub(crate) fn to_record(&self) -> Json {
        Json::object()
            .with("tagKey", self.tag_key.as_str())
            .with("tagValue", self.tag_value.as_str())
    }
}

impl TagKey {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads tags; `None` if there are none to show. What is wrong with their lengths is noted, what is wrong with them together
/// is the returned refusal: it counts only if all parameters are well.
pub(crate) fn read_tags(input: &mut Input<'_>) -> (Option<Vec<Tag>>, Result<(), Refusal>) {
    let Some(sent) = input.member::<Vec<Sent>>("Tags") else { return (None, Ok(())) };
    let tags = sent.into_iter().enumerate().map(|(position, tag)| {
        let place = format!("tags.{}.member", position + 1);
        let Sent { tag_key, tag_value } = tag;
        Tag {
            tag_key: input.item(&format!("{place}.tagKey"), tag_key, 1..=KEY_CHARS_MAX),
            tag_value: input.item(&format!("{place}.tagValue"), tag_value, 0..=VALUE_CHARS_MAX),
        }
    });
    let tags = tags.collect::<Vec<_>>();
    let well = check_together(&tags);
    (Some(tags), well)
}

/// Reads `TagKeys`, which must be there.
pub(crate) fn read_tag_keys(input: &mut Input<'_>) -> Vec<TagKey> {
    let sent = input.required_member::<Vec<Option<String>>>("TagKeys");
    let key = |(position, key): (usize, Option<String>)| {
        let place = format!("tagKeys.{}.member", position + 1);
        TagKey(input.item(&place, key, 1..=KEY_CHARS_MAX))
    };
    sent.into_iter().enumerate().map(key).collect()
}

/// The tags that a key has once `added` are put on it.
pub(crate) fn merge(tags: &[Tag], added: &[Tag]) -> Result<Vec<Tag>, Refusal> {
    let replaced = |tag: &&Tag| added.iter().any(|new| new.tag_key == tag.tag_key);
    let kept = tags.iter().filter(|tag| !replaced(tag));
    let merged = kept.chain(added).cloned().collect::<Vec<_>>();
    check_together(&merged).map(|()| merged)
}

fn check_together(tags: &[Tag]) -> Result<(), Refusal> {
    let refused = |text: &str| Err(Refusal::new(ErrorCode::TagException, text));
    if tags.len() > TAGS_MAX {
        return refused("Too many tags");
    }
    let reserved =
        |tag: &Tag| tag.tag_key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if tags.iter().any(reserved) {
        return refused("Tags beginning with aws: are reserved");
    }
    let doubled = |(position, tag): (usize, &Tag)| {
        tags.iter().take(position).any(|earlier| earlier.tag_key == tag.tag_key)
    };
    if tags.iter().enumerate().any(doubled) {
        return refused("Duplicate tag keys");
    }
    Ok(())
}
