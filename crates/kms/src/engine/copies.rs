//! The records of one call: the caller's, a copy for every other account whose key it was allowed to use, and those of what it
//! does to a multi-Region key in other Regions.
//!
//! As with AWS, each account's log tells what happened to its own keys. The copies have the caller's `requestID` and all its
//! facts, a common `sharedEventID`, and an `eventID` each. An owner's copy says which account called and which principal of
//! it, by its unique id; who that is, is for the caller's account to know. A call that was denied leaves no copy: it has no
//! resources then, and an owner would only learn of strangers.
//!
//! They lie behind each other in one batch of the ledger, the caller's last, and with it the change of state if there is
//! one: after a crash the log has all of them or none.

use std::collections::BTreeSet;

use keytrail_event::{AccountId, Guid, Record};
use keytrail_ledger::{Append, EntryKind, LedgerError, Pending, Random};

use super::Engine;
use crate::environment::random_bytes;
use crate::facts::Facts;
use crate::names::{KeyArn, ResourceArn};
use crate::{Caller, uses::LastUse};

/// The records of one call, as text.
pub(super) struct Records {
    pub(super) own: String,
    /// Of what KMS does elsewhere because of it.
    pub(super) elsewhere: Vec<String>,
    /// In order of account.
    copies: Vec<OwnersCopy>,
}

struct OwnersCopy {
    account: AccountId,
    event_id: Guid,
    text: String,
}

impl Records {
    /// The texts of a call's record and of its copies.
    pub(super) fn of(own: Record, facts: &Facts, caller: &Caller, random: &dyn Random) -> Self {
        let owners = facts.resources.iter().map(ResourceArn::account);
        let owners = owners.filter(|owner| *owner != caller.account()).collect::<BTreeSet<_>>();
        if owners.is_empty() {
            return Self { own: own.to_json(), elsewhere: Vec::new(), copies: Vec::new() };
        }
        let new_id = || Guid::from_random(random_bytes(random));
        let own = Record { shared_event_id: Some(new_id()), ..own };
        let copy = |account: &AccountId| {
            let event_id = new_id();
            let record = Record {
                user_identity: caller.identity_abroad(),
                recipient_account_id: account.clone(),
                event_id,
                ..own.clone()
            };
            OwnersCopy { account: account.clone(), event_id, text: record.to_json() }
        };
        let copies = owners.into_iter().map(copy).collect();
        Self { own: own.to_json(), elsewhere: Vec::new(), copies }
    }

    /// A key's last use, as its owner finds it: by the event in the owner's log. `of_caller` is the use by the caller's own
    /// record, which lies behind all copies.
    pub(super) fn use_of(&self, key: &KeyArn, of_caller: LastUse) -> LastUse {
        let mut copies = self.copies.iter().rev().zip(1..);
        match copies.find(|(copy, _)| copy.account == *key.account()) {
            Some((copy, before)) => LastUse {
                sequence: of_caller.sequence - before,
                event_id: copy.event_id,
                ..of_caller
            },
            None => of_caller,
        }
    }
}

impl Engine {
    /// Puts the records of a call into the ledger's queue, the change beside the last of them, which is the caller's.
    pub(super) fn enqueue_records(
        &self,
        records: &mut Records,
        state: Vec<u8>,
        time_ns: u64,
    ) -> Result<Pending<'_>, LedgerError> {
        let append = |text: &mut String, state| Append {
            kind: EntryKind::Record,
            time_ns,
            payload: std::mem::take(text).into_bytes(),
            state,
        };
        let copies = records.copies.iter_mut().map(|copy| &mut copy.text);
        let before = records.elsewhere.iter_mut().chain(copies);
        let before = before.map(|text| append(text, Vec::new())).collect();
        self.enqueue_behind(before, append(&mut records.own, state))
    }
}
