//! The split loses nothing: `join(split(bytes)) == bytes`, whatever the JSON object.
//!
//! The texts are made from pieces that real parsers trip over: unknown members, second members of
//! one name, odd escapes, numbers no float can hold, nulls, white space, containers of the wrong
//! type. Where a text is odd the row may keep it whole, but never changes it.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::borrow::Cow;

use keytrail_event::{COLUMNS, Cell, JoinError, RecordError, Row, col, join, split};
use proptest::prelude::*;
use proptest::sample::select;

/// Splits, joins, and splits again: the bytes must come back, and the same row with them.
fn check(text: &str) -> Row<'_> {
    let row = split(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let joined = join(&row).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(String::from_utf8_lossy(&joined), text);
    assert_eq!(split(&joined).unwrap(), row);
    row
}

/// Checks a compact text whose row must not need `raw`.
fn check_compact(text: &str) -> Row<'_> {
    let row = check(text);
    assert_eq!(row.raw, None, "{text}");
    row
}

fn text_of<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a str> {
    row.cells[column].text()
}

#[test]
fn a_plain_record_needs_only_cells_and_layout() {
    let row = check_compact(
        r#"{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"1"},"eventTime":"2026-01-02T03:04:05Z","requestParameters":{"keyId":"a"},"responseElements":null,"readOnly":true}"#,
    );
    assert_eq!(row.layout, "A(fg)BJ-KO");
    assert_eq!(row.extra, None);
    assert_eq!(row.cells[col::EVENT_TIME], Cell::Time(1_767_323_045_000_000));
    assert_eq!(row.cells[col::READ_ONLY], Cell::Bool(true));
    assert_eq!(text_of(&row, col::REQUEST_PARAMETERS), Some(r#"{"keyId":"a"}"#));
    assert_eq!(row.cells[col::RESPONSE_ELEMENTS], Cell::Null);
    assert_eq!(text_of(&row, col::IDENTITY_TYPE), Some("Root"));
}

#[test]
fn unknown_members_go_to_extra_where_they_stood() {
    let row = check_compact(r#"{"a":1,"eventName":"X","userIdentity":{"b":[{}],"type":"T"}}"#);
    assert_eq!(row.layout, "?D(?f)");
    assert_eq!(row.extra.as_deref(), Some(r#"{"a":1,"b":[{}]}"#));
}

#[test]
fn of_two_members_with_one_name_the_first_is_typed() {
    let row = check_compact(
        r#"{"eventName":"X","eventName":"Y","userIdentity":{},"userIdentity":{"type":"T"}}"#,
    );
    assert_eq!(text_of(&row, col::EVENT_NAME), Some("X"));
    assert_eq!(text_of(&row, col::IDENTITY_TYPE), None);
    assert_eq!(row.extra.as_deref(), Some(r#"{"eventName":"Y","userIdentity":{"type":"T"}}"#));
}

#[test]
fn odd_escapes_cannot_hide_a_value_from_a_filter() {
    let row = check_compact(r#"{"eventSource":"\u006bms.amazonaws.com","userAgent":"a\/b"}"#);
    assert_eq!(text_of(&row, col::EVENT_SOURCE), Some("kms.amazonaws.com"));
    assert_eq!(text_of(&row, col::USER_AGENT), Some("a/b"));
    assert_eq!(row.layout, "??");
    let row = check(r#"{"event\u004eame":"X","userIdentit\u0079":{"type":"T"}}"#);
    assert_eq!(text_of(&row, col::EVENT_NAME), Some("X"));
    assert_eq!(text_of(&row, col::IDENTITY_TYPE), Some("T"));
    assert!(row.raw.is_some());
}

#[test]
fn canonical_escapes_stay_typed() {
    let row = check_compact(r#"{"userAgent":"q\" b\\ \b\t\n\f\r \u0000\u001f ü 😀 /"}"#);
    let meant = "q\" b\\ \u{8}\t\n\u{c}\r \0\u{1f} ü 😀 /";
    assert_eq!(text_of(&row, col::USER_AGENT), Some(meant));
    assert_eq!(row.layout, "G");
}

#[test]
fn half_a_surrogate_pair_is_kept_as_text_and_shown_as_a_replacement() {
    let row = check_compact(
        r#"{"userAgent":"\ud83d\ude00","errorCode":"\ud83d\u0041","errorMessage":"\udc00"}"#,
    );
    assert_eq!(text_of(&row, col::USER_AGENT), Some("😀"));
    assert_eq!(text_of(&row, col::ERROR_CODE), Some("\u{fffd}A"));
    assert_eq!(text_of(&row, col::ERROR_MESSAGE), Some("\u{fffd}"));
    assert_eq!(row.layout, "???");
}

#[test]
fn values_of_another_type_say_what_they_can() {
    let row = check_compact(
        r#"{"errorCode":404,"userAgent":{"a":1},"readOnly":"true","managementEvent":1,"eventTime":"2026-01-02T03:04:05.5+01:00"}"#,
    );
    assert_eq!(row.layout, "?????");
    assert_eq!(text_of(&row, col::ERROR_CODE), Some("404"));
    assert_eq!(text_of(&row, col::USER_AGENT), Some(r#"{"a":1}"#));
    assert_eq!(row.cells[col::READ_ONLY], Cell::Bool(true));
    assert_eq!(row.cells[col::MANAGEMENT_EVENT], Cell::Null);
    assert_eq!(row.cells[col::EVENT_TIME], Cell::Time(1_767_319_445_500_000));
    for time in ["2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "soon", ""]
    {
        let text = format!(r#"{{"eventTime":"{time}"}}"#);
        assert_eq!(check_compact(&text).layout, "?", "{time}");
    }
}

#[test]
fn an_identity_may_be_null_absent_empty_or_no_object() {
    assert_eq!(check_compact(r#"{"userIdentity":null}"#).layout, "-(");
    assert_eq!(check_compact("{}").layout, "");
    assert_eq!(check_compact(r#"{"userIdentity":{}}"#).layout, "()");
    assert_eq!(check_compact(r#"{"userIdentity":"me"}"#).layout, "?");
    assert_eq!(check_compact(r#"{"userIdentity":[{}]}"#).layout, "?");
    let session =
        r#"{"userIdentity":{"sessionContext":{"sessionIssuer":{},"attributes":{"x":1}}}}"#;
    assert_eq!(check_compact(session).layout, "([<>{?}])");
}

#[test]
fn white_space_between_members_is_kept_in_raw_and_cells_are_filled() {
    let row = check(" {\"eventName\" : \"X\",\n\"b\":{ } }\r\n");
    assert_eq!(text_of(&row, col::EVENT_NAME), Some("X"));
    assert_eq!((row.layout.as_ref(), row.extra.as_deref()), ("", Some(r#"{"b":{ }}"#)));
    let within = check_compact(r#"{"requestParameters":{ "a" : [ 1 , 2 ] }}"#);
    assert_eq!(text_of(&within, col::REQUEST_PARAMETERS), Some(r#"{ "a" : [ 1 , 2 ] }"#));
}

#[test]
fn depth_costs_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
        check_compact(&format!(r#"{{"a":{deep},"requestParameters":{deep}}}"#));
        let unclosed = format!(r#"{{"a":{}"#, open.repeat(100_000));
        assert!(split(unclosed.as_bytes()).is_err());
    }
}

#[test]
fn what_is_no_record_is_refused_with_its_place() {
    let refuse = |text: &[u8]| split(text).unwrap_err();
    for scalar in ["[]", "1", "null", "\"x\"", " [{}] "] {
        assert_eq!(refuse(scalar.as_bytes()), RecordError::NotAnObject, "{scalar}");
    }
    assert_eq!(refuse(b"{\"a\":\"\xff\"}"), RecordError::NotUtf8 { offset: 6 });
    for (text, at) in [
        ("", 0),
        ("{", 1),
        ("{}x", 2),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("{\"a\":01}", 6),
        ("{\"a\":-}", 6),
        ("{\"a\":1.}", 7),
        ("{\"a\":tru}", 5),
        ("{\"a\":\"\\x\"}", 7),
        ("{\"a\":\"\\u12g4\"}", 10),
        ("{\"a\":\"\t\"}", 6),
        ("{\"a\":[1}}", 7),
        ("{\"eventTime\":{]}", 14),
        ("\u{feff}{}", 0),
    ] {
        let RecordError::NotJson { offset, .. } = refuse(text.as_bytes()) else { panic!("{text}") };
        assert_eq!(offset, at, "{text}");
    }
}

#[test]
fn an_edited_row_does_not_pass_for_the_record() {
    let text = r#"{"eventName":"X","readOnly":true,"eventTime":"2026-01-02T03:04:05Z","a":1}"#;
    let row = check_compact(text);
    let edited = |edit: &dyn Fn(&mut Row<'_>)| {
        let mut row = row.clone();
        edit(&mut row);
        join(&row)
    };
    let cell = |column| Err(JoinError::Cell { column });
    let extra = |held, taken| Err(JoinError::ExtraCount { held, taken });
    assert_ne!(edited(&|row| row.cells[col::EVENT_NAME] = Cell::Text("Y".into())), join(&row));
    assert_eq!(edited(&|row| row.cells[col::EVENT_NAME] = Cell::Null), cell("event_name"));
    assert_eq!(edited(&|row| row.cells[col::READ_ONLY] = Cell::Time(0)), cell("read_only"));
    assert_eq!(edited(&|row| row.cells[col::EVENT_TIME] = Cell::Time(1)), cell("event_time"));
    assert_eq!(
        edited(&|row| row.cells[col::EVENT_TIME] = Cell::Time(i64::MAX)),
        cell("event_time")
    );
    assert_eq!(edited(&|row| row.extra = None), extra(0, 1));
    assert_eq!(edited(&|row| row.extra = Some(r#"{"a":1,"b":2}"#.into())), extra(2, 1));
    for bad in ["{", "x", "{\"a\":1", "{\"a\":1}x", "{\"a\" :1 }", "{\"a\":1 ,\"b\":2}"] {
        let joined = edited(&|row| row.extra = Some(bad.into()));
        assert!(matches!(joined, Err(JoinError::Extra { .. })) || joined != join(&row), "{bad}");
    }
    for (layout, position) in [("D)", 1), ("D(", 2), ("Df", 1), ("(D)", 1), ("([)", 2)] {
        let joined = edited(&|row| row.layout = layout.to_owned().into());
        let Err(
            JoinError::Misplaced { position: at } | JoinError::UnknownCode { position: at, .. },
        ) = joined
        else {
            panic!("{layout}: {joined:?}")
        };
        assert_eq!(at, position, "{layout}");
    }
    for layout in ["!", "-", "D-", "-)", "ü", "D "] {
        let joined = edited(&|row| row.layout = layout.to_owned().into());
        assert!(matches!(joined, Err(JoinError::UnknownCode { .. })), "{layout}: {joined:?}");
    }
}

/// The names that mean something in some scope, and a few that never do.
fn names() -> Vec<String> {
    let known = COLUMNS.iter().flat_map(|column| column.path).map(|name| (*name).to_owned());
    // Containers come up often enough to nest.
    let containers = ["userIdentity", "sessionContext", "sessionIssuer", "attributes"];
    let known = known.chain(containers.map(str::to_owned).into_iter().cycle().take(24));
    let unknown = ["", "x", "eventname", "event\\u004eame", "\\\"", "ü", "extra", "\\ud800"];
    known.chain(unknown.map(str::to_owned)).collect()
}

fn scalar() -> impl Strategy<Value = String> {
    let fixed = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.0",
        "1e3",
        "-12.50E+07",
        "9007199254740993",
        "123456789012345678901234567890",
        "\"\"",
        "\"2026-01-02T03:04:05Z\"",
        "\"2026-01-02T03:04:05.000Z\"",
        "\"9999-12-31T23:59:59Z\"",
        "\"0000-01-01T00:00:00Z\"",
        "\"true\"",
        "\"kms.amazonaws.com\"",
        "\"arn:aws:kms:us-east-1:111122223333:key/k\"",
        "\"\\u0041\"",
        "\"\\/\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u001f\\n\"",
        "\"\\u001F\"",
        "\"\\\\\\\"\"",
        "\"plain text\"",
        "\"ü😀\u{7f}\"",
    ];
    select(fixed.map(str::to_owned).to_vec())
}

/// An object's text from its members, with or without white space around the punctuation.
fn object(members: &[(String, String)], space: &str) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
        .collect();
    format!("{{{}{space}}}", members.join(","))
}

fn value(spaces: Vec<&'static str>) -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 6, move |inner| {
        let member = (select(names()), inner.clone());
        prop_oneof![
            3 => (prop::collection::vec(member, 0..6), select(spaces.clone()))
                .prop_map(|(members, space)| object(&members, space)),
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

/// A record's text; `spaces` are the white space that may stand around its punctuation.
fn record_spaced(spaces: Vec<&'static str>) -> impl Strategy<Value = String> {
    let member = (select(names()), value(spaces.clone()));
    (prop::collection::vec(member, 0..14), select(spaces))
        .prop_map(|(members, space)| object(&members, space))
}

fn record() -> impl Strategy<Value = String> {
    record_spaced(vec!["", "", "", "", " ", "\n\t"])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_object_comes_back_byte_for_byte(text in record()) {
        check(&text);
    }

    /// Only white space and escaped names of known members need the whole text.
    #[test]
    fn a_compact_object_never_needs_raw(text in record_spaced(vec![""])) {
        if !text.contains("event\\u004eame") {
            check_compact(&text);
        }
    }

    /// Damaged text is either refused by everybody or comes back like any other.
    #[test]
    fn the_grammar_is_that_of_serde_json(
        text in record(),
        at in any::<prop::sample::Index>(),
        byte in select(b"{}[]\",:\\0eE.-+ \ntnu\x00\x1f\x7f\xc3\xff".to_vec()),
        cut in any::<prop::sample::Index>(),
        how in 0..4,
    ) {
        let mut bytes = text.into_bytes();
        let position = at.index(bytes.len());
        match how {
            0 => bytes[position] = byte,
            1 => bytes.insert(position, byte),
            2 => drop(bytes.remove(position)),
            _ => bytes.truncate(cut.index(bytes.len() + 1)),
        }
        let text = std::str::from_utf8(&bytes);
        let accepted = text.is_ok_and(|text| {
            serde_json::from_str::<&serde_json::value::RawValue>(text)
                .is_ok_and(|value| value.get().starts_with('{'))
        });
        let row = split(&bytes);
        let shown = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(row.is_ok(), accepted, "{:?}: {:?}", row.err(), shown);
        if let Ok(row) = row {
            prop_assert_eq!(join(&row).unwrap(), bytes);
        }
    }

    /// Whatever a row holds, joining it gives bytes or an error.
    #[test]
    fn joining_is_total(
        layout in "[A-Z a-z0-9()<>{}\\[\\]?-]{0,12}",
        extra in prop::option::of(record()),
        text in record(),
    ) {
        let text = text.into_bytes();
        let mut row = split(&text).unwrap();
        row.raw = None;
        row.layout = Cow::Owned(layout);
        row.extra = extra.map(Cow::Owned);
        let _ = join(&row);
    }
}
