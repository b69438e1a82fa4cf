//! Messages of our own: they come back whole, or not at all.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::cell::Cell;
use std::io::{self, Read, Write};

use keytrail_envelope::{
    Contents, DataKey, Demands, ENCRYPTED_DATA_KEYS_MAX, EncryptOptions, EncryptedDataKey,
    EncryptionContext, EnvelopeError, FRAME_BYTES_MAX, Release, Sealed, Suite, encrypt, open,
};
use proptest::prelude::*;
use zeroize::Zeroizing;

const FRAME: u32 = 32;
const SUITES: [Suite; 2] = [Suite::COMMITTED, Suite::COMMITTED_AND_SIGNED];

fn key(byte: u8) -> DataKey {
    DataKey::new(Zeroizing::new(vec![byte; 32]))
}

fn encrypted_key() -> EncryptedDataKey {
    EncryptedDataKey {
        provider: "test".to_owned(),
        provider_info: b"key 7".to_vec(),
        ciphertext: vec![7; 20],
    }
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    EncryptionContext::new(pairs).unwrap()
}

fn options(suite: Suite) -> EncryptOptions {
    EncryptOptions {
        suite,
        frame_length: FRAME,
        ..EncryptOptions::new(context(&[("order", "7")]), [9; 32])
    }
}

fn sealed(plaintext: &[u8], options: EncryptOptions) -> (Vec<u8>, Sealed) {
    let mut message = Vec::new();
    let keys = |_: &EncryptionContext| Ok::<_, String>((key(7), vec![encrypted_key()]));
    let sealed = encrypt(&mut &plaintext[..], &mut message, options, keys).unwrap();
    assert_eq!(sealed.message_bytes, message.len() as u64);
    (message, sealed)
}

fn message(plaintext: &[u8], suite: Suite) -> Vec<u8> {
    sealed(plaintext, options(suite)).0
}

fn open_with(
    message: &[u8],
    demands: &Demands,
    data_key: DataKey,
) -> Result<(Vec<u8>, Contents), EnvelopeError> {
    let mut plaintext = Vec::new();
    let contents = open(&mut &message[..], demands, |_, _| Ok::<_, String>(data_key))?
        .write_to(&mut plaintext)?;
    Ok((plaintext, contents))
}

fn opened(message: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    open_with(message, &Demands::default(), key(7)).map(|(plaintext, _)| plaintext)
}

