//! Sessions of roles: credentials that end, and the token that is all there is of them.
//!
//! The engine keeps no list of sessions. What a session is, its secret access key included, is sealed in its token, which
//! the client sends with each request; so any number of sessions costs nothing, survives a restart, and is in no ledger,
//! snapshot or record:
//!
//! ```text
//! session token = base64(salt[16] ‖ AES-256-GCM(secret access key[40] ‖ session as JSON) ‖ tag[16])   aad = origin ‖ "\n" ‖ access key id
//! ```
//!
//! Drawn in `schemas/sealed-state.md`. A token opens with the access key that it was made for and with no other. A session
//! ends when its time is over, and when its role is deleted: the role's id is in the token, and looked up at each call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_auth::{
    AccessKey, AccessKeyId, IdentityPolicy, Principal, RoleId, RoleName, SecretAccessKey,
    SessionName, SourceIdentity,
};
use keytrail_event::{AccountId, Timestamp};
use keytrail_ledger::{Origin, Random};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{ErrorCode, Refusal};
use crate::sealing::Purpose;
use crate::state::{Role, State, unix_nanos};
use crate::store_key::StoreKey;
use crate::tags::{Tag, TagKey};

/// Characters of a secret access key.
const SECRET_LEN: usize = 40;
/// The longest token that is looked at. The longest that is issued has about 30,000 characters, for 50 long tags.
const TOKEN_CHARS_MAX: usize = 65_536;

/// What a session is, beside its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) account: AccountId,
    pub(crate) role: RoleName,
    pub(crate) role_id: RoleId,
    pub(crate) name: SessionName,
    #[serde(with = "unix_nanos")]
    pub(crate) issued: Timestamp,
    #[serde(with = "unix_nanos")]
    pub(crate) expires: Timestamp,
    /// Limits what the role may.
    pub(crate) policy: Option<IdentityPolicy>,
    /// Its own, and those that it inherited. They come before the role's.
    pub(crate) tags: Vec<Tag>,
    /// The keys of those tags that the next session of a chain inherits.
    pub(crate) transitive: Vec<TagKey>,
    pub(crate) source_identity: Option<SourceIdentity>,
}

impl Session {
    /// The role that the session was made of, if it is still there.
    pub(crate) fn role<'a>(&self, state: &'a State) -> Option<&'a Role> {
        state.role(&self.account, &self.role).filter(|role| role.id == self.role_id)
    }

    /// Refuses a session whose time is over, or whose role is gone.
    pub(crate) fn check(&self, state: &State, now: Timestamp) -> Result<(), Refusal> {
        if self.role(state).is_none() {
            let text = "The security token included in the request is invalid.";
            return Err(Refusal::new(ErrorCode::UnrecognizedClientException, text));
        }
        if self.has_ended(now) {
            let text = "The security token included in the request is expired";
            return Err(Refusal::new(ErrorCode::ExpiredTokenException, text));
        }
        Ok(())
    }

    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Who calls with it.
    pub(crate) fn principal(&self, role: &Role) -> Principal {
        Principal::AssumedRole {
            account: self.account.clone(),
            path: role.path.clone(),
            role: self.role.clone(),
            session: self.name.clone(),
        }
    }

    /// `principalId` of its records, and `AssumedRoleId`.
    pub(crate) fn principal_id(&self) -> String {
        format!("{}:{}", self.role_id.as_str(), self.name)
    }

    /// The tags that the next session of a chain inherits.
    pub(crate) fn inherited_tags(&self) -> impl Iterator<Item = &Tag> {
        let passes = |tag: &&Tag| {
            self.transitive.iter().any(|key| key.as_str().eq_ignore_ascii_case(&tag.tag_key))
        };
        self.tags.iter().filter(passes)
    }

    /// Seals the session, and the secret of its access key, into a token.
    pub(crate) fn seal(
        &self,
        access_key: &AccessKey,
        origin: &Origin,
        store_key: &StoreKey,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, Refusal> {
        let session = serde_json::to_vec(self).map_err(|_| Refusal::internal())?;
        // Room for all of it from the start: growing would leave a copy of the secret in freed memory.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(SECRET_LEN + session.len()));
        plaintext.extend_from_slice(access_key.secret.expose().as_bytes());
        plaintext.extend_from_slice(&session);
        let aad = aad(origin, &access_key.id);
        let sealed = store_key.seal(Purpose::SessionToken, &aad, &plaintext, random);
        Ok(Zeroizing::new(STANDARD.encode(sealed)))
    }

    /// What [`Self::seal`] made for this access key; `None` of anything else. Which of the many things is wrong with a token
    /// is nobody's business.
    pub(crate) fn open(
        token: &str,
        id: &AccessKeyId,
        origin: &Origin,
        store_key: &StoreKey,
    ) -> Option<(SecretAccessKey, Self)> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let sealed = STANDARD.decode(token).ok()?;
        let plaintext = store_key.open(Purpose::SessionToken, &aad(origin, id), &sealed).ok()?;
        let (secret, session) = plaintext.split_at_checked(SECRET_LEN)?;
        let session = serde_json::from_slice(session).ok()?;
        let mut text = Zeroizing::new(String::with_capacity(SECRET_LEN));
        text.push_str(std::str::from_utf8(secret).ok()?);
        Some((SecretAccessKey::from_sealed(text), session))
    }
}

