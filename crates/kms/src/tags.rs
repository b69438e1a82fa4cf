//! Tags: what people write on keys to find them, and policies to tell them apart. Not secret: records show them.
//!
//! A key has at most 50, each key once; a tag of the same key replaces the one before it. Names that begin with `aws:`, in
//! any case, are AWS's own.

use keytrail_event::Json;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};
use crate::input::{Input, lower_first};
use crate::reply::Reply;

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
    /// As answers tell it.
    pub(crate) fn to_reply(&self) -> Reply {
        Reply::object(0)
            .json("TagKey", self.tag_key.as_str())
            .json("TagValue", self.tag_value.as_str())
    }

    pub(crate) fn to_record(&self) -> Json {
        Json::object()
            .with("tagKey", self.tag_key.as_str())
            .with("tagValue", self.tag_value.as_str())
    }

    /// The same in records of IAM and STS.
    pub(crate) fn to_iam_record(&self) -> Json {
        Json::object().with("key", self.tag_key.as_str()).with("value", self.tag_value.as_str())
    }
}

impl TagKey {
    pub(crate) fn new(key: &str) -> Self {
        Self(key.to_owned())
    }

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
    read_keys(input, "TagKeys")
}

fn read_keys(input: &mut Input<'_>, name: &str) -> Vec<TagKey> {
    let sent = input.required_member::<Vec<Option<String>>>(name);
    let key = |(position, key): (usize, Option<String>)| {
        let place = format!("{}.{}.member", lower_first(name), position + 1);
        TagKey(input.item(&place, key, 1..=KEY_CHARS_MAX))
    };
    sent.into_iter().enumerate().map(key).collect()
}

/// A tag as IAM and STS take it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IamTag {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

/// Reads tags of a principal or session; `None` if there are none to show. As in [`read_tags`], what is wrong with them
/// together is the returned refusal.
pub(crate) fn read_iam_tags(input: &mut Input<'_>) -> (Option<Vec<Tag>>, Result<(), Refusal>) {
    let Some(sent) = input.member::<Vec<IamTag>>("Tags") else { return (None, Ok(())) };
    let tags = sent.into_iter().enumerate().map(|(position, IamTag { key, value })| {
        let place = format!("tags.{}.member", position + 1);
        Tag {
            tag_key: input.item(&format!("{place}.key"), key, 1..=KEY_CHARS_MAX),
            tag_value: input.item(&format!("{place}.value"), value, 0..=VALUE_CHARS_MAX),
        }
    });
    let tags = tags.collect::<Vec<_>>();
    let well = check_iam_tags(&tags);
    (Some(tags), well)
}

/// Reads a list of tag keys that may be there.
pub(crate) fn read_optional_tag_keys(input: &mut Input<'_>, name: &str) -> Option<Vec<TagKey>> {
    input.has(name).then(|| read_keys(input, name))
}

/// The tags that a principal has once `added` are put on it.
pub(crate) fn merge_iam(tags: &[Tag], added: &[Tag]) -> Result<Vec<Tag>, Refusal> {
    let merged = overlay(tags, added);
    check_iam_tags(&merged).map(|()| merged)
}

/// `added`, and those of `tags` that have other keys. The keys of a principal's tags are the same in either case.
pub(crate) fn overlay(tags: &[Tag], added: &[Tag]) -> Vec<Tag> {
    let stays =
        |tag: &&Tag| !added.iter().any(|new| new.tag_key.eq_ignore_ascii_case(&tag.tag_key));
    tags.iter().filter(stays).chain(added).cloned().collect()
}

fn check_iam_tags(tags: &[Tag]) -> Result<(), Refusal> {
    let refused = |text: &str| Err(Refusal::new(ErrorCode::InvalidInputException, text));
    if tags.len() > TAGS_MAX {
        return refused("The number of tags has reached the maximum limit.");
    }
    let reserved =
        |tag: &Tag| tag.tag_key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if tags.iter().any(reserved) {
        return refused("System tags cannot be added/updated/deleted.");
    }
    let doubled = |(position, tag): (usize, &Tag)| {
        tags.iter().take(position).any(|other| other.tag_key.eq_ignore_ascii_case(&tag.tag_key))
    };
    if tags.iter().enumerate().any(doubled) {
        return refused(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        );
    }
    Ok(())
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
