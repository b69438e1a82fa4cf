//! Inputs that are stories: several calls in a row, so that what one leaves behind meets the next.
//!
//! ```text
//! input = step ("\n----\n" step)*        at most 8 steps, the rest is left out
//! step  = "wait SECONDS"                 moves the clock
//!       | "call OPERATION" "\n" rest     as the root user
//!       | "abroad OPERATION" "\n" rest   as the root user, in the other Region
//!       | "alice OPERATION" "\n" rest    as a user with few permissions
//!       | "session OPERATION" "\n" rest  as a session of a role, which ends in an hour
//!       | "stranger OPERATION" "\n" rest as the root user of another account
//!       | "sts ACTION" "\n" rest         the query protocol; only over HTTP
//! ```
//!
//! What `rest` is, each target says. Values that only the engine can make are named: see `fixture`.

use std::borrow::Cow;
use std::time::Duration;

const STEPS_MAX: usize = 8;
const SEPARATOR: &[u8] = b"\n----\n";
/// A century: longer than anything that an engine waits for.
const WAIT_SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// Who makes a call, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    Abroad,
    Alice,
    Session,
    Stranger,
}

impl Who {
    /// The Region that is called.
    pub(crate) const fn region(self) -> &'static str {
        match self {
            Self::Root | Self::Alice | Self::Session | Self::Stranger => "us-east-1",
            Self::Abroad => "eu-west-1",
        }
    }
}

/// One step of a story.
pub(crate) enum Step<'a> {
    Wait(Duration),
    Call { who: Who, operation: Cow<'a, str>, rest: &'a [u8] },
    Sts { action: Cow<'a, str>, rest: &'a [u8] },
}

/// The steps of a story; `None` if the input is none, because a step has no known word at its beginning.
pub(crate) fn steps(text: &[u8]) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = Some(text);
    while let (Some(left), true) = (rest, steps.len() < STEPS_MAX) {
        let end = left.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        let (step, after) = match end {
            Some(end) => (&left[..end], Some(&left[end + SEPARATOR.len()..])),
            None => (left, None),
        };
        steps.push(read(step)?);
        rest = after;
    }
    Some(steps)
}

fn read(step: &[u8]) -> Option<Step<'_>> {
    let end = step.iter().position(|byte| *byte == b'\n').unwrap_or(step.len());
    let (line, rest) = (&step[..end], step.get(end + 1..).unwrap_or_default());
    let after = |word: &[u8]| line.strip_prefix(word).map(String::from_utf8_lossy);
    if let Some(seconds) = after(b"wait ") {
        let seconds = seconds.parse::<u64>().unwrap_or(0).min(WAIT_SECONDS_MAX);
        return Some(Step::Wait(Duration::from_secs(seconds)));
    }
    if let Some(action) = after(b"sts ") {
        return Some(Step::Sts { action, rest });
    }
    let call = |who| move |operation| Step::Call { who, operation, rest };
    let words = [
        (&b"call "[..], Who::Root),
        (b"abroad ", Who::Abroad),
        (b"alice ", Who::Alice),
        (b"session ", Who::Session),
        (b"stranger ", Who::Stranger),
    ];
    words.into_iter().find_map(|(word, who)| after(word).map(call(who)))
}