fn text(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn data_of_every_size_around_the_borders_of_frames_comes_back() {
    for suite in SUITES {
        for length in 0..=3 * FRAME as usize + 1 {
            let plaintext = text(length);
            let (message, sealed) = sealed(&plaintext, options(suite));
            let demands = Demands::default();
            let (found, contents) = open_with(&message, &demands, key(7)).unwrap();
            assert_eq!(found, plaintext, "{suite} {length}");
            let frames = u32::try_from(length).unwrap() / FRAME + 1;
            assert_eq!((sealed.frames, contents.frames), (frames, frames), "{suite} {length}");
            assert_eq!(contents.message_bytes, message.len() as u64);
            assert_eq!(contents.plaintext_bytes, length as u64);
        }
    }
}

#[test]
fn the_key_holder_is_shown_the_context_with_the_public_key_of_the_signature() {
    for suite in SUITES {
        let mut shown = None;
        let mut message = Vec::new();
        encrypt(&mut &b"hello"[..], &mut message, options(suite), |context| {
            shown = Some(context.clone());
            Ok::<_, String>((key(7), vec![encrypted_key()]))
        })
        .unwrap();
        let shown = shown.unwrap();
        assert_eq!(shown.value("order"), Some("7"));
        assert_eq!(shown.value("aws-crypto-public-key").is_some(), suite.is_signed());
        let mut read = message.as_slice();
        let opened = open(&mut read, &Demands::default(), |keys, context| {
            assert_eq!((keys, context), (&[encrypted_key()][..], &shown));
            Ok::<_, String>(key(7))
        })
        .unwrap();
        assert_eq!((opened.suite(), opened.context()), (suite, &shown));
        let at_the_end = opened.release() == Release::AtTheEnd;
        assert_eq!(at_the_end, suite.is_signed());
    }
}

#[test]
fn no_message_that_was_cut_off_opens() {
    for suite in SUITES {
        let whole = message(&text(75), suite);
        for end in 0..whole.len() {
            let error = opened(&whole[..end]).unwrap_err();
            let expected = match error {
                EnvelopeError::NotAMessage { .. } => end < 2,
                EnvelopeError::Truncated { offset, .. } => end >= 2 && offset <= end as u64,
                _ => false,
            };
            assert!(expected, "{suite} cut at {end}: {error}");
        }
    }
}

#[test]
fn no_message_with_a_turned_bit_opens() {
    for suite in SUITES {
        let whole = message(&text(75), suite);
        for bit in 0..whole.len() * 8 {
            let mut turned = whole.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            // ECDSA has a second valid signature (r, n - s), but no single bit leads there.
            assert!(opened(&turned).is_err(), "{suite} bit {bit}");
        }
    }
}

#[test]
fn nothing_may_follow_a_message() {
    for suite in SUITES {
        let whole = message(&text(75), suite);
        let longer = [&whole[..], b"\0"].concat();
        let end = whole.len() as u64;
        assert!(
            matches!(opened(&longer), Err(EnvelopeError::Trailing { offset }) if offset == end)
        );
        assert!(opened(&[&whole[..], &whole].concat()).is_err());
    }
}

#[test]
fn another_data_key_is_told_by_the_commitment() {
    let whole = message(&text(75), Suite::COMMITTED);
    let other = open_with(&whole, &Demands::default(), key(8));
    assert!(matches!(other, Err(EnvelopeError::Commitment)));
    let short = DataKey::new(Zeroizing::new(vec![7; 16]));
    let short = open_with(&whole, &Demands::default(), short);
    assert!(matches!(short, Err(EnvelopeError::DataKeyLength { expected: 32, found: 16, .. })));
}

/// The header is 32 bytes of commitment and 16 of tag longer than what it says; the frames of [`message`] follow it.
fn frames(message: &[u8], plaintext: usize) -> (&[u8], Vec<&[u8]>) {
    let frame = FRAME as usize + 32;
    let last = plaintext % FRAME as usize + 40;
    let (rest, last) = message.split_at(message.len() - last);
    let (header, whole) = rest.split_at(rest.len() - plaintext / FRAME as usize * frame);
    (header, whole.chunks(frame).chain([last]).collect())
}

#[test]
fn frames_cannot_change_places_or_go_missing() {
    let whole = message(&text(75), Suite::COMMITTED);
    let (header, parts) = frames(&whole, 75);
    assert_eq!(parts.len(), 3);
    let check = |order: &[usize]| {
        let body = order.iter().flat_map(|frame| parts[*frame]).copied();
        opened(&header.iter().copied().chain(body).collect::<Vec<_>>())
    };
    assert_eq!(check(&[0, 1, 2]).unwrap(), text(75));
    let order = |order: &[usize], expected, found| {
        let error = check(order).unwrap_err();
        let EnvelopeError::FrameOrder { expected: wanted, found: got, .. } = error else {
            panic!("{order:?}: {error}")
        };
        assert_eq!((wanted, got), (expected, found), "{order:?}");
    };
    order(&[1, 0, 2], 1, 2);
    order(&[0, 0, 1, 2], 2, 1);
    order(&[0, 2], 2, 3);
    order(&[2], 1, 3);
    assert!(matches!(check(&[0, 1]), Err(EnvelopeError::Truncated { .. })), "no final frame");
    assert!(matches!(check(&[0, 1, 2, 2]), Err(EnvelopeError::Trailing { .. })));

    // With their numbers made to fit, it is their tags that say no.
    let mut renumbered = parts.clone();
    let second = [&1_u32.to_be_bytes()[..], &parts[1][4..]].concat();
    renumbered[0] = &second;
    let body = [header, &renumbered.concat()].concat();
    assert!(matches!(opened(&body), Err(EnvelopeError::FrameNotAuthentic { frame: 1, .. })));
}

#[test]
fn a_frame_of_another_message_under_the_same_data_key_does_not_open() {
    let whole = message(&text(75), Suite::COMMITTED);
    let other = EncryptOptions { message_id: [8; 32], ..options(Suite::COMMITTED) };
    let other = sealed(&text(75), other).0;
    let ((header, mut parts), (_, others)) = (frames(&whole, 75), frames(&other, 75));
    parts[1] = others[1];
    let mixed = opened(&[header, &parts.concat()].concat());
    assert!(matches!(mixed, Err(EnvelopeError::FrameNotAuthentic { frame: 2, .. })));
}

#[test]
fn a_signature_cannot_be_taken_off() {
    let mut whole = message(&text(75), Suite::COMMITTED_AND_SIGNED);
    whole[1] = 0x04; // 0x0478
    assert!(matches!(opened(&whole), Err(EnvelopeError::Malformed { .. })));
    let mut unsigned = message(&text(75), Suite::COMMITTED);
    unsigned[1] = 0x05;
    assert!(matches!(opened(&unsigned), Err(EnvelopeError::Malformed { .. })));
}

#[test]
fn a_signature_of_somebody_else_is_refused_after_all_frames_were_good() {
    let [one, other] = [(); 2].map(|()| message(&text(75), Suite::COMMITTED_AND_SIGNED));
    // Everything but the footer of the one, and the footer of the other.
    let footer = |message: &[u8]| {
        // Two bytes of length, and up to 104 of DER: less if a number happens to be small.
        let at = (message.len() - 106..=message.len() - 96).find(|at| {
            let length = u16::from_be_bytes([message[*at], message[at + 1]]);
            usize::from(length) == message.len() - at - 2 && message[at + 2] == 0x30
        });
        at.unwrap()
    };
    let (at, other_at) = (footer(&one), footer(&other));
    let forged = [&one[..at], &other[other_at..]].concat();
    let error = opened(&forged).unwrap_err();
    assert!(matches!(error, EnvelopeError::Signature { offset } if offset == at as u64), "{error}");
}

#[test]
fn a_demanded_context_must_be_there_before_a_key_is_asked_for() {
    let whole = message(b"hello", Suite::COMMITTED);
    let demand = |key: &str, value: &str| Demands {
        context: vec![(key.to_owned(), value.to_owned())],
        ..Demands::default()
    };
    assert!(open_with(&whole, &demand("order", "7"), key(7)).is_ok());
    for demands in [demand("order", "8"), demand("Order", "7"), demand("customer", "7")] {
        let mut read = whole.as_slice();
        let refused =
            open(&mut read, &demands, |_, _| -> Result<_, String> { panic!("asked for a key") });
        assert!(matches!(refused, Err(EnvelopeError::ContextMissing { .. })), "{demands:?}");
    }
}

#[test]
fn what_is_no_message_is_told_from_a_broken_one() {
    for (bytes, hint) in [
        (&b""[..], "shorter"),
        (b"\x02", "shorter"),
        (b"hello, world", "AWS Encryption SDK"),
        (b"AgV4AAAA", "base64"),
        (b"AYADeAAA", "base64"),
    ] {
        let error = opened(bytes).unwrap_err();
        assert!(matches!(error, EnvelopeError::NotAMessage { .. }), "{bytes:?}: {error}");
        assert!(error.to_string().contains(hint), "{bytes:?}: {error}");
    }
    let unknown = opened(b"\x02\x05\x79");
    assert!(matches!(unknown, Err(EnvelopeError::UnknownSuite { id: 0x0579 })));
    let mixed = opened(b"\x01\x80\x05\x78");
    assert!(matches!(mixed, Err(EnvelopeError::Malformed { .. })));
}

/// A reader that remembers the largest piece that it was asked for.
struct Watched<'a> {
    bytes: &'a [u8],
    largest: &'a Cell<usize>,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.largest.set(self.largest.get().max(out.len()));
        self.bytes.read(out)
    }
}