/// Injective: an origin has no line end.
fn aad(origin: &Origin, id: &AccessKeyId) -> Vec<u8> {
    [origin.as_str().as_bytes(), b"\n", id.as_str().as_bytes()].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;

    fn session() -> Session {
        Session {
            account: "111122223333".parse().unwrap(),
            role: RoleName::parse("app").unwrap(),
            role_id: RoleId::from_random([7; 11]),
            name: SessionName::parse("run1").unwrap(),
            issued: Timestamp::from_unix_seconds(1_000),
            expires: Timestamp::from_unix_seconds(4_600),
            policy: Some(IdentityPolicy::parse(r#"{"Statement": []}"#).unwrap()),
            tags: vec![Tag { tag_key: "Dept".to_owned(), tag_value: "hr".to_owned() }],
            transitive: Vec::new(),
            source_identity: Some(SourceIdentity::parse("ada").unwrap()),
        }
    }

    fn access_key(id: &str) -> AccessKey {
        let secret = SecretAccessKey::from_random(&Zeroizing::new([3; 30]));
        AccessKey { id: id.parse().unwrap(), secret }
    }

    #[test]
    fn the_drawing_is_the_documented_one() {
        let drawn = format!(
            "session token = base64(salt[{}] ‖ AES-256-GCM(secret access key[{SECRET_LEN}] ‖ session as JSON) ‖ tag[{}])   \
             aad = origin ‖ \"\\n\" ‖ access key id\n",
            crate::sealing::SALT_LEN,
            crate::sealing::TAG_LEN
        );
        assert!(include_str!("../../../schemas/sealed-state.md").contains(&drawn), "{drawn}");
        assert!(include_str!("session.rs").contains(&format!("//! {drawn}")), "{drawn}");
    }

    #[test]
    fn a_token_is_the_session_s_and_nothing_else_passes_for_one() {
        let random = SeededRandom::new(5);
        let store_key = StoreKey::for_tests(&random);
        let origin = Origin::new("test.example/keytrail").unwrap();
        let key = access_key("ASIAAAAAAAAAAAAAAAAA");
        let token = session().seal(&key, &origin, &store_key, &random).unwrap();
        let open = |token: &str, id: &AccessKeyId, origin: &Origin, store_key: &StoreKey| {
            Session::open(token, id, origin, store_key)
                .map(|(secret, session)| (secret.expose().to_owned(), session))
        };
        let expected = Some((key.secret.expose().to_owned(), session()));
        assert_eq!(open(&token, &key.id, &origin, &store_key), expected);
        let other = access_key("ASIAAAAAAAAAAAAAAAAB").id;
        assert_eq!(open(&token, &other, &origin, &store_key), None);
        let elsewhere = Origin::new("test.example/other").unwrap();
        assert_eq!(open(&token, &key.id, &elsewhere, &store_key), None);
        assert_eq!(open(&token, &key.id, &origin, &StoreKey::for_tests(&random)), None);
        for position in 0..token.len() {
            assert_eq!(open(&token[..position], &key.id, &origin, &store_key), None);
            let mut changed = token.to_string().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&changed, &key.id, &origin, &store_key), None, "{position}");
        }
        let long = "A".repeat(TOKEN_CHARS_MAX + 4);
        assert_eq!(open(&long, &key.id, &origin, &store_key), None);
    }

    #[test]
    fn a_session_ends_at_its_time() {
        let at = Timestamp::from_unix_seconds;
        assert!(!session().has_ended(at(4_599)));
        assert!(session().has_ended(at(4_600)));
    }

    #[test]
    fn what_is_inherited_is_chosen_by_key_in_either_case() {
        let chosen = |key: &str| Session { transitive: vec![TagKey::new(key)], ..session() };
        assert_eq!(chosen("dept").inherited_tags().count(), 1);
        assert_eq!(chosen("team").inherited_tags().count(), 0);
    }
}
