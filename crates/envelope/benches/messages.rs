//! How fast a message is written and read: MB/s by suite and frame length.
//!
//! `cargo bench -p keytrail-envelope [-- MEGABYTES]`, 1024 MB if nothing is said. Data comes from memory a piece at a time and
//! goes nowhere, so the figures are those of the format and its cryptography, on one thread. Writing is measured alone; what is
//! read is a message in memory. A measurement, not a test: nothing here fails for being slow.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, or stops")]

use std::io::{Read as _, Write, repeat, sink};
use std::time::{Duration, Instant};

use keytrail_envelope::{
    DataKey, Demands, EncryptOptions, EncryptedDataKey, EncryptionContext, Suite, encrypt, open,
};
use zeroize::Zeroizing;

fn main() {
    let megabytes = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let megabytes: u64 = megabytes.unwrap_or(1024);
    println!("suite   frame length  write MB/s  read MB/s");
    for suite in [Suite::COMMITTED, Suite::COMMITTED_AND_SIGNED] {
        for frame_length in [4096, 65536, 1 << 20] {
            let written = write(suite, frame_length, megabytes, &mut sink());
            let mut message = Vec::new();
            write(suite, frame_length, megabytes, &mut message);
            let start = Instant::now();
            let mut source = message.as_slice();
            let opened = open(&mut source, &Demands::default(), |_, _| Ok::<_, String>(key()));
            let contents = opened.unwrap().write_to(&mut sink()).unwrap();
            assert_eq!(contents.plaintext_bytes, megabytes * 1_000_000);
            let read = rate(megabytes, start.elapsed());
            println!("{suite}  {frame_length:>12}  {:>10}  {read:>9}", rate(megabytes, written));
        }
    }
}

fn write(suite: Suite, frame_length: u32, megabytes: u64, message: &mut dyn Write) -> Duration {
    let options = EncryptOptions {
        suite,
        frame_length,
        ..EncryptOptions::new(EncryptionContext::default(), [1; 32])
    };
    let mut data = repeat(7).take(megabytes * 1_000_000);
    let encrypted = EncryptedDataKey {
        provider: "bench".to_owned(),
        provider_info: Vec::new(),
        ciphertext: vec![7; 32],
    };
    let start = Instant::now();
    let sealed =
        encrypt(&mut data, message, options, |_| Ok::<_, String>((key(), vec![encrypted])));
    let time = start.elapsed();
    sealed.unwrap();
    time
}

fn key() -> DataKey {
    DataKey::new(Zeroizing::new(vec![7; 32]))
}

fn rate(megabytes: u64, time: Duration) -> u128 {
    u128::from(megabytes) * 1_000_000 / time.as_micros().max(1)
}