#[test]
fn memory_is_not_taken_by_a_length_that_was_only_announced() {
    // A genuine header that announces the longest frames, and nothing behind it.
    let options = EncryptOptions { frame_length: FRAME_BYTES_MAX, ..options(Suite::COMMITTED) };
    let header = frames(&sealed(&[], options).0, 0).0.to_vec();
    let message = [&header[..], &1_u32.to_be_bytes(), &vec![0; 100_000]].concat();
    let largest = Cell::new(0);
    let mut watched = Watched { bytes: &message, largest: &largest };
    let error = open(&mut watched, &Demands::default(), |_, _| Ok::<_, String>(key(7)))
        .unwrap()
        .write_to(&mut Vec::new())
        .unwrap_err();
    assert!(matches!(error, EnvelopeError::Truncated { part: "a frame", .. }), "{error}");
    assert!(largest.get() <= 1 << 16, "{}", largest.get());

    // Above the limit it is refused before a key is asked for. The field stands before commitment and tag.
    let mut longer = header;
    let at = longer.len() - 52;
    longer[at..at + 4].copy_from_slice(&(FRAME_BYTES_MAX + 1).to_be_bytes());
    assert!(matches!(opened(&longer), Err(EnvelopeError::TooLarge { what: "a frame", .. })));
}

