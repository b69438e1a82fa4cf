//! What the tables and audits say, over a lake small enough to be counted by hand and over real CloudTrail data.

mod common;

use std::path::Path;

use common::{Call, Fixture, START_SECONDS, envelope, key_arn};
use insta::assert_snapshot;
use keytrail_event::Timestamp;
use keytrail_query::{
    Audit, AuditFilters, Format, Printer, QueryError, Session, SessionOptions, Style,
};

const DENIED: &str = "User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: kms:Decrypt on \
                      resource: arn:aws:kms:eu-west-1:111122223333:key/a2345678-1234-4234-8234-123456789012 because \
                      no identity-based policy allows the kms:Decrypt action";
const DENIED_EXPLICITLY: &str = "User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: \
                                 kms:Decrypt on resource: arn:aws:kms:eu-west-1:111122223333:key/\
                                 b2345678-1234-4234-8234-123456789012 with an explicit deny in a resource-based policy";

/// Alice decrypts with key a, four times by herself and twice through S3; bob encrypts with b; carol re-encrypts from a
/// to b; mallory is refused; dave only describes key c. One event is delivered twice.
fn lake() -> Fixture {
    let fixture = Fixture::empty();
    let mut native: Vec<String> =
        (0..4).map(|n| Call::new(n, "Decrypt", "alice", 'a').json()).collect();
    for number in 4..6 {
        let call =
            Call { via: Some("s3.amazonaws.com"), ..Call::new(number, "Decrypt", "alice", 'a') };
        native.push(call.json());
    }
    native.push(Call { error: Some(DENIED), ..Call::new(6, "Decrypt", "mallory", 'a') }.json());
    native.push(Call { error: Some(DENIED), ..Call::new(7, "Decrypt", "mallory", 'a') }.json());
    native.push(
        Call { error: Some(DENIED_EXPLICITLY), ..Call::new(8, "Decrypt", "mallory", 'b') }.json(),
    );
    fixture.write_ledger(&native);

    let both = format!(
        r#""resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"{}"}},{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"{}"}}],"#,
        key_arn('a'),
        key_arn('b')
    );
    let one = format!(
        r#""resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"{}"}}],"#,
        key_arn('a')
    );
    let foreign = [
        Call::new(20, "Encrypt", "bob", 'b').json(),
        Call::new(21, "ReEncrypt", "carol", 'a').json().replace(&one, &both),
        Call::new(22, "DescribeKey", "dave", 'c').json(),
        alias_record(23, "CreateAlias", "alias/payroll", 'a'),
        alias_record(24, "UpdateAlias", "alias/payroll", 'b'),
        Call::new(25, "Decrypt", "erin", 'd')
            .json()
            .replace(&format!(r#""keyId":"{}""#, key_arn('d')), r#""keyId":"alias/invoices""#),
    ];
    fixture.write_log("one.json", &envelope(&foreign));
    fixture.write_log(
        "two.json",
        &envelope(&[Call::new(20, "Encrypt", "bob", 'b').json(), "7".to_owned()]),
    );
    fixture.ingest(5);
    fixture
}

fn alias_record(number: u64, operation: &'static str, alias: &str, key: char) -> String {
    let arn = key_arn(key);
    Call::new(number, operation, "admin", key).json().replace(
        &format!(
            r#""requestParameters":{{"keyId":"{arn}","encryptionAlgorithm":"SYMMETRIC_DEFAULT"}}"#
        ),
        &format!(r#""requestParameters":{{"aliasName":"{alias}","targetKeyId":"{arn}"}}"#),
    )
}

async fn session(lake: &Path) -> Session {
    let options = SessionOptions { threads: 2, memory_bytes_max: None };
    Session::open(lake, options).await.expect("a session")
}

async fn sql(session: &Session, sql: &str) -> String {
    let answer = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut out = Vec::new();
    let printer = Printer::new(&mut out, &answer.schema(), Style::plain(Format::Table));
    answer.print(printer).await.expect("an answer");
    String::from_utf8(out).expect("UTF-8")
}

/// An audit's answer, with key ARNs cut down to the letter that tells them apart.
async fn audit(session: &Session, name: &str, filters: AuditFilters) -> String {
    let audit = Audit::named(name).expect("built in");
    let answer =
        session.audit(&audit, &filters).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut out = Vec::new();
    let printer = Printer::new(&mut out, &answer.schema(), Style::plain(Format::Csv));
    answer.print(printer).await.expect("an answer");
    let text = String::from_utf8(out).expect("UTF-8");
    text.replace("arn:aws:kms:eu-west-1:111122223333:key/", "")
        .replace("2345678-1234-4234-8234-123456789012", "")
        .replace("arn:aws:iam::111122223333:user/", "")
        .replace("bbbbbbbb-0000-4000-8000-", "")
        .replace("aaaaaaaa-0000-4000-8000-", "")
}

#[tokio::test]
async fn the_tables_count_what_was_taken_in() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    assert_snapshot!(sql(&session, "SELECT (SELECT count(*) FROM records) AS records, (SELECT count(*) FROM events) AS events, \
                                    (SELECT count(*) FROM key_events) AS key_events, (SELECT count(*) FROM sources) AS sources").await, @r##"
    records  events  key_events  sources
    -------  ------  ----------  -------
         16      15          16        3
    "##);
    assert_snapshot!(sql(&session, "SELECT kind, source, first, \"end\", records, rows, duplicates, quarantined, version \
                                    FROM sources ORDER BY source").await, @r##"
    kind    source              first  end  records  rows  duplicates  quarantined  version
    ------  ------------------  -----  ---  -------  ----  ----------  -----------  -------
    ledger  example.org/ledger      0   10        9     9           0            0        1
    file    one.json                              6     6           0            0        1
    file    two.json                              2     1           1            1        1
    "##);
    assert_snapshot!(sql(&session, "SELECT source_file, source_index, duplicate, user_name FROM records \
                                    WHERE event_id LIKE '%-000000000020' ORDER BY source_file").await, @r##"
    source_file  source_index  duplicate  user_name
    -----------  ------------  ---------  ---------
    one.json                0  false      bob
    two.json                0  true       bob
    "##);
}

#[tokio::test]
async fn who_used_tells_key_actor_operation_and_service_apart() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    assert_snapshot!(audit(&session, "who-used", AuditFilters::default()).await, @r##"
    key,actor,operation,via,uses,failures,first_use,last_use,ip_count,source_ips
    a,alice,Decrypt,,4,0,2026-01-02T03:04:05Z,2026-01-02T03:07:05Z,4,"192.0.2.0, 192.0.2.1, 192.0.2.2, 192.0.2.3"
    a,alice,Decrypt,s3.amazonaws.com,2,0,2026-01-02T03:08:05Z,2026-01-02T03:09:05Z,2,"192.0.2.4, 192.0.2.5"
    a,admin,CreateAlias,,1,0,2026-01-02T03:27:05Z,2026-01-02T03:27:05Z,1,192.0.2.2
    a,carol,ReEncrypt,,1,0,2026-01-02T03:25:05Z,2026-01-02T03:25:05Z,1,192.0.2.0
    a,mallory,Decrypt,,0,2,2026-01-02T03:10:05Z,2026-01-02T03:11:05Z,2,"192.0.2.0, 192.0.2.6"
    b,admin,UpdateAlias,,1,0,2026-01-02T03:28:05Z,2026-01-02T03:28:05Z,1,192.0.2.3
    b,bob,Encrypt,,1,0,2026-01-02T03:24:05Z,2026-01-02T03:24:05Z,1,192.0.2.6
    b,carol,ReEncrypt,,1,0,2026-01-02T03:25:05Z,2026-01-02T03:25:05Z,1,192.0.2.0
    b,mallory,Decrypt,,0,1,2026-01-02T03:12:05Z,2026-01-02T03:12:05Z,1,192.0.2.1
    c,dave,DescribeKey,,1,0,2026-01-02T03:26:05Z,2026-01-02T03:26:05Z,1,192.0.2.1
    d,erin,Decrypt,,1,0,2026-01-02T03:29:05Z,2026-01-02T03:29:05Z,1,192.0.2.4
    "##);
}

#[tokio::test]
async fn last_use_counts_successful_cryptography_for_both_keys_of_a_re_encrypt() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    assert_snapshot!(audit(&session, "last-use", AuditFilters::default()).await, @r##"
    key,last_use,operation,actor,event_id,request_id,tracking_start
    d,2026-01-02T03:29:05Z,Decrypt,erin,000000000025,000000000025,2026-01-02T03:04:05Z
    a,2026-01-02T03:25:05Z,ReEncrypt,carol,000000000021,000000000021,2026-01-02T03:04:05Z
    b,2026-01-02T03:25:05Z,ReEncrypt,carol,000000000021,000000000021,2026-01-02T03:04:05Z
    c,,,,,,2026-01-02T03:04:05Z
    "##);
}

#[tokio::test]
async fn denied_gives_the_reason() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    assert_snapshot!(audit(&session, "denied", AuditFilters::default()).await, @r##"
    key,actor,operation,reason,attempts,first_attempt,last_attempt,ip_count,source_ips
    a,mallory,Decrypt,no identity-based policy allows the kms:Decrypt action,2,2026-01-02T03:10:05Z,2026-01-02T03:11:05Z,2,"192.0.2.0, 192.0.2.6"
    b,mallory,Decrypt,an explicit deny in a resource-based policy,1,2026-01-02T03:12:05Z,2026-01-02T03:12:05Z,1,192.0.2.1
    "##);
}

#[tokio::test]
async fn a_key_may_be_an_arn_an_id_or_an_alias() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    let alias_arn = "arn:aws:kms:eu-west-1:111122223333:alias/payroll";
    let cases: [(&str, Vec<String>); 8] = [
        (&key_arn('a'), vec![key_arn('a')]),
        (&key_arn('z'), vec![key_arn('z')]),
        ("c2345678-1234-4234-8234-123456789012", vec![key_arn('c')]),
        ("alias/payroll", vec![key_arn('a'), key_arn('b')]),
        (alias_arn, vec![key_arn('a'), key_arn('b')]),
        ("alias/invoices", vec![key_arn('d')]),
        // A user's text is a value, whatever it looks like.
        (
            "arn:aws:kms:eu-west-1:111122223333:key/' OR 1=1 --",
            vec!["arn:aws:kms:eu-west-1:111122223333:key/' OR 1=1 --".to_owned()],
        ),
        (
            "arn:aws:iam::111122223333:user/alice",
            vec!["arn:aws:iam::111122223333:user/alice".to_owned()],
        ),
    ];
    for (key, expected) in cases {
        assert_eq!(session.resolve_key(key).await.expect(key), expected, "{key}");
    }
    for key in
        ["alias/nope", "alias/pay", "%", "", "arn:aws:kms:us-east-1:111122223333:alias/payroll"]
    {
        let unknown = session.resolve_key(key).await;
        assert!(matches!(unknown, Err(QueryError::UnknownKey { .. })), "{key}: {unknown:?}");
    }
}

#[tokio::test]
async fn filters_narrow_an_audit() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    let minute = |n: u64| Some(Timestamp::from_unix_seconds(START_SECONDS + 60 * n));
    let by_key = AuditFilters { key: Some("alias/invoices".to_owned()), ..AuditFilters::default() };
    assert_snapshot!(audit(&session, "who-used", by_key).await, @r##"
    key,actor,operation,via,uses,failures,first_use,last_use,ip_count,source_ips
    d,erin,Decrypt,,1,0,2026-01-02T03:29:05Z,2026-01-02T03:29:05Z,1,192.0.2.4
    "##);
    for principal in
        ["mallory", "arn:aws:iam::111122223333:user/mallory", "AKIAEXAMPLEmallory", "AIDAmallory"]
    {
        let filters =
            AuditFilters { principal: Some(principal.to_owned()), ..AuditFilters::default() };
        let lines = audit(&session, "denied", filters).await.lines().count();
        assert_eq!(lines, 1 + 2, "{principal}");
    }
    // `since` counts from its instant on, `until` up to its own, exclusively.
    let window = AuditFilters { since: minute(2), until: minute(4), ..AuditFilters::default() };
    assert_snapshot!(audit(&session, "who-used", window).await, @r##"
    key,actor,operation,via,uses,failures,first_use,last_use,ip_count,source_ips
    a,alice,Decrypt,,2,0,2026-01-02T03:06:05Z,2026-01-02T03:07:05Z,2,"192.0.2.2, 192.0.2.3"
    "##);
    let nobody =
        AuditFilters { principal: Some("' OR true --".to_owned()), ..AuditFilters::default() };
    assert_eq!(audit(&session, "denied", nobody).await.lines().count(), 1);
}

#[tokio::test]
async fn a_question_about_one_key_opens_only_files_that_may_hold_it() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    let one = format!("EXPLAIN SELECT count(*) FROM events WHERE key_arn = '{}'", key_arn('d'));
    let one = sql(&session, &one).await;
    assert_eq!(one.matches(".parquet").count(), 1, "{one}");
    let all = sql(&session, "EXPLAIN SELECT count(user_agent) FROM events").await;
    assert_eq!(all.matches(".parquet").count(), fixture.data_files().len(), "{all}");
}

#[tokio::test]
async fn json_columns_are_asked_with_operators_and_nest_in_json_output() {
    let fixture = lake();
    let session = session(&fixture.lake()).await;
    let answer = session
        .sql(
            "SELECT user_name, request_parameters, tls_details->>'tlsVersion' AS tls, request_parameters->'keyId' AS key \
             FROM events WHERE request_parameters->>'aliasName' = 'alias/payroll' AND event_name = 'CreateAlias'",
        )
        .await
        .expect("valid");
    let mut out = Vec::new();
    let printer = Printer::new(&mut out, &answer.schema(), Style::plain(Format::Ndjson));
    answer.print(printer).await.expect("an answer");
    assert_snapshot!(String::from_utf8(out).expect("UTF-8"), @r##"
    {"user_name":"admin","request_parameters":{"aliasName":"alias/payroll","targetKeyId":"arn:aws:kms:eu-west-1:111122223333:key/a2345678-1234-4234-8234-123456789012"},"tls":"TLSv1.3","key":null}
    "##);
}

#[tokio::test]
async fn real_data_is_counted_and_verified() {
    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cloudtrail/stratus-2023");
    if !Path::new(logs).exists() {
        eprintln!("skipped: {logs} is not here");
        return;
    }
    let fixture = Fixture::empty();
    fixture.ingest_from(Path::new(logs), 100_000);
    let session = session(&fixture.lake()).await;
    let kms =
        sql(&session, "SELECT count(*) AS n FROM events WHERE event_source = 'kms.amazonaws.com'")
            .await;
    assert_eq!(kms.lines().last(), Some("98"));
    let report = fixture.verify_with(&common::catalog_key(), None);
    assert!(report.is_ok(), "{report}");
    assert_snapshot!(sql(&session, "SELECT operation, uses, failures FROM (SELECT event_name AS operation, \
        count(*) FILTER (WHERE error_code IS NULL) AS uses, count(*) FILTER (WHERE error_code IS NOT NULL) AS failures \
        FROM events WHERE event_source = 'kms.amazonaws.com' GROUP BY event_name) ORDER BY operation").await, @r##"
    operation        uses  failures
    ---------------  ----  --------
    Decrypt            72         0
    Encrypt            22         0
    GenerateDataKey     4         0
    "##);
}
