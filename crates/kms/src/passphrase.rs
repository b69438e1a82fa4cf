//! How a passphrase becomes a root key: Argon2id (RFC 9106), which costs memory and time, so that whoever has the sealed
//! files and guesses pays as much for each guess.
//!
//! ```text
//! root key = Argon2id(passphrase, salt, m KiB of memory, t passes, p lanes, version 0x13), 32 bytes
//! file     = "keytrail-passphrase-1 argon2id m=65536 t=3 p=4 " ‖ salt as 32 hexadecimal digits ‖ "\n"      mode 0600
//! ```
//!
//! The file holds no secret: it says how to stretch, so that the costs can rise later and old directories still open. Whoever
//! changes it gets another key, which opens nothing.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use keytrail_ledger::Random;
use zeroize::{Zeroize, Zeroizing};

use crate::environment::random_bytes;

/// Format mark of the file.
pub(crate) const MARK: &str = "keytrail-passphrase-1 ";

/// Bytes of the salt: what RFC 9106 recommends.
const SALT_LEN: usize = 16;

/// The second recommended option of RFC 9106 §4, for machines that cannot spare the 2 GiB of the first at every start: 64 MiB,
/// three passes, four lanes; about a tenth of a second.
const COSTS: Costs = Costs { memory_kib: 65_536, passes: 3, lanes: 4 };

/// What a file may ask for at most: 4 GiB, and minutes. More is a mistake, or meant to keep us from starting.
const COSTS_MAX: Costs = Costs { memory_kib: 4 << 20, passes: 64, lanes: 64 };

/// A passphrase has at least so many bytes. Stretching makes each guess dear; it does not make four digits many.
pub const PASSPHRASE_BYTES_MIN: usize = 8;

/// How a passphrase is stretched into a root key: costs and salt. No secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretching {
    costs: Costs,
    salt: [u8; SALT_LEN],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Stretching {
    /// With the recommended costs and a fresh salt, for a new passphrase.
    pub fn generate(random: &dyn Random) -> Self {
        Self { costs: COSTS, salt: random_bytes(random) }
    }

    /// What a file says; `None` if it is not exactly what [`fmt::Display`] writes, or asks for too much.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("argon2id ")?.split(' ');
        let mut cost = |name| words.next()?.strip_prefix(name)?.parse::<u32>().ok();
        let costs = Costs { memory_kib: cost("m=")?, passes: cost("t=")?, lanes: cost("p=")? };
        let digits = words.next()?;
        let mut salt = [0; SALT_LEN];
        for (position, byte) in salt.iter_mut().enumerate() {
            let digits = digits.get(position * 2..position * 2 + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        let stretching = Self { costs, salt };
        // One way to write it: no leading zeros, signs, capitals or words behind.
        (costs.are_allowed() && stretching.to_string() == text).then_some(stretching)
    }

    /// The key that this passphrase gives. `None` if the machine cannot: the costs were checked.
    pub(crate) fn stretch(&self, passphrase: &[u8]) -> Option<Box<Zeroizing<[u8; 32]>>> {
        let Costs { memory_kib, passes, lanes } = self.costs;
        let mut key = Box::<Zeroizing<[u8; 32]>>::default();
        let params = Params::new(memory_kib, passes, lanes, Some(key.len())).ok()?;
        // Ours and not the library's, so that we can wipe it: the last block is all it takes to know the key.
        let mut memory = vec![Block::new(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let made = argon2.hash_password_into_with_memory(
            passphrase,
            &self.salt,
            key.as_mut().as_mut(),
            memory.as_mut_slice(),
        );
        memory.iter_mut().for_each(Zeroize::zeroize);
        made.is_ok().then_some(key)
    }

    /// As cheap as Argon2 gets, for tests.
    #[cfg(test)]
    pub(crate) fn cheap(random: &dyn Random) -> Self {
        let costs = Costs { memory_kib: 8, passes: 1, lanes: 1 };
        Self { costs, salt: random_bytes(random) }
    }
}

impl Costs {
    fn are_allowed(self) -> bool {
        let Self { memory_kib, passes, lanes } = self;
        let within = |cost, most| (1..=most).contains(&cost);
        // RFC 9106 §3.1: eight blocks of 1 KiB for each lane at least.
        within(memory_kib, COSTS_MAX.memory_kib)
            && within(passes, COSTS_MAX.passes)
            && within(lanes, COSTS_MAX.lanes)
            && memory_kib >= 8 * lanes
    }
}

impl fmt::Display for Stretching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Costs { memory_kib, passes, lanes } = self.costs;
        write!(f, "argon2id m={memory_kib} t={passes} p={lanes} ")?;
        self.salt.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;

    /// What OpenSSL 3.2 makes of the same passphrase, salt and costs: any other Argon2id gets at the key as well.
    #[test]
    fn stretching_is_argon2id_as_everybody_does_it() {
        let stretching = Stretching { costs: COSTS, salt: *b"somesaltsomesalt" };
        let key = stretching.stretch(b"password").unwrap();
        let halves = key.as_chunks().0.iter().map(|half| u128::from_be_bytes(*half));
        assert!(halves.eq([
            0x81db_97a7_e67a_8917_84a2_599b_c879_f957,
            0xcb35_12d2_7398_4bd9_7d8a_18fc_59ff_01e2
        ]));
    }

    #[test]
    fn another_passphrase_salt_or_cost_gives_another_key() {
        let random = SeededRandom::new(1);
        let stretching = Stretching::cheap(&random);
        let key = stretching.stretch(b"correct horse").unwrap();
        assert_eq!(stretching.stretch(b"correct horse").unwrap(), key);
        let salted = Stretching::cheap(&random);
        let dearer = Stretching { costs: Costs { passes: 2, ..stretching.costs }, ..stretching };
        assert_ne!(dearer.stretch(b"correct horse").unwrap(), key);
        assert_ne!(dearer.stretch(b"correct horsf").unwrap(), key);
        assert_ne!(salted.stretch(b"correct horse").unwrap(), key);
    }

    #[test]
    fn the_text_parses_back_and_nothing_near_it_does() {
        let stretching = Stretching::generate(&SeededRandom::new(2));
        let text = stretching.to_string();
        assert_eq!(Stretching::parse(&text), Some(stretching));
        for end in 0..text.len() {
            assert_eq!(Stretching::parse(&text[..end]), None, "cut at {end}");
        }
        let salt = &text[text.len() - 32..];
        for bad in [
            format!("{text} "),
            format!("{text}00"),
            text.replace("argon2id", "argon2i"),
            text.replace("m=65536", "m=065536"),
            text.replace("m=65536", "m=+65536"),
            text.replace("m=65536", "m=4194305"),
            text.replace("m=65536", "m=31"),
            text.replace("t=3", "t=0"),
            text.replace("t=3", "t=65"),
            text.replace("p=4", "p=0"),
            text.replace("p=4", "p=65"),
            text.replace(salt, &salt.to_uppercase()),
            text.replace(salt, &format!("+1{}", &salt[2..])),
            text.replace(salt, &format!("é{}", &salt[2..])),
        ] {
            assert_eq!(Stretching::parse(&bad), None, "{bad}");
        }
    }
}
