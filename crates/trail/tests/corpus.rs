//! The corpus as its readers meet it: files in AWS's layout that hold exactly the events asked for,
//! each of which splits into columns and joins again, byte for byte.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;

use keytrail_event::{
    AccountId, Cell, LogKind, Region, Row, Timestamp, col, join, read_log, split,
};
use keytrail_trail::TrailError;
use keytrail_trail::corpus::{CorpusOptions, CorpusSummary, generate};

/// Path below the root → bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// Options small enough for a debug build, with everything in them.
fn small(events: u64) -> CorpusOptions {
    CorpusOptions {
        keys: 40,
        principals: 30,
        events_per_file: 100,
        days: 2,
        ..CorpusOptions::new(events)
    }
}

fn make(options: &CorpusOptions) -> (CorpusSummary, Files) {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let summary = generate(options, folder.path(), &mut |records| seen.push(records)).unwrap();
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(summary.events + summary.duplicates)));
    let mut files = Files::new();
    collect(folder.path(), folder.path(), &mut files);
    (summary, files)
}

fn collect(root: &Path, folder: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(key, std::fs::read(&path).unwrap());
        }
    }
}

fn gunzip(file: &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(file[file.len() - 4..].try_into().unwrap());
    let mut text = vec![0; usize::try_from(length).unwrap()];
    let written = libdeflater::Decompressor::new().gzip_decompress(file, &mut text).unwrap();
    assert_eq!(written, text.len());
    text
}

/// What a file's key says: account, region, delivery. Checks all else about it.
fn delivery(key: &str) -> (AccountId, Region, Timestamp) {
    let parts: Vec<&str> = key.split('/').collect();
    let ["AWSLogs", account, "CloudTrail", region, year, month, day, name] = parts[..] else {
        panic!("not AWS's layout: {key}")
    };
    let name = name.strip_suffix(".json.gz").unwrap();
    let fields: Vec<&str> = name.split('_').collect();
    let [name_account, "CloudTrail", name_region, time, unique] = fields[..] else {
        panic!("not AWS's name: {name}")
    };
    assert_eq!((name_account, name_region), (account, region));
    assert!(
        unique.len() == 16 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{unique}"
    );
    assert!(time.starts_with(&format!("{year}{month}{day}T")), "{key}");
    let (hour, minute) = (&time[9..11], &time[11..13]);
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:00Z");
    let time = Timestamp::parse_event_time(&time).unwrap();
    assert_eq!(time.unix_seconds() % 300, 0, "off the grid: {key}");
    (AccountId::parse(account).unwrap(), Region::parse(region).unwrap(), time)
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> &'r str {
    row.cells[column].text().unwrap_or("")
}

