//! The columns that no member fills: which KMS keys a call used.
//!
//! CloudTrail names the key in four places, and in none of them always. This module looks in the
//! order of their worth, and takes ARNs only: an id or an alias name is not resolved here, because
//! that needs the keys. Records of other services have no key, even if they mention one.

use std::borrow::Cow;

use crate::columns::col;
use crate::json::unescape;
use crate::scan::{Fault, Scanner};
use crate::{Cell, Row};

/// The ARNs of the KMS keys that a row's call used, `resources` order, at most two.
///
/// 1. `resources`: what the service resolved. The first two that are keys (`ReEncrypt`: source,
///    then destination); aliases are passed over.
/// 2. `keyId` of `serviceEventDetails`, `responseElements`, `requestParameters`, if it is an ARN.
/// 3. `errorMessage`: a denied call, or one for a key that does not exist, names it nowhere else
///    (`… on resource: ARN because …`, `Key 'ARN' does not exist`).
pub(crate) fn kms_keys<'a>(row: &Row<'a>) -> [Option<Cow<'a, str>>; 2] {
    if row.cells[col::EVENT_SOURCE].text() != Some("kms.amazonaws.com") {
        return [None, None];
    }
    let mut keys = json_of(row, col::RESOURCES).map_or([None, None], of_resources);
    if keys[0].is_none() {
        keys[0] = [col::SERVICE_EVENT_DETAILS, col::RESPONSE_ELEMENTS, col::REQUEST_PARAMETERS]
            .into_iter()
            .filter_map(|column| json_of(row, column))
            .find_map(of_key_id)
            .or_else(|| of_error_message(&row.cells[col::ERROR_MESSAGE]));
    }
    keys
}

/// Whether the text is `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`.
fn is_key_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("kms")
        && parts.nth(2).is_some_and(|resource| resource.len() > 4 && resource.starts_with("key/"))
}

/// A JSON cell's text. The cells were just sliced out of the record, so they are borrowed from it.
fn json_of<'a>(row: &Row<'a>, column: usize) -> Option<&'a str> {
    match &row.cells[column] {
        Cell::Text(Cow::Borrowed(text)) => Some(text),
        _ => None,
    }
}

/// The first two key ARNs among the `ARN` members of an array of objects.
fn of_resources(text: &str) -> [Option<Cow<'_, str>>; 2] {
    let mut keys = [None, None];
    let mut found = 0;
    let mut scan = Scanner::new(text.as_bytes(), 0);
    // The text was validated, so a fault only means "not an array of objects": then there is none.
    let _ = each_element(&mut scan, |scan| {
        let arn = string_member(text, scan, "ARN")?.filter(|arn| is_key_arn(arn));
        if let Some(arn) = arn
            && let Some(slot) = keys.get_mut(found)
        {
            *slot = Some(arn);
            found += 1;
        }
        Ok(())
    });
    keys
}

/// The member `keyId` of an object, if it is a key's ARN.
fn of_key_id(text: &str) -> Option<Cow<'_, str>> {
    let mut scan = Scanner::new(text.as_bytes(), 0);
    string_member(text, &mut scan, "keyId").ok().flatten().filter(|arn| is_key_arn(arn))
}

/// The first key ARN in a sentence. It ends at white space or a quote; a final full stop or comma
/// belongs to the sentence. The caller's own ARN comes first in a denial, but is never a key's.
fn of_error_message<'a>(cell: &Cell<'a>) -> Option<Cow<'a, str>> {
    let Cell::Text(message) = cell else { return None };
    let range = message.match_indices("arn:").find_map(|(start, _)| {
        let tail = &message[start..];
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
        let arn = tail[..end.unwrap_or(tail.len())].trim_end_matches(['.', ',']);
        is_key_arn(arn).then_some(start..start + arn.len())
    })?;
    Some(match message {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    })
}