#[test]
fn a_message_with_more_data_keys_than_the_limit_is_neither_written_nor_read() {
    let write = |count| {
        let mut message = Vec::new();
        encrypt(&mut &b"hello"[..], &mut message, options(Suite::COMMITTED), |_| {
            Ok::<_, String>((key(7), vec![encrypted_key(); count]))
        })
        .map(|_| message)
    };
    let message = write(ENCRYPTED_DATA_KEYS_MAX).unwrap();
    assert_eq!(opened(&message).unwrap(), b"hello");
    for count in [0, ENCRYPTED_DATA_KEYS_MAX + 1] {
        assert!(matches!(write(count), Err(EnvelopeError::EncryptedDataKeys { .. })));
        let mut message = message.clone();
        let at = message.windows(4).position(|bytes| bytes == b"\x01\x00\x00\x04").unwrap();
        message[at..at + 2].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
        let malformed = opened(&message);
        assert!(matches!(malformed, Err(EnvelopeError::Malformed { .. })), "{count}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_a_key_is_asked_for() {
    let refused = |options: EncryptOptions| {
        encrypt(&mut &b""[..], &mut Vec::new(), options, |_| -> Result<_, String> {
            panic!("asked for a key")
        })
        .unwrap_err()
    };
    for frame_length in [0, FRAME_BYTES_MAX + 1] {
        let options = EncryptOptions { frame_length, ..options(Suite::COMMITTED) };
        assert!(matches!(refused(options), EnvelopeError::FrameLength { .. }));
    }
    // Within the limit without the public key, and above it with it.
    let full = context(&[("k", &"v".repeat(65_500))]);
    let signed = EncryptOptions::new(full.clone(), [9; 32]);
    assert!(matches!(refused(signed), EnvelopeError::ContextTooLong));
    let unsigned = EncryptOptions { context: full, ..options(Suite::COMMITTED) };
    let (message, _) = sealed(b"hello", unsigned);
    assert_eq!(opened(&message).unwrap(), b"hello");
}

#[test]
fn a_key_holder_that_says_no_is_quoted() {
    let no = |_: &EncryptionContext| Err::<(DataKey, Vec<EncryptedDataKey>), _>("access denied");
    let error = encrypt(&mut &b""[..], &mut Vec::new(), options(Suite::COMMITTED), no);
    let Err(EnvelopeError::DataKey(said)) = error else { panic!("{error:?}") };
    assert_eq!(said.to_string(), "access denied");
    let whole = message(b"hello", Suite::COMMITTED);
    let mut read = whole.as_slice();
    let error = open(&mut read, &Demands::default(), |_, _| Err("access denied"));
    assert!(matches!(error, Err(EnvelopeError::DataKey(_))));
}

/// Data that comes one or two bytes at a time, and how much of it came.
struct Dripping<'a> {
    left: usize,
    given: &'a Cell<usize>,
}

impl Read for Dripping<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(1 + self.left % 2).min(self.left);
        out[..length].fill(0);
        self.left -= length;
        self.given.set(self.given.get() + length);
        Ok(length)
    }
}