/// Hands every record of the corpus to `visit`, after checking what holds for each of them.
fn visit(files: &Files, mut visit: impl FnMut(&str, &Row<'_>)) {
    for (key, file) in files {
        let (account, region, delivery) = delivery(key);
        let content = gunzip(file);
        let log = read_log(&content);
        assert_eq!((log.kind, log.broken), (LogKind::Envelope, None), "{key}");
        assert!(!log.records.is_empty());
        for record in log.records {
            let row = split(record.bytes).unwrap();
            assert_eq!(row.raw, None);
            assert_eq!(row.extra, None);
            assert_eq!(join(&row).unwrap(), record.bytes);
            assert_eq!(text(&row, col::RECIPIENT_ACCOUNT_ID), account.as_str());
            assert_eq!(text(&row, col::AWS_REGION), region.as_str());
            let Cell::Time(micros) = row.cells[col::EVENT_TIME] else { panic!("no time: {key}") };
            let age = delivery.unix_micros() - micros;
            // A second delivery comes a quarter of an hour later.
            assert!((3_000_000..=(594 + 900) * 1_000_000).contains(&age), "{age}");
            visit(key, &row);
        }
    }
}

/// A corpus is what its options say. Returns nothing: all is checked here.
fn check(options: &CorpusOptions) {
    let (summary, files) = make(options);
    let (mut ids, mut records, mut json_bytes) = (BTreeSet::new(), 0, 0);
    let end = options.start.unix_seconds() + u64::from(options.days) * 86_400;
    visit(&files, |_, row| {
        ids.insert(text(row, col::EVENT_ID).to_owned());
        records += 1;
        json_bytes += join(row).unwrap().len() as u64;
        let Cell::Time(micros) = row.cells[col::EVENT_TIME] else { panic!("no time") };
        let range = options.start.unix_micros()..i64::try_from(end).unwrap() * 1_000_000;
        assert!(range.contains(&micros), "{micros}");
    });
    assert_eq!(ids.len() as u64, options.events, "events");
    assert_eq!(records, options.events + options.duplicates, "records");
    let expected = CorpusSummary {
        files: files.len() as u64,
        events: options.events,
        duplicates: options.duplicates,
        json_bytes,
        gzip_bytes: files.values().map(|file| file.len() as u64).sum(),
    };
    assert_eq!(summary, expected);
}

#[test]
fn a_corpus_has_exactly_the_events_asked_for() {
    check(&small(1));
    check(&small(2));
    check(&small(4321));
    check(&CorpusOptions { duplicates: 100, ..small(1000) });
    check(&CorpusOptions { duplicates: 50, ..small(50) });
}

#[test]
fn the_smallest_world_is_a_world() {
    let options = small(300);
    check(&CorpusOptions {
        keys: 1,
        principals: 1,
        accounts: options.accounts[..1].to_vec(),
        regions: options.regions[..1].to_vec(),
        events_per_file: 1,
        days: 1,
        ..options
    });
}

#[test]
fn many_accounts_and_regions_each_get_their_files() {
    let accounts = (1..=5).map(|id| AccountId::parse(&format!("{id:012}")).unwrap()).collect();
    let regions =
        ["us-west-2", "eu-central-1", "ap-south-1"].map(|name| Region::parse(name).unwrap());
    let options =
        CorpusOptions { accounts, regions: regions.to_vec(), events_per_file: 20, ..small(3000) };
    check(&options);
    let (_, files) = make(&options);
    let places: BTreeSet<(AccountId, Region)> = files
        .keys()
        .map(|key| delivery(key))
        .map(|(account, region, _)| (account, region))
        .collect();
    assert_eq!(places.len(), 15);
}

#[test]
fn the_same_options_give_the_same_bytes_whatever_the_threads() {
    let options = CorpusOptions { duplicates: 7, ..small(2000) };
    let (summary, files) = make(&options);
    let threads = NonZeroUsize::new(3).unwrap();
    let again = make(&CorpusOptions { threads, ..options.clone() });
    assert!((summary, files.clone()) == again, "threads changed the corpus");
    let (_, other) = make(&CorpusOptions { seed: 2, ..options });
    assert!(files.keys().all(|key| !other.contains_key(key)), "the seed changed nothing");
}

/// How often each value of each of these columns occurs.
fn tally(files: &Files) -> BTreeMap<(usize, String), u64> {
    let columns = [
        col::EVENT_SOURCE,
        col::EVENT_NAME,
        col::IDENTITY_TYPE,
        col::ERROR_CODE,
        col::EVENT_TYPE,
        col::EVENT_CATEGORY,
        col::KEY_ARN,
        col::PRINCIPAL_ARN,
    ];
    let mut seen = BTreeMap::new();
    visit(files, |_, row| {
        for column in columns {
            *seen.entry((column, text(row, column).to_owned())).or_default() += 1;
        }
    });
    seen
}

/// What must occur in a corpus that is large, or varied.
const VARIETY: [(usize, &[&str]); 5] = [
    (
        col::IDENTITY_TYPE,
        &["Root", "IAMUser", "AssumedRole", "AWSService", "AWSAccount", "WebIdentityUser", ""],
    ),
    (
        col::ERROR_CODE,
        &[
            "",
            "AccessDenied",
            "DisabledException",
            "KMSInvalidStateException",
            "NotFoundException",
            "InvalidCiphertextException",
            "DryRunOperationException",
        ],
    ),
    (
        col::EVENT_NAME,
        &["RotateKey", "ReEncrypt", "CreateGrant", "PutKeyPolicy", "ConsoleLogin", "ListKeys"],
    ),
    (col::EVENT_TYPE, &["AwsApiCall", "AwsServiceEvent", "AwsConsoleSignIn"]),
    (col::EVENT_CATEGORY, &["Management", "Data"]),
];

fn check_variety(files: &Files) {
    let seen = tally(files);
    for (column, values) in VARIETY {
        for value in values {
            assert!(
                seen.contains_key(&(column, (*value).to_owned())),
                "column {column}: no {value:?}"
            );
        }
    }
}

#[test]
fn the_mix_is_that_of_real_logs() {
    let (_, files) = make(&small(20_000));
    check_variety(&files);
    let seen = tally(&files);
    let share = |column, value: &str| seen[&(column, value.to_owned())] * 1000 / 20_000;
    assert!((885..915).contains(&share(col::EVENT_SOURCE, "kms.amazonaws.com")));
    assert!((970..990).contains(&share(col::ERROR_CODE, "")));
    // A few keys and callers do most, and many do a little.
    for column in [col::KEY_ARN, col::PRINCIPAL_ARN] {
        let of_column = seen.iter().filter(|((of, value), _)| *of == column && !value.is_empty());
        let mut counts: Vec<u64> = of_column.map(|(_, &count)| count).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let (busiest, all) = (counts[..5].iter().sum::<u64>(), counts.iter().sum::<u64>());
        assert!(counts.len() >= 25 && busiest * 4 > all, "column {column}: {counts:?}");
    }
}

#[test]
fn the_sample_is_small_and_shows_everything() {
    let options = CorpusOptions::sample();
    check(&options);
    let (summary, files) = make(&options);
    check_variety(&files);
    assert!(summary.gzip_bytes < 100_000, "{summary:?}");
    assert!((15..40).contains(&summary.files), "{summary:?}");
}

#[test]
fn refused_calls_have_the_shapes_of_aws() {
    let (_, files) = make(&small(20_000));
    visit(&files, |_, row| {
        let (code, message) = (text(row, col::ERROR_CODE), text(row, col::ERROR_MESSAGE));
        let key_arn = text(row, col::KEY_ARN);
        let is_kms = text(row, col::EVENT_SOURCE) == "kms.amazonaws.com";
        let has_parameters = row.cells[col::REQUEST_PARAMETERS] != Cell::Null;
        let has_resources = row.cells[col::RESOURCES] != Cell::Null;
        match code {
            "AccessDenied" if is_kms => {
                let name = text(row, col::EVENT_NAME);
                let start = format!(
                    "User: {} is not authorized to perform: kms:{name} on resource: arn:aws:kms:",
                    text(row, col::PRINCIPAL_ARN)
                );
                assert!(message.starts_with(&start), "{message}");
                assert!(!has_parameters && !has_resources);
                assert!(message.contains(key_arn) && key_arn.contains(":key/"), "{key_arn}");
            }
            "NotFoundException" => {
                assert!(!has_parameters && !has_resources && !message.is_empty());
            }
            "DisabledException" => assert_eq!(message, format!("{key_arn} is disabled.")),
            "KMSInvalidStateException" => {
                assert_eq!(message, format!("{key_arn} is pending deletion."));
            }
            "InvalidCiphertextException" => {
                assert!(message.is_empty() && has_parameters && has_resources);
            }
            _ => {}
        }
        if !code.is_empty() {
            assert_eq!(row.cells[col::RESPONSE_ELEMENTS], Cell::Null);
        }
    });
}

#[test]
fn copies_of_a_call_across_accounts_share_their_ids() {
    let (_, files) = make(&small(20_000));
    // For each shared id: (recipient, request id, event id, time, identity type).
    let mut copies: BTreeMap<String, Vec<[String; 4]>> = BTreeMap::new();
    visit(&files, |_, row| {
        if text(row, col::EVENT_SOURCE) == "kms.amazonaws.com"
            && row.cells[col::SHARED_EVENT_ID] != Cell::Null
        {
            let columns =
                [col::RECIPIENT_ACCOUNT_ID, col::REQUEST_ID, col::EVENT_ID, col::IDENTITY_TYPE];
            let copy = columns.map(|column| text(row, column).to_owned());
            copies.entry(text(row, col::SHARED_EVENT_ID).to_owned()).or_default().push(copy);
        }
    });
    let pairs: Vec<&Vec<[String; 4]>> = copies.values().filter(|copies| copies.len() > 1).collect();
    assert!(pairs.len() > 50, "{}", pairs.len());
    for pair in pairs {
        let [one, two] = pair.as_slice() else { panic!("{pair:?}") };
        assert_ne!(one[0], two[0], "both for one account");
        assert_eq!(one[1], two[1], "one request");
        assert_ne!(one[2], two[2], "two events");
        assert!(one[3] == "AWSAccount" || two[3] == "AWSAccount", "{pair:?}");
    }
}

#[test]
fn a_duplicate_is_the_same_record_in_a_later_file() {
    let (_, files) = make(&CorpusOptions { duplicates: 60, ..small(900) });
    let mut seen: BTreeMap<String, Vec<(Timestamp, Vec<u8>)>> = BTreeMap::new();
    visit(&files, |key, row| {
        let id = text(row, col::EVENT_ID).to_owned();
        seen.entry(id).or_default().push((delivery(key).2, join(row).unwrap()));
    });
    let twice: Vec<_> = seen.into_values().filter(|deliveries| deliveries.len() > 1).collect();
    assert_eq!(twice.len(), 60);
    for deliveries in twice {
        let [(first, record), (second, again)] = deliveries.as_slice() else { panic!("thrice") };
        assert_ne!(first, second);
        assert_eq!(record, again);
    }
}

#[test]
fn impossible_options_are_refused_by_name() {
    let base = small(10);
    let twice = vec![base.accounts[0].clone(), base.accounts[0].clone()];
    for (options, text) in [
        (CorpusOptions { events: 0, ..base.clone() }, "events must be 1 to 1099511627776"),
        (
            CorpusOptions { keys: 3, ..base.clone() },
            "keys must be 4 to 1000000, at least one for each account in each region",
        ),
        (
            CorpusOptions { principals: 1, ..base.clone() },
            "principals must be 2 to 1000000, at least one for each account",
        ),
        (CorpusOptions { days: 0, ..base.clone() }, "days must be 1 to 3660"),
        (
            CorpusOptions { accounts: vec![], ..base.clone() },
            "accounts must name 1 to 1000 accounts",
        ),
        (
            CorpusOptions { accounts: twice, ..base.clone() },
            "accounts must not name an account twice",
        ),
        (CorpusOptions { regions: vec![], ..base.clone() }, "regions must name 1 to 100 regions"),
        (
            CorpusOptions { events_per_file: 0, ..base.clone() },
            "events per file must be 1 to 10000 for 2 accounts, so that no file exceeds AWS's \
             50 MB",
        ),
        (
            CorpusOptions { duplicates: 11, ..base.clone() },
            "duplicates must be at most the number of events, 10",
        ),
        (CorpusOptions { threads: NonZeroUsize::MAX, ..base.clone() }, "threads must be 1 to 1024"),
        (
            CorpusOptions { start: Timestamp::from_unix_nanos(u64::MAX), ..base.clone() },
            "start must lie before the year 2500",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = generate(&options, folder.path(), &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
    }
}

#[test]
fn an_unwritable_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "a file, not a folder").unwrap();
    let error = generate(&small(10), &taken, &mut |_| {}).unwrap_err();
    let TrailError::Write { path, .. } = &error else { panic!("{error}") };
    assert!(path.starts_with(&taken), "{}", path.display());
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}
