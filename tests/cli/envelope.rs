//! `encrypt` and `decrypt`: files of any size, and never a doubtful one.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::Home;

/// A key with an alias; its ARN.
fn key(home: &Home, alias: &str) -> String {
    let key = home.kms("create-key", &json!({}));
    let arn = key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    home.kms("create-alias", &json!({"AliasName": alias, "TargetKeyId": arn}));
    arn
}

fn text(length: usize) -> Vec<u8> {
    (b' '..b'~').cycle().take(length).collect()
}

/// The names in the scratch folder.
fn names(home: &Home) -> Vec<String> {
    let names = fs::read_dir(home.path()).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_of_every_size_come_back_and_each_data_key_is_on_record() {
    let home = Home::new();
    let arn = key(&home, "alias/backups");
    for length in [0, 1, 4095, 4096, 4097, 100_000] {
        let name = format!("file-{length}");
        fs::write(home.path().join(&name), text(length)).unwrap();
        let context = format!("length={length}");
        let made = home.json(&["encrypt", &name, "--key", "alias/backups", "--context", &context]);
        assert_eq!(made["output"], format!("{name}.encrypted"));
        assert_eq!((&made["suite"], &made["keys"]), (&json!("0x0578"), &json!([arn])));
        assert_eq!(made["frames"], length / 4096 + 1);
        fs::remove_file(home.path().join(&name)).unwrap();
        let found = home.json(&["decrypt", &format!("{name}.encrypted"), "--context", &context]);
        assert_eq!((&found["output"], &found["signature"]), (&json!(name), &json!("verified")));
        assert_eq!(found["encryption_context"], made["encryption_context"]);
        assert_eq!(fs::read(home.path().join(&name)).unwrap(), text(length), "{length}");
    }
    home.ok(&["ingest"]);
    let sql = "select event_name, request_parameters->>'keyId' as key, \
               request_parameters->'encryptionContext'->>'length' as length, \
               request_parameters->'encryptionContext' ? 'aws-crypto-public-key' as signed \
               from events where event_name in ('GenerateDataKey', 'Decrypt') order by event_time";
    let rows = home.rows(sql);
    assert_eq!(rows.len(), 12, "{rows:?}");
    assert_eq!(
        rows[..2],
        [
            json!({"event_name": "GenerateDataKey", "key": "alias/backups", "length": "0", "signed": true}),
            json!({"event_name": "Decrypt", "key": arn, "length": "0", "signed": true}),
        ]
    );
    assert_eq!(home.json(&["verify"])["verdict"], "OK");
}

#[test]
fn any_one_of_several_keys_opens_a_message() {
    let home = Home::new();
    let [first, second] = ["alias/one", "alias/two"].map(|alias| key(&home, alias));
    key(&home, "alias/three");
    fs::write(home.path().join("file"), "hello").unwrap();
    let made = home.json(&["encrypt", "file", "--key", "alias/one", "--key", "alias/two"]);
    assert_eq!(made["keys"], json!([first, second]));
    let open = |keys: &[&str]| {
        let mut arguments = vec!["decrypt", "file.encrypted", "--output", "-"];
        arguments.extend(keys.iter().flat_map(|key| ["--key", *key]));
        home.run(&arguments)
    };
    let id = second.rsplit('/').next().unwrap();
    for keys in [&[][..], &["alias/two"], &[second.as_str()], &[id], &["alias/three", "alias/one"]]
    {
        let ran = open(keys);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "hello"), "{keys:?}: {}", ran.stderr);
    }
    home.kms("disable-key", &json!({"KeyId": first}));
    assert_eq!(open(&[]).stdout, "hello", "the second key");
    let disabled = open(&["alias/one"]);
    assert_eq!(disabled.code, 3);
    assert!(disabled.stderr.contains("(DisabledException)"), "{}", disabled.stderr);
    let other = open(&["alias/three"]);
    assert_eq!(other.code, 3);
    let told = other.stderr.contains(&first) && other.stderr.contains(&second);
    assert!(told, "does not name the keys: {}", other.stderr);
}

#[test]
fn keys_of_all_regions_serve_one_message() {
    let home = Home::empty();
    home.ok(&["init", "--region", "us-east-1", "--region", "eu-west-1"]);
    let here = key(&home, "alias/backups");
    let there = home.ok(&["kms", "create-key", "--region", "eu-west-1"]);
    let there: serde_json::Value = serde_json::from_str(&there).unwrap();
    let id = there["KeyMetadata"]["KeyId"].as_str().unwrap();
    let there = there["KeyMetadata"]["Arn"].as_str().unwrap();
    fs::write(home.path().join("file"), "hello").unwrap();
    let made = home.json(&["encrypt", "file", "--key", there, "--key", "alias/backups"]);
    assert_eq!(made["keys"], json!([there, here]));
    let open = |message: &str, more: &[&str]| {
        home.ok(&[&["decrypt", message, "--output", "-"][..], more].concat())
    };
    for keys in [&[][..], &["--key", id], &["--key", there], &["--key", "alias/backups"]] {
        assert_eq!(open("file.encrypted", keys), "hello", "{keys:?}");
    }
    let region = ["encrypt", "file", "--output", "again", "--key", id, "--region"];
    home.ok(&[&region[..], &["eu-west-1"]].concat());
    assert_eq!(open("again", &[]), "hello");
    let absent = home.run(&[&region[..], &["ap-south-1"]].concat());
    assert_eq!(absent.code, 3);
    assert!(absent.stderr.contains("no keys can be in ap-south-1 here"), "{}", absent.stderr);
}

