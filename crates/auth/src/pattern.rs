//! Wildcards of policy elements: `*` is any run of characters, `?` is exactly one.
//!
//! Iterative, with one saved position: linear in practice and `O(pattern × text)` at worst, whatever an attacker writes.

/// Whether `text` matches `pattern` as a whole. Bytes are compared exactly; a `?` stands for one byte, and all names
/// that are matched here (actions, ARNs) are ASCII.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    matches_by(pattern.as_bytes(), text.as_bytes(), |wanted, given| wanted == given)
}

/// As [`matches()`], with ASCII letters of either case alike: actions are case-insensitive, ARNs are not
/// ([IAM grammar](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html)).
pub(crate) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches_by(pattern.as_bytes(), text.as_bytes(), u8::eq_ignore_ascii_case)
}

fn matches_by(pattern: &[u8], text: &[u8], same: impl Fn(&u8, &u8) -> bool) -> bool {
    let (mut at, mut in_text) = (0, 0);
    // Where to go on when the characters after the last `*` turn out not to fit: let it swallow one more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(given) = text.get(in_text) {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, in_text));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || same(wanted, given) => {
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
    pattern[at..].iter().all(|rest| *rest == b'*')
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
