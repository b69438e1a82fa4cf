//! The layout: how the members of one record stood, in a few printable characters.
//!
//! ```text
//! A(fghijk)BCDEFGHIJ-KMNOQSTXc      the record of a call that answers nothing
//!  └ userIdentity   └ responseElements: null
//! ```
//!
//! A character per member, in the record's order: the column's code; or `-` and a code for `null`;
//! or `?` for the next member of `extra`. A container that is taken apart opens and closes with its
//! own pair of brackets. The record's outer braces are not written. Codes are fixed in
//! [`COLUMNS`] and here, and drawn in `schemas/record-columns.md`.
//!
//! Few layouts exist (dozens in a year of KMS traffic), so the column costs next to nothing.

use crate::columns::{ATTRIBUTES, COLUMNS, ISSUER, Kind, SESSION, USER, same};

/// Before the code of a member whose value is `null`.
pub(crate) const NULL: char = '-';
/// The next member of `extra` stood here.
pub(crate) const EXTRA: char = '?';

/// An object whose members are told apart: the record, or one of the four containers within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Record,
    UserIdentity,
    SessionContext,
    SessionIssuer,
    Attributes,
}

/// A container: where it stands and how a layout brackets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container {
    pub(crate) scope: Scope,
    pub(crate) parent: Scope,
    pub(crate) path: &'static [&'static str],
    pub(crate) open: char,
    pub(crate) close: char,
}

/// The containers within a record, outer before inner.
pub(crate) const CONTAINERS: &[Container] = &[
    Container {
        scope: Scope::UserIdentity,
        parent: Scope::Record,
        path: &[USER],
        open: '(',
        close: ')',
    },
    Container {
        scope: Scope::SessionContext,
        parent: Scope::UserIdentity,
        path: &[USER, SESSION],
        open: '[',
        close: ']',
    },
    Container {
        scope: Scope::SessionIssuer,
        parent: Scope::SessionContext,
        path: &[USER, SESSION, ISSUER],
        open: '<',
        close: '>',
    },
    Container {
        scope: Scope::Attributes,
        parent: Scope::SessionContext,
        path: &[USER, SESSION, ATTRIBUTES],
        open: '{',
        close: '}',
    },
];

impl Scope {
    /// The container that this scope is; none for the record itself.
    pub(crate) fn container(self) -> Option<&'static Container> {
        CONTAINERS.iter().find(|container| container.scope == self)
    }
}

/// A member that the table knows: what its name means within its scope, and its code in a layout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) code: char,
    pub(crate) place: Place,
    /// A bit of its own, to notice a second member of the same name.
    pub(crate) bit: u64,
}

/// Where a member's value goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Into the column with this index.
    Column(usize, Kind),
    /// Into the columns of its own members.
    Container(&'static Container),
}

impl Member {
    /// The member with this name in this scope.
    #[inline]
    pub(crate) fn named(scope: Scope, name: &str) -> Option<&'static Self> {
        let mut slot = slot_of(scope, name);
        while let Some(member) = NAMES[slot].and_then(|index| MEMBERS.get(usize::from(index))) {
            if member.scope == scope && member.name == name {
                return Some(member);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }

    /// The member that usually comes first in a scope.
    #[inline]
    pub(crate) fn usual_first(scope: Scope) -> Option<&'static Self> {
        Self::coded(match scope {
            Scope::Record => b'A',
            Scope::UserIdentity => b'f',
            Scope::SessionContext => b'<',
            Scope::SessionIssuer => b'r',
            Scope::Attributes => b'w',
        })
    }

    /// The member of the same scope that usually follows this one.
    #[inline]
    pub(crate) fn usual_next(&self) -> Option<&'static Self> {
        let index = NEXT.get(self.code as usize).copied().flatten()?;
        MEMBERS.get(usize::from(index))
    }

    /// The member with this code, wherever it stands.
    #[inline]
    pub(crate) fn coded(code: u8) -> Option<&'static Self> {
        let index = CODES.get(usize::from(code)).copied().flatten()?;
        MEMBERS.get(usize::from(index))
    }
}

const MEMBER_COUNT: usize = {
    let mut count = CONTAINERS.len();
    let mut at = 0;
    while at < COLUMNS.len() {
        count += COLUMNS[at].code.is_some() as usize;
        at += 1;
    }
    assert!(count <= 64, "Member::bit has one bit for each");
    count
};

/// The known members: those with a column in the order of [`COLUMNS`], then the containers.
static MEMBERS: [Member; MEMBER_COUNT] = MEMBER_TABLE;

