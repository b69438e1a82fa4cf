//! State changes as they lie in the ledger's frames: sealed, numbered, bound to their record.
//!
//! ```text
//! state = version u8 (1) ‖ salt[16] ‖ AES-256-GCM({"number": N, "change": …}) ‖ tag[16]
//! aad   = origin ‖ "\n" ‖ SHA-256(record)
//! ```
//!
//! Drawn in `schemas/sealed-state.md`. What each part is for: the record's hash keeps a change from standing beside another
//! record; the number, counted from 0 without gaps, keeps one from being left out, doubled or moved; the origin (which has
//! no line feed) keeps the changes of one log out of another under the same store key.

use keytrail_ledger::{Origin, Random};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sealing::Purpose;
use crate::state::Change;
use crate::store_key::StoreKey;

const VERSION: u8 = 1;

#[derive(Serialize)]
struct Numbered<'a> {
    number: u64,
    change: &'a Change,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberedOwned {
    number: u64,
    change: Change,
}

/// Seals the change with this number for the frame of `record`.
pub(super) fn seal(
    store_key: &StoreKey,
    origin: &Origin,
    record: &[u8],
    number: u64,
    change: &Change,
    random: &dyn Random,
) -> Vec<u8> {
    let text =
        serde_json::to_vec(&Numbered { number, change }).expect("a change has string keys only");
    let sealed = store_key.seal(Purpose::Change, &associated_data(origin, record), &text, random);
    [&[VERSION], sealed.as_slice()].concat()
}

/// Opens the change beside `record`; it must have this number. The error is a sentence for the operator.
pub(super) fn open(
    store_key: &StoreKey,
    origin: &Origin,
    record: &[u8],
    number: u64,
    sealed: &[u8],
) -> Result<Change, String> {
    let Some((&VERSION, sealed)) = sealed.split_first() else {
        return Err("it has a version that is not known here".to_owned());
    };
    let text = store_key.open(Purpose::Change, &associated_data(origin, record), sealed).map_err(
        |_| "it does not open with this store key, or is not the one of its record".to_owned(),
    )?;
    // The parser's own text could quote the change, so only its place is told.
    let numbered: NumberedOwned = serde_json::from_slice(&text)
        .map_err(|error| format!("it is not understood at column {}", error.column()))?;
    if numbered.number != number {
        return Err(format!("it is change {}, and change {number} is due", numbered.number));
    }
    Ok(numbered.change)
}

fn associated_data(origin: &Origin, record: &[u8]) -> Vec<u8> {
    [origin.as_str().as_bytes(), b"\n", Sha256::digest(record).as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::names::key_arn_for_tests;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn the_schema_draws_the_same_layout() {
        let drawn = format!(
            "state = version u8 ({VERSION}) ‖ salt[16] ‖ AES-256-GCM({{\"number\": N, \"change\": …}}) ‖ tag[16]\n"
        );
        let aad = "aad   = origin ‖ \"\\n\" ‖ SHA-256(record)\n";
        let (schema, module) =
            (include_str!("../../../../schemas/sealed-state.md"), include_str!("changes.rs"));
        for line in [&*drawn, aad] {
            assert!(schema.contains(line) && module.contains(&format!("//! {line}")), "{line}");
        }
    }

    #[test]
    fn a_change_opens_only_in_its_own_place() {
        let random = SeededRandom::new(1);
        let store_key = StoreKey::for_tests(&random);
        let origin = Config::for_tests().origin;
        let change = Change::KeyEnabled(key_arn_for_tests(1));
        let sealed = seal(&store_key, &origin, b"record", 7, &change, &random);
        assert_eq!(open(&store_key, &origin, b"record", 7, &sealed), Ok(change));
        let other = Origin::new("test.example/other").expect("an origin");
        for (store_key, origin, record, number) in [
            (&store_key, &origin, b"record", 6),
            (&store_key, &origin, b"recorc", 7),
            (&store_key, &other, b"record", 7),
            (&StoreKey::for_tests(&random), &origin, b"record", 7),
        ] {
            assert!(open(store_key, origin, record, number, &sealed).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&store_key, &origin, b"record", 7, &flipped).is_err());
            assert!(open(&store_key, &origin, b"record", 7, &sealed[..bit / 8]).is_err());
        }
    }
}
