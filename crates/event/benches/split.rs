//! How long a record takes to split, to join and to be found in its file: ns per record and MB/s.
//!
//! `cargo bench -p keytrail-event [-- NAME]`. Best of several rounds over records of about 1.4 KB, as KMS
//! writes them. Plain wall-clock time: a difference of a few per cent between two runs is noise.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use keytrail_event::{
    AccountId, Arn, Guid, Json, ParseError, Record, Region, Resource, Row, SessionAttributes,
    Timestamp, TlsDetails, UserIdentity, join, read_log, split, split_log,
};

const RECORDS: u32 = 2_000;
const ROUNDS: usize = 40;

fn main() -> Result<(), ParseError> {
    let records = (0..RECORDS).map(record).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<Vec<u8>> = records.iter().map(|record| record.to_json().into_bytes()).collect();
    let rows: Vec<Row<'_>> = texts.iter().filter_map(|text| split(text).ok()).collect();
    assert!(rows.iter().all(|row| row.raw.is_none()), "the benchmark's records must be plain");
    let mut log = br#"{"Records":["#.to_vec();
    log.extend(texts.join(&b','));
    log.extend(b"]}");

    let bytes = texts.iter().map(Vec::len).sum();
    println!("{RECORDS} records of {} bytes", bytes / texts.len());
    report("split", bytes, || texts.iter().filter(|text| split(text).is_ok()).count());
    report("join", bytes, || rows.iter().filter(|row| join(black_box(row)).is_ok()).count());
    report("read_log", bytes, || read_log(black_box(&log)).records.len());
    report("split_log", bytes, || {
        let mut good = 0;
        split_log(black_box(&log), &mut |_, row| good += usize::from(black_box(row).is_ok()));
        good
    });
    report("to_json", bytes, || {
        records.iter().map(|record| record.to_json().len()).min().unwrap_or(0)
    });
    Ok(())
}

/// Runs `work` and prints its best round, unless another part was asked for.
fn report(name: &str, bytes: usize, work: impl Fn() -> usize) {
    let is_wanted = |asked: String| asked == name;
    if !std::env::args().skip(1).find(|asked| !asked.starts_with('-')).is_none_or(is_wanted) {
        return;
    }
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    let nanos = best.as_secs_f64() * 1e9;
    let rate = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / nanos * 1e3;
    println!("{name:10} {:7.0} ns/record {rate:7.0} MB/s", nanos / f64::from(RECORDS));
}

/// A `GenerateDataKey` by a role session, with everything AWS writes.
fn record(number: u32) -> Result<Record, ParseError> {
    let account = AccountId::parse("111122223333")?;
    let region = Region::parse("us-east-1")?;
    let guid =
        |salt: u128| Guid::from_random((u128::from(number) * 0x9E37_79B9 + salt).to_be_bytes());
    let key = Arn::kms_key(&region, &account, &guid(u128::from(number % 50)).to_string());
    let seconds = 1_767_323_045 + u64::from(number);
    let attributes = SessionAttributes {
        creation_date: Timestamp::from_unix_seconds(seconds - 600),
        mfa_authenticated: false,
    };
    let user_identity = UserIdentity::assumed_role(
        &account,
        "payments-service",
        "AROAEXAMPLEEXAMPLE123",
        "i-0123456789abcdef0",
        "ASIAEXAMPLEEXAMPLE12",
        attributes,
    );
    let context = Json::object().with("tenant", format!("t-{number}")).with("purpose", "cards");
    Ok(Record {
        source_ip_address: format!("10.1.{}.{}", number / 256, number % 256),
        user_agent: Some("aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0 md/http#hyper".to_owned()),
        request_parameters: Some(
            Json::object()
                .with("keyId", key.to_string())
                .with("keySpec", "AES_256")
                .with("encryptionContext", context),
        ),
        additional_event_data: Some(Json::object().with("keyMaterialId", "0f".repeat(32))),
        request_id: Some(guid(1)),
        resources: vec![Resource::kms_key(account.clone(), key.to_string())],
        tls_details: Some(TlsDetails {
            tls_version: "TLSv1.3".to_owned(),
            cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
            client_provided_host_header: "kms.us-east-1.amazonaws.com".to_owned(),
            key_exchange: Some("X25519MLKEM768".to_owned()),
        }),
        ..Record::new(
            Timestamp::from_unix_seconds(seconds),
            "kms.amazonaws.com",
            "GenerateDataKey",
            user_identity,
            region,
            account,
            guid(2),
        )
    })
}