const MEMBER_TABLE: [Member; MEMBER_COUNT] = {
    let nobody = Place::Column(0, Kind::Text);
    let blank = Member { name: "", scope: Scope::Record, code: ' ', place: nobody, bit: 0 };
    let mut members = [blank; MEMBER_COUNT];
    let mut filled = 0;
    let mut at = 0;
    while at < COLUMNS.len() {
        if let (Some(code), [outer @ .., name]) = (COLUMNS[at].code, COLUMNS[at].path) {
            let place = Place::Column(at, COLUMNS[at].kind);
            let scope = scope_of(outer);
            members[filled] = Member { name, scope, code, place, bit: 1 << filled };
            filled += 1;
        }
        at += 1;
    }
    at = 0;
    while at < CONTAINERS.len() {
        let Container { path, parent, open, .. } = CONTAINERS[at];
        if let [.., name] = path {
            let place = Place::Container(&CONTAINERS[at]);
            members[filled] = Member { name, scope: parent, code: open, place, bit: 1 << filled };
            filled += 1;
        }
        at += 1;
    }
    members
};

/// The scope that a path leads to. A path of the table that leads nowhere does not compile.
const fn scope_of(path: &[&str]) -> Scope {
    if path.is_empty() {
        return Scope::Record;
    }
    let mut at = 0;
    while at < CONTAINERS.len() {
        let candidate = CONTAINERS[at].path;
        // The last name decides: no two containers share one, which a test holds.
        if candidate.len() == path.len() && same(candidate[path.len() - 1], path[path.len() - 1]) {
            return CONTAINERS[at].scope;
        }
        at += 1;
    }
    panic!("a column's path leads through no container")
}

/// Members by code.
static CODES: [Option<u8>; 128] = {
    let mut codes = [None; 128];
    let mut at = 0_u8;
    while (at as usize) < MEMBER_COUNT {
        let code = MEMBER_TABLE[at as usize].code as usize;
        assert!(codes[code].is_none(), "two members share a code");
        codes[code] = Some(at);
        at += 1;
    }
    codes
};

/// What usually follows what: chains of codes within one scope, in the order of KMS records by
/// roles. Where two successors are common the second costs a look-up. Only speed depends on this.
const USUAL: &[&str] =
    &["A(BCDEFGJKLMNOPQSTXc", "HIJ", "RS", "UX", "VX", "fghij[l", "k[", "<{", "z{", "rstuv", "wx"];

/// The usual successor of each member, by code.
static NEXT: [Option<u8>; 128] = {
    let mut next = [None; 128];
    let mut chain = 0;
    while chain < USUAL.len() {
        let codes = USUAL[chain].as_bytes();
        let mut at = 1;
        while at < codes.len() {
            next[codes[at - 1] as usize] = CODES[codes[at] as usize];
            at += 1;
        }
        chain += 1;
    }
    next
};

/// Four times the members, so that most names are found at the first look.
const SLOTS: usize = 256;

/// Members by name and scope: open addressing, built when the crate is compiled.
static NAMES: [Option<u8>; SLOTS] = {
    let mut slots = [None; SLOTS];
    let mut at = 0_u8;
    while (at as usize) < MEMBER_COUNT {
        let member = MEMBER_TABLE[at as usize];
        let mut slot = slot_of(member.scope, member.name);
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = Some(at);
        at += 1;
    }
    slots
};

/// Where to look for a name first: its length, its last two letters and its first, its scope,
/// stirred.
#[inline]
const fn slot_of(scope: Scope, name: &str) -> usize {
    let [first, .., before, last] = name.as_bytes() else { return 0 };
    let letters = (*first as u64) << 16 | (*before as u64) << 8 | *last as u64;
    let mixed = letters << 24 ^ (name.len() as u64) << 8 ^ scope as u64;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_found_by_name_and_by_code() {
        for member in &MEMBERS {
            let named = Member::named(member.scope, member.name).map(|found| found.bit);
            let coded = u8::try_from(member.code).ok().and_then(Member::coded);
            assert_eq!(named, Some(member.bit), "{}", member.name);
            assert_eq!(coded.map(|found| found.bit), Some(member.bit), "{}", member.name);
        }
        assert!(Member::named(Scope::Record, "arn").is_none());
        assert!(Member::named(Scope::Record, "").is_none());
        assert!(Member::coded(b'!').is_none());
        assert!(Member::coded(200).is_none());
    }

    #[test]
    fn containers_nest_as_their_paths_say() {
        for (index, container) in CONTAINERS.iter().enumerate() {
            let [outer @ .., name] = container.path else { panic!("a container without a name") };
            assert_eq!(scope_of(outer), container.parent);
            assert!(CONTAINERS[..index].iter().all(|before| before.path.last() != Some(name)));
        }
    }

    #[test]
    fn usual_successors_stand_in_one_scope() {
        for member in &MEMBERS {
            assert!(member.usual_next().is_none_or(|next| next.scope == member.scope));
            let first = Member::usual_first(member.scope).map(|first| first.scope);
            assert_eq!(first, Some(member.scope));
        }
    }

    #[test]
    fn names_are_spread_over_the_slots() {
        let away = MEMBERS.iter().filter(|member| {
            let slot = slot_of(member.scope, member.name);
            let held = NAMES[slot].map(|index| MEMBERS[usize::from(index)].bit);
            held != Some(member.bit)
        });
        assert!(away.count() <= 12, "choose a better multiplier");
    }
}
