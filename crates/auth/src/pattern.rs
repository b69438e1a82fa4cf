//! Wildcards of policy elements: `*` is any run of characters, `?` is exactly one.
//!
//! Iterative, with one saved position: linear in practice and `O(pattern × text)` at worst, whatever an attacker writes.

/// One element of a pattern that was taken apart, so that text put in for a variable stays literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`
    Run,
    /// `?`
    One,
    /// A byte that must be there.
    Exactly(u8),
}

impl Token {
    /// What a byte of a pattern means.
    pub(crate) const fn of(byte: u8) -> Self {
        match byte {
            b'*' => Self::Run,
            b'?' => Self::One,
            byte => Self::Exactly(byte),
        }
    }
}

/// Whether `text` matches `pattern` as a whole, byte by byte; a `?` stands for one character, however many bytes it has.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let token = |at| pattern.as_bytes().get(at).copied().map(Token::of);
    matches_by(token, text, |wanted, given| wanted == given)
}

/// As [`matches()`], with ASCII letters of either case alike: actions are case-insensitive, ARNs are not
/// ([IAM grammar](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html)).
pub(crate) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    let token = |at| pattern.as_bytes().get(at).copied().map(Token::of);
    matches_by(token, text, |wanted, given| wanted.eq_ignore_ascii_case(&given))
}

/// As [`matches()`], of a pattern that was taken apart.
pub(crate) fn matches_tokens(pattern: &[Token], text: &str) -> bool {
    matches_by(|at| pattern.get(at).copied(), text, |wanted, given| wanted == given)
}

fn matches_by(
    token: impl Fn(usize) -> Option<Token>,
    text: &str,
    same: impl Fn(u8, u8) -> bool,
) -> bool {
    let text = text.as_bytes();
    let (mut at, mut in_text) = (0, 0);
    // Where to go on when the characters after the last `*` turn out not to fit: let it swallow one more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(given) = text.get(in_text).copied() {
        match token(at) {
            Some(Token::Run) => {
                retry = Some((at + 1, in_text));
                at += 1;
            }
            Some(Token::One) if !is_continuation(given) => {
                at += 1;
                in_text += 1;
                while text.get(in_text).copied().is_some_and(is_continuation) {
                    in_text += 1;
                }
            }
            Some(Token::Exactly(wanted)) if same(wanted, given) => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((after_star, swallowed)) = retry else { return false };
                retry = Some((after_star, swallowed + 1));
                (at, in_text) = (after_star, swallowed + 1);
            }
        }
    }
    while token(at) == Some(Token::Run) {
        at += 1;
    }
    token(at).is_none()
}

/// Whether the byte is one inside a character of UTF-8, so that no `?` may begin there.
const fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern, text), expected, "{pattern:?} against {text:?}");
    }

    #[test]
    fn wildcards_match_runs_and_single_characters() {
        check("*", "", true);
        check("*", "anything", true);
        check("", "", true);
        check("", "a", false);
        check("kms:*", "kms:Encrypt", true);
        check("kms:ReEncrypt*", "kms:ReEncryptFrom", true);
        check("kms:ReEncrypt*", "kms:Encrypt", false);
        check("k?s", "kms", true);
        check("k?s", "ks", false);
        check("k?s", "kmms", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyy", false);
        check("*abab", "ababab", true);
        check("**", "x", true);
        check("KMS:*", "kms:Encrypt", false);
    }

    #[test]
    fn a_question_mark_is_one_character_and_not_one_byte() {
        check("?", "å", true);
        check("??", "å", false);
        check("*?", "å", true);
        check("*??", "å", false);
        check("a?c", "a€c", true);
    }

    #[test]
    fn actions_ignore_case() {
        assert!(matches_ignoring_case("KMS:encr?pt", "kms:Encrypt"));
        assert!(!matches_ignoring_case("kms:decrypt", "kms:Encrypt"));
    }

    /// The textbook definition, exponential but obviously right.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), rest) => {
                reference(after, text) || rest.is_some_and(|(_, left)| reference(pattern, left))
            }
            (Some((wanted, after)), Some((given, left))) => {
                (*wanted == b'?' || wanted == given) && reference(after, left)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), reference(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
