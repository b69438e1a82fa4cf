//! Grant tokens: what `CreateGrant` hands out, and calls may bring along.
//!
//! With AWS a token bridges the minutes until a new grant is known everywhere. Here a grant counts from the next call on, so
//! a token opens nothing; it names its grant to `RetireGrant`, and one that is not ours is refused. It is sealed with the
//! store key and kept nowhere, so no ledger, snapshot or record can show one:
//!
//! ```text
//! token = base64(salt[16] ‖ AES-256-GCM(grant id[32] ‖ key ARN) ‖ tag[16])      aad = origin
//! ```
//!
//! Drawn in `schemas/sealed-state.md`. Each token has its own salt, so no two for the same grant are alike, and all stay valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_ledger::{Origin, Random};
use zeroize::Zeroizing;

use crate::error::{ErrorCode, Refusal};
use crate::names::KeyArn;
use crate::sealing::Purpose;
use crate::state::GrantId;
use crate::store_key::StoreKey;

/// A new token for a grant.
pub(crate) fn issue(
    (key, grant): (&KeyArn, GrantId),
    origin: &Origin,
    store_key: &StoreKey,
    random: &dyn Random,
) -> Zeroizing<String> {
    let named = [grant.as_bytes().as_slice(), key.as_str().as_bytes()].concat();
    let sealed = store_key.seal(Purpose::GrantToken, origin.as_str().as_bytes(), &named, random);
    Zeroizing::new(STANDARD.encode(sealed))
}

/// The key and grant that a token is for. `InvalidGrantTokenException` if this engine did not issue it, with no text: what is
/// wrong with it is nobody's business, and its value must not get into a record.
pub(crate) fn open(
    token: &str,
    origin: &Origin,
    store_key: &StoreKey,
) -> Result<(KeyArn, GrantId), Refusal> {
    let invalid = || Refusal::bare(ErrorCode::InvalidGrantTokenException);
    let sealed = STANDARD.decode(token).map_err(|_| invalid())?;
    let named = store_key.open(Purpose::GrantToken, origin.as_str().as_bytes(), &sealed);
    let named = named.map_err(|_| invalid())?;
    let (grant, key) = named.split_first_chunk().ok_or_else(invalid)?;
    let key = std::str::from_utf8(key).ok().and_then(KeyArn::parse).ok_or_else(invalid)?;
    Ok((key, GrantId::from_bytes(*grant)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::names::key_arn_for_tests;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn the_drawing_is_the_documented_one() {
        let drawn = format!(
            "token = base64(salt[{}] ‖ AES-256-GCM(grant id[32] ‖ key ARN) ‖ tag[{}])      aad = origin\n",
            crate::sealing::SALT_LEN,
            crate::sealing::TAG_LEN
        );
        assert!(include_str!("../../../schemas/sealed-state.md").contains(&drawn), "{drawn}");
        assert!(include_str!("grant_token.rs").contains(&format!("//! {drawn}")), "{drawn}");
        let random = SeededRandom::new(5);
        let key = key_arn_for_tests(7);
        let named = (&key, GrantId::from_bytes([9; 32]));
        let origin = Origin::new("test.example/keytrail").unwrap();
        let token = issue(named, &origin, &StoreKey::for_tests(&random), &random);
        assert_eq!(
            STANDARD.decode(token.as_bytes()).unwrap().len(),
            16 + 32 + key.as_str().len() + 16
        );
    }

    #[test]
    fn a_token_names_its_grant_and_nothing_else_passes_for_one() {
        let random = SeededRandom::new(5);
        let store_key = StoreKey::for_tests(&random);
        let origin = Origin::new("test.example/keytrail").unwrap();
        let (key, grant) = (key_arn_for_tests(7), GrantId::from_bytes([9; 32]));
        let issue = || issue((&key, grant), &origin, &store_key, &random);
        let token = issue();
        assert_ne!(token, issue(), "each token is another");
        assert_eq!(open(&token, &origin, &store_key), Ok((key.clone(), grant)));
        assert!(open(&token, &Origin::new("test.example/other").unwrap(), &store_key).is_err());
        assert!(open(&token, &origin, &StoreKey::for_tests(&random)).is_err());
        for position in 0..token.len() {
            assert!(open(&token[..position], &origin, &store_key).is_err());
            let mut changed = token.to_string().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(open(&changed, &origin, &store_key).is_err(), "{position}");
        }
    }
}
