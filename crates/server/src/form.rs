//! The forms of the query protocol, read as the JSON that the engine takes.
//!
//! ```text
//! Action=AssumeRole&RoleSessionName=run1&DurationSeconds=900&Tags.member.1.Key=dept&Tags.member.1.Value=hr
//! {"RoleSessionName":"run1","DurationSeconds":900,"Tags":[{"Key":"dept","Value":"hr"}]}
//! ```
//!
//! Members of lists are in the order of their numbers, whichever these are. What stands for what is left to the engine, which
//! checks types and lengths and refuses a member that is there twice. Here are the limits on what is taken apart at all: a
//! form that is not one, or goes deeper than AWS's shapes do, is no request.

use std::collections::BTreeMap;

use keytrail_event::Json;

/// The longest name of an action that is looked at.
const ACTION_CHARS_MAX: usize = 64;
/// Fields that a form may have. The longest sensible one, `AssumeRole` with 50 tags, has 170.
const FIELDS_MAX: usize = 512;
/// The members that are numbers.
const NUMBERS: &[&str] = &["DurationSeconds"];

/// The `Action` of a form. Names of actions have letters only, so nothing need be decoded; another text is no action.
pub(crate) fn action(body: &[u8]) -> Option<&str> {
    let form = std::str::from_utf8(body).ok()?;
    let action = form.split('&').find_map(|field| field.strip_prefix("Action="))?;
    let is_name = (1..=ACTION_CHARS_MAX).contains(&action.len())
        && action.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name.then_some(action)
}

/// The parameters of a form, without action and version. `None` if it is none, or more than a form of STS can be.
pub(crate) fn parameters(body: &[u8]) -> Option<Json> {
    let form = std::str::from_utf8(body).ok()?;
    let mut object = Json::object();
    let mut lists: BTreeMap<String, BTreeMap<u32, Member>> = BTreeMap::new();
    for (position, field) in form.split('&').filter(|field| !field.is_empty()).enumerate() {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if position >= FIELDS_MAX {
            return None;
        }
        match name.split('.').collect::<Vec<_>>().as_slice() {
            ["Action" | "Version"] => {}
            [scalar] => object = object.with(*scalar, read_scalar(scalar, value)),
            [list, "member", number] => {
                let members = lists.entry((*list).to_owned()).or_default();
                members.entry(number.parse().ok()?).or_default().texts.push(value);
            }
            [list, "member", number, part] => {
                let members = lists.entry((*list).to_owned()).or_default();
                let member = members.entry(number.parse().ok()?).or_default();
                member.parts.push(((*part).to_owned(), value));
            }
            _ => return None,
        }
    }
    for (name, members) in lists {
        let members = members.into_values().map(Member::read).collect::<Option<Vec<_>>>()?;
        object = object.with(name, members);
    }
    Some(object)
}

/// One member of a list: a text, or an object.
#[derive(Default)]
struct Member {
    texts: Vec<String>,
    parts: Vec<(String, String)>,
}

impl Member {
    fn read(self) -> Option<Json> {
        match (self.texts.as_slice(), self.parts.is_empty()) {
            ([text], true) => Some(text.as_str().into()),
            ([], false) => {
                let part = |object: Json, (name, value): (String, String)| object.with(name, value);
                Some(self.parts.into_iter().fold(Json::object(), part))
            }
            _ => None,
        }
    }
}

fn read_scalar(name: &str, text: String) -> Json {
    match text.parse::<i64>() {
        Ok(number) if NUMBERS.contains(&name) => number.into(),
        _ => text.into(),
    }
}

/// Percent and plus, as forms have them.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, expected: Option<&str>) {
        let read = parameters(form.as_bytes()).map(|json| json.to_string());
        assert_eq!(read.as_deref(), expected, "{form}");
    }

    #[test]
    fn the_action_is_found_in_the_form() {
        assert_eq!(
            action(b"Action=GetCallerIdentity&Version=2011-06-15"),
            Some("GetCallerIdentity")
        );
        assert_eq!(action(b"Version=2011-06-15&Action=AssumeRole"), Some("AssumeRole"));
        let long = format!("Action={}", "A".repeat(65));
        for form in ["", "Action=", "action=X", "XAction=Y", "Action=A%20B", "Action=<x>", &long] {
            assert_eq!(action(form.as_bytes()), None, "{form}");
        }
        assert_eq!(action(b"Action=\xff"), None);
    }

    #[test]
    fn fields_become_members() {
        check("", Some("{}"));
        check("Action=A&Version=V", Some("{}"));
        check(
            "RoleArn=arn%3Aaws%3Aiam&Note=a+b%2B",
            Some(r#"{"RoleArn":"arn:aws:iam","Note":"a b+"}"#),
        );
        check("DurationSeconds=900", Some(r#"{"DurationSeconds":900}"#));
        check(
            "DurationSeconds=soon&ExternalId=900",
            Some(r#"{"DurationSeconds":"soon","ExternalId":"900"}"#),
        );
        check("Empty", Some(r#"{"Empty":""}"#));
        check("A=1&A=2", Some(r#"{"A":"1","A":"2"}"#));
    }

    #[test]
    fn numbered_fields_become_lists() {
        check(
            "Keys.member.2=b&Keys.member.1=a&Keys.member.10=c",
            Some(r#"{"Keys":["a","b","c"]}"#),
        );
        check(
            "Tags.member.1.Key=dept&Tags.member.2.Key=x&Tags.member.1.Value=hr",
            Some(r#"{"Tags":[{"Key":"dept","Value":"hr"},{"Key":"x"}]}"#),
        );
    }

    #[test]
    fn what_is_no_form_of_sts_is_refused() {
        for form in [
            "a=%",
            "a=%4",
            "a=%zz",
            "%ff=a",
            "a.b=c",
            "a.member.x=1",
            "a.member.1.b.c=d",
            "a.member.1=b&a.member.1=c",
            "a.member.1=b&a.member.1.Key=c",
            "a.member.-1=b",
        ] {
            check(form, None);
        }
        let many = vec!["a=b"; FIELDS_MAX + 1].join("&");
        check(&many, None);
        assert_eq!(parameters(b"a=\xff"), None);
    }
}