/// Calls `read` with the cursor on each element of an array; it moves past the element.
fn each_element(
    scan: &mut Scanner<'_>,
    mut read: impl FnMut(&mut Scanner<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    scan.expect(b'[', "an array")?;
    scan.skip_space();
    if scan.take(b']') {
        return Ok(());
    }
    loop {
        read(scan)?;
        scan.skip_space();
        if !scan.take(b',') {
            return scan.expect(b']', "a closing bracket");
        }
        scan.skip_space();
    }
}

/// The first string member with this name in the object under the cursor, which moves past it.
/// Another kind of value is moved past as well, and has no such member.
fn string_member<'a>(
    text: &'a str,
    scan: &mut Scanner<'_>,
    wanted: &str,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut found = None;
    if scan.peek() != b'{' {
        scan.value()?;
        return Ok(None);
    }
    scan.take(b'{');
    scan.skip_space();
    if scan.take(b'}') {
        return Ok(None);
    }
    loop {
        let name = scan.name()?;
        if found.is_none() && scan.peek() == b'"' && &text[name.start..name.end] == wanted {
            let value = scan.string("a string")?;
            let content = &text[value.start..value.end];
            found = Some(if value.escaped { unescape(content).text } else { content.into() });
        } else {
            scan.value()?;
        }
        scan.skip_space();
        if !scan.take(b',') {
            scan.expect(b'}', "a closing brace")?;
            return Ok(found);
        }
        scan.skip_space();
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::KEY;
    use crate::{col, split};

    const OTHER: &str = "arn:aws-cn:kms:cn-north-1:444455556666:key/mrk-1";
    const ALIAS: &str = "arn:aws:kms:us-east-1:111122223333:alias/app";

    /// Checks the keys of a KMS record with these members.
    fn check(members: &str, expected: [Option<&str>; 2]) {
        let text = format!(r#"{{{members},"eventSource":"kms.amazonaws.com"}}"#);
        let row = split(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        let found = [col::KEY_ARN, col::KEY_ARN2].map(|column| row.cells[column].text());
        assert_eq!(found, expected, "{members}");
    }

    #[test]
    fn resources_decide_and_aliases_are_passed_over() {
        check(&format!(r#""resources":[{{"ARN":"{KEY}"}}]"#), [Some(KEY), None]);
        let three = format!(
            r#""resources":[{{"ARN":"{ALIAS}"}},{{"type":"x","ARN":"{KEY}"}},{{"ARN":"{OTHER}"}},{{"ARN":"{KEY}"}}]"#
        );
        check(&three, [Some(KEY), Some(OTHER)]);
        check(
            &format!(
                r#""requestParameters":{{"keyId":"{OTHER}"}},"resources":[{{"ARN":"{KEY}"}}]"#
            ),
            [Some(KEY), None],
        );
        check(
            &format!(r#""resources":[ {{ "ARN" : "{}" }} ]"#, KEY.replace('/', "\\/")),
            [Some(KEY), None],
        );
    }

    #[test]
    fn odd_resources_have_no_key() {
        for odd in ["null", "[]", "{}", "[1,null,[]]", "[{}]", r#"[{"ARN":1}]"#, r#"[{"ARN":""}]"#]
        {
            check(&format!(r#""resources":{odd}"#), [None, None]);
        }
        for odd in [
            "arn:aws:kms:us-east-1:1:key/",
            "arn:aws:s3:us-east-1:1:key/x",
            "key/x",
            "xarn:aws:kms:a:b:key/c",
        ] {
            check(&format!(r#""resources":[{{"ARN":"{odd}"}}]"#), [None, None]);
        }
    }

    #[test]
    fn key_ids_help_out_if_they_are_arns() {
        let key_id = |member: &str, id: &str| format!(r#""{member}":{{"a":[1],"keyId":"{id}"}}"#);
        for member in ["serviceEventDetails", "responseElements", "requestParameters"] {
            check(&key_id(member, KEY), [Some(KEY), None]);
            check(&key_id(member, "alias/app"), [None, None]);
        }
        let both =
            format!("{},{}", key_id("requestParameters", KEY), key_id("responseElements", OTHER));
        check(&both, [Some(OTHER), None]);
        check(r#""requestParameters":"keyId""#, [None, None]);
    }

    #[test]
    fn a_denied_call_names_its_key_in_the_message() {
        let denied = format!(
            "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:Decrypt on resource: {KEY} because no identity-based policy allows the kms:Decrypt action"
        );
        for message in [
            denied,
            format!("Key '{KEY}' does not exist"),
            format!("{KEY} is pending deletion."),
            format!("disabled: {KEY}."),
        ] {
            check(&format!(r#""errorMessage":"{message}""#), [Some(KEY), None]);
            check(&format!(r#""errorMessage":"\u0020{message}""#), [Some(KEY), None]);
        }
        check(&format!(r#""errorMessage":"Alias {ALIAS} is not found.""#), [None, None]);
        check(r#""errorMessage":"arn:""#, [None, None]);
    }

    #[test]
    fn other_services_use_no_key() {
        let text =
            format!(r#"{{"eventSource":"s3.amazonaws.com","resources":[{{"ARN":"{KEY}"}}]}}"#);
        let row = split(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(row.cells[col::KEY_ARN].text(), None);
    }
}