/// A sink that compares, at each write, how much went in with how much came out.
struct Prompt<'a> {
    taken: usize,
    given: &'a Cell<usize>,
    behind: usize,
}

impl Write for Prompt<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.behind = self.behind.max(self.given.get().saturating_sub(self.taken));
        self.taken += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn data_is_passed_on_frame_by_frame() {
    let given = Cell::new(0);
    let mut sink = Prompt { taken: 0, given: &given, behind: 0 };
    let mut data = Dripping { left: 10_001, given: &given };
    let sealed = encrypt(&mut data, &mut sink, options(Suite::COMMITTED_AND_SIGNED), |_| {
        Ok::<_, String>((key(7), vec![encrypted_key()]))
    })
    .unwrap();
    assert_eq!(sealed.plaintext_bytes, given.get() as u64);
    assert!(sink.behind <= FRAME as usize + 2, "{} bytes held back", sink.behind);
}

/// Fails after so many bytes.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::Error::other("disk full")) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.write(out)
    }
}

#[test]
fn a_device_that_fails_is_told_from_a_message_that_is_cut_off() {
    let keys = |_: &EncryptionContext| Ok::<_, String>((key(7), vec![encrypted_key()]));
    for bytes in [0, 100, 200, 300] {
        let options = options(Suite::COMMITTED);
        let failed = encrypt(&mut &text(200)[..], &mut Failing(bytes), options.clone(), keys);
        assert!(matches!(failed, Err(EnvelopeError::Write { .. })), "{bytes}");
        let failed = encrypt(&mut Failing(bytes), &mut Vec::new(), options, keys);
        let at = bytes as u64;
        assert!(matches!(failed, Err(EnvelopeError::Read { offset, .. }) if offset == at));
    }
    let whole = message(&text(75), Suite::COMMITTED);
    let mut broken = whole[..100].chain(Failing(0));
    let failed = open(&mut broken, &Demands::default(), |_, _| Ok::<_, String>(key(7)));
    assert!(matches!(failed, Err(EnvelopeError::Read { .. })));
    let mut read = whole.as_slice();
    let opened = open(&mut read, &Demands::default(), |_, _| Ok::<_, String>(key(7))).unwrap();
    assert!(matches!(opened.write_to(&mut Failing(40)), Err(EnvelopeError::Write { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_message_comes_back(
        plaintext in prop::collection::vec(any::<u8>(), 0..300),
        frame_length in 1_u32..100,
        pairs in prop::collection::btree_map("[a-z]{1,5}", ".{0,8}", 0..4),
        message_id in any::<[u8; 32]>(),
        signed in any::<bool>(),
    ) {
        let suite = SUITES[usize::from(signed)];
        let context = EncryptionContext::new(pairs).unwrap();
        let options = EncryptOptions { suite, context, frame_length, message_id };
        let (message, _) = sealed(&plaintext, options);
        prop_assert_eq!(opened(&message).unwrap(), plaintext);
    }

    #[test]
    fn foreign_bytes_never_panic_and_never_open(
        start in prop::sample::select(vec![
            &b""[..], b"\x02\x05\x78", b"\x02\x04\x78", b"\x01\x80\x03\x78", b"\x01\x80\x00\x14",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert!(opened(&[start, &bytes].concat()).is_err());
    }

    #[test]
    fn no_piece_of_a_message_can_be_replaced(
        at in 0_usize..400,
        piece in prop::collection::vec(any::<u8>(), 1..40),
        signed in any::<bool>(),
    ) {
        let whole = message(&text(75), SUITES[usize::from(signed)]);
        let at = at % whole.len();
        let mut changed = whole.clone();
        for (byte, new) in changed.iter_mut().skip(at).zip(&piece) {
            *byte = *new;
        }
        prop_assert!(changed == whole || opened(&changed).is_err());
    }
}