#[test]
fn a_message_that_was_changed_leaves_nothing_under_the_outputs_name() {
    let home = Home::new();
    key(&home, "alias/backups");
    let path = |name: &str| home.path().join(name);
    fs::write(path("file"), text(10_000)).unwrap();
    home.ok(&["encrypt", "file", "--key", "alias/backups"]);
    let message = fs::read(path("file.encrypted")).unwrap();
    let before = names(&home);
    for (at, told) in
        [(message.len() - 1, "signature"), (message.len() - 200, "frame 3"), (385, "header")]
    {
        let mut changed = message.clone();
        changed[at] ^= 1;
        fs::write(path("file.encrypted"), changed).unwrap();
        let ran = home.run(&["decrypt", "file.encrypted", "--output", "file"]);
        assert_eq!(ran.code, 3);
        assert!(
            ran.stderr.contains(told) && ran.stderr.contains("file.encrypted"),
            "{}",
            ran.stderr
        );
        assert_eq!(fs::read(path("file")).unwrap(), text(10_000), "the file of before is gone");
        let piped = home.run(&["decrypt", "file.encrypted", "--output", "-"]);
        assert_eq!((piped.code, piped.stdout.as_str()), (3, ""));
    }
    assert_eq!(names(&home), before, "something was left behind");
}

#[test]
fn an_unsigned_message_streams_and_its_end_is_told_by_the_exit_code() {
    let home = Home::new();
    key(&home, "alias/backups");
    let path = home.path().join("file.encrypted");
    fs::write(home.path().join("file"), text(10_000)).unwrap();
    let made = home.json(&["encrypt", "file", "--key", "alias/backups", "--unsigned"]);
    assert_eq!(made["suite"], "0x0478");
    let message = fs::read(&path).unwrap();
    let piped = home.run(&["decrypt", "file.encrypted", "--output", "-"]);
    assert_eq!((piped.code, piped.stdout.as_bytes()), (0, &text(10_000)[..]));
    fs::write(&path, &message[..message.len() - 1]).unwrap();
    let piped = home.run(&["decrypt", "file.encrypted", "--output", "-"]);
    assert_eq!((piped.code, piped.stdout.as_bytes()), (3, &text(8192)[..]));
    assert!(piped.stderr.contains("cut off"), "{}", piped.stderr);
}

#[test]
fn pipes_go_in_and_out() {
    let home = Home::new();
    key(&home, "alias/backups");
    let pipe = |arguments: &[&str], input: &[u8]| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_keytrail"))
            .arg("--data")
            .arg(home.data())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = process.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    let message = pipe(&["encrypt", "-", "--key", "alias/backups"], &text(300_000));
    assert_eq!(message[..3], [2, 5, 0x78]);
    assert_eq!(pipe(&["decrypt", "-"], &message), text(300_000));
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let home = Home::new();
    key(&home, "alias/backups");
    home.ok(&["principal", "create", "mallory"]);
    fs::write(home.path().join("file"), "hello").unwrap();
    home.ok(&["encrypt", "file", "--key", "alias/backups", "--context", "a=1"]);
    let refused = |arguments: &[&str], told: &str| {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}");
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    };
    let encrypt = ["encrypt", "file", "--key", "alias/backups"];
    let decrypt = ["decrypt", "file.encrypted", "--output", "out"];
    refused(&encrypt, "file.encrypted is there already");
    refused(&["decrypt", "file.encrypted"], "file is there already");
    refused(&["decrypt", "file"], "name the output with --output");
    refused(&["decrypt", "missing.encrypted"], "missing.encrypted");
    refused(&["decrypt", "file", "--output", "out"], "no message of the AWS Encryption SDK");
    let more = |arguments: &[&'static str], more: &[&'static str]| [arguments, more].concat();
    refused(&more(&decrypt, &["--context", "a=2"]), "does not have a=2");
    refused(&more(&decrypt, &["--principal", "mallory"]), "(AccessDeniedException)");
    let other = ["--output", "out"];
    refused(&more(&encrypt, &["--output", "out", "--context", "aws-crypto-x=1"]), "aws-crypto-");
    refused(&[&encrypt[..3], &["alias/none"], &other].concat(), "(NotFoundException)");
    refused(&more(&encrypt, &["--output", "/dev/null"]), "is not a file");
    refused(&more(&encrypt, &["--output", "no/such/folder"]), "no/such/folder");
    assert!(!home.path().join("out").exists());

    home.ok(&["ingest"]);
    let denied = home.rows("select event_name from events where error_code = 'AccessDenied'");
    assert_eq!(denied, [json!({"event_name": "Decrypt"})]);
}

#[test]
#[cfg(unix)]
fn what_was_secret_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    key(&home, "alias/backups");
    fs::write(home.path().join("file"), "hello").unwrap();
    home.ok(&["encrypt", "file", "--key", "alias/backups"]);
    home.ok(&["decrypt", "file.encrypted", "--output", "again"]);
    let mode = |name: &str| home.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("again"), 0o600);
    assert_eq!(mode("file.encrypted"), mode("file"), "the umask decides");
}
