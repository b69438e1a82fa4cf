//! How many audited calls an engine carries out in a second: each one authorised, recorded, durable and signed.
//!
//! `cargo bench -p keytrail-kms [-- FOLDER]`. The data directory is made in FOLDER (default: the system's temporary one):
//! on a disk the figure is mostly that of its sync, on a tmpfs that of the processor. Wall-clock time; a difference of a
//! few per cent between two runs is noise.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keytrail_kms::{
    Caller, Config, CreateKeyRequest, Engine, Environment, Message, OsRandom, RootKey,
};
use keytrail_ledger::Origin;

const ROUND: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let data = tempfile::tempdir_in(folder)?;
    let config = Config {
        account: "111122223333".parse()?,
        regions: vec!["us-east-1".parse()?],
        origin: Origin::new("bench.example/keytrail")?,
    };
    let root_key = RootKey::generate(&OsRandom);
    let (engine, _) = Engine::create(data.path(), config.clone(), root_key, Environment::system())?;
    let root = engine.root_caller()?;
    let key = engine.create_key(&root, &CreateKeyRequest::default())?.key_id;
    let blob = engine.encrypt(&root, &key, &[7; 32], &[("purpose", "bench")])?.ciphertext_blob;

    for callers in [1, 4, 16, 64, 256] {
        report("Encrypt", callers, &root, &|root| {
            engine.encrypt(root, &key, &[7; 32], &[("purpose", "bench")]).is_ok()
        });
    }
    report("Decrypt", 64, &root, &|root| {
        engine.decrypt(root, &blob, &[("purpose", "bench")]).is_ok()
    });
    report("GenerateDataKey", 64, &root, &|root| {
        engine.generate_data_key(root, &key, 32, &[]).is_ok()
    });
    report("DescribeKey", 64, &root, &|root| engine.describe_key(root, &key).is_ok());
    report("CreateKey", 64, &root, &|root| {
        engine.create_key(root, &CreateKeyRequest::default()).is_ok()
    });
    measure_signing(&engine, &root)?;
    let records = engine.ledger().size();
    let start = Instant::now();
    engine.close()?;
    println!("close with {records} records: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// One signing key of each family, and HMAC.
fn measure_signing(engine: &Engine, root: &Caller) -> Result<(), Box<dyn Error>> {
    let make = |spec, usage| {
        let (key_spec, key_usage) = (Some(spec), Some(usage));
        let request = CreateKeyRequest { key_spec, key_usage, ..CreateKeyRequest::default() };
        engine.create_key(root, &request).map(|key| key.key_id)
    };
    let message = Message::Raw(&[7; 32]);
    for (spec, algorithm) in [
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("ML_DSA_65", "ML_DSA_SHAKE_256"),
    ] {
        let key = make(spec, "SIGN_VERIFY")?;
        let signature = engine.sign(root, &key, algorithm, message)?;
        println!("{spec}:");
        report("Sign", 64, root, &|root| engine.sign(root, &key, algorithm, message).is_ok());
        report("Verify", 64, root, &|root| {
            engine.verify(root, &key, algorithm, message, &signature).is_ok()
        });
    }
    let key = make("HMAC_256", "GENERATE_VERIFY_MAC")?;
    report("GenerateMac", 64, root, &|root| {
        engine.generate_mac(root, &key, "HMAC_SHA_256", &[7; 32]).is_ok()
    });
    Ok(())
}

/// Calls from that many threads for a while.
fn report(name: &str, callers: usize, root: &Caller, call: &(dyn Fn(&Caller) -> bool + Sync)) {
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert!(call(root), "{name} is refused");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 calls")]
    let per_second = done.into_inner() as f64 / start.elapsed().as_secs_f64();
    println!("{name:>16}  {callers:>4} callers  {per_second:>9.0} calls/s");
}
