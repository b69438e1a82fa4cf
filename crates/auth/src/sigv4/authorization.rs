//! The `Authorization` header:
//!
//! ```text
//! AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=host;x-amz-date, Signature=64 hex digits
//! ```
//!
//! The three parameters come in any order, separated by a comma and optional spaces, each once, and no other is allowed.

use super::{ALGORITHM, Unauthenticated};

/// Longest header that is looked at. Real ones have some 300 bytes; the limit bounds the work done for strangers.
const HEADER_BYTES_MAX: usize = 4096;

/// Most names in `SignedHeaders`: with the HTTP edge's limit on headers, it bounds how long a lookup takes.
const SIGNED_HEADERS_MAX: usize = 64;

/// The header's parts. All are what the client says; nothing is verified yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) terminator: &'a str,
    /// In lower case, ascending, none twice.
    pub(super) signed_headers: Vec<&'a str>,
    /// As sent: it is only compared.
    pub(super) signature: &'a str,
}

impl<'a> Authorization<'a> {
    pub(super) fn parse(header: &'a [u8]) -> Result<Self, Unauthenticated> {
        let incomplete = Unauthenticated::Incomplete;
        if header.len() > HEADER_BYTES_MAX {
            return Err(incomplete("Authorization header is longer than 4096 bytes."));
        }
        let text = std::str::from_utf8(header)
            .map_err(|_| incomplete("Authorization header is not readable text."))?;
        let parameters = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256."))?;
        let [credential, signed_headers, signature] = split_parameters(parameters)?;
        let mut scope = credential.split('/');
        let mut next = || scope.next().filter(|part| is_plain(part));
        let (Some(access_key_id), Some(date), Some(region), Some(service), Some(terminator), None) =
            (next(), next(), next(), next(), next(), scope.next())
        else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        let signed_headers = split_names(signed_headers)?;
        Ok(Self { access_key_id, date, region, service, terminator, signed_headers, signature })
    }

    /// Whether the signature covers a header; the name in lower case.
    pub(super) fn signs(&self, header: &str) -> bool {
        self.signed_headers.binary_search(&header).is_ok()
    }
}

/// The values of `Credential`, `SignedHeaders` and `Signature`.
fn split_parameters(text: &str) -> Result<[&str; 3], Unauthenticated> {
    const NAMES: [&str; 3] = ["Credential", "SignedHeaders", "Signature"];
    let mut values = [None; 3];
    for parameter in text.split(',') {
        let known = parameter.trim_matches(' ').split_once('=').and_then(|(name, value)| {
            Some((NAMES.iter().position(|known| *known == name)?, value))
        });
        match known {
            Some((position, value)) if values[position].is_none() => values[position] = Some(value),
            _ => {
                return Err(Unauthenticated::Incomplete(
                    "Authorization header must have 'Credential', 'SignedHeaders' and 'Signature' once each, and \
                     nothing else.",
                ));
            }
        }
    }
    let missing = |text| Unauthenticated::Incomplete(text);
    Ok([
        values[0].ok_or(missing("Authorization header requires 'Credential' parameter."))?,
        values[1].ok_or(missing("Authorization header requires 'SignedHeaders' parameter."))?,
        values[2].ok_or(missing("Authorization header requires 'Signature' parameter."))?,
    ])
}

fn split_names(text: &str) -> Result<Vec<&str>, Unauthenticated> {
    let names: Vec<&str> = text.split(';').take(SIGNED_HEADERS_MAX + 1).collect();
    let is_name = |name: &&str| {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    let ascending = names.windows(2).all(|pair| pair[0] < pair[1]);
    if names.len() > SIGNED_HEADERS_MAX || !ascending || !names.iter().all(is_name) {
        return Err(Unauthenticated::Incomplete(
            "SignedHeaders must be at most 64 header names in lower case, in ascending order, separated by ';'.",
        ));
    }
    Ok(names)
}

/// Key ids, dates, Regions and services consist of nothing else, and a refusal may show them.
fn is_plain(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=128).contains(&part.len()) && part.bytes().all(allowed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request, \
                        SignedHeaders=host;x-amz-date, Signature=abc";

    #[test]
    fn the_parts_are_taken_apart() {
        let parsed = Authorization::parse(GOOD.as_bytes()).unwrap();
        let expected = Authorization {
            access_key_id: "AKIDEXAMPLE",
            date: "20150830",
            region: "us-east-1",
            service: "kms",
            terminator: "aws4_request",
            signed_headers: vec!["host", "x-amz-date"],
            signature: "abc",
        };
        assert_eq!(parsed, expected);
        assert!(parsed.signs("host") && !parsed.signs("x-amz-target"));
    }

    #[test]
    fn order_and_spaces_between_parameters_are_free() {
        let other = "AWS4-HMAC-SHA256 Signature=abc,SignedHeaders=host;x-amz-date,  \
                     Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request";
        assert_eq!(
            Authorization::parse(other.as_bytes()).unwrap(),
            Authorization::parse(GOOD.as_bytes()).unwrap()
        );
    }

    #[test]
    fn everything_else_is_incomplete() {
        let cases = [
            String::new(),
            "Bearer abc".to_owned(),
            "AWS4-HMAC-SHA256".to_owned(),
            "AWS4-HMAC-SHA256 ".to_owned(),
            GOOD.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            GOOD.replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256\t"),
            GOOD.replace(", Signature=abc", ""),
            GOOD.replace("SignedHeaders=host;x-amz-date, ", ""),
            GOOD.replace("Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request, ", ""),
            format!("{GOOD}, Signature=abc"),
            format!("{GOOD}, Extra=abc"),
            format!("{GOOD},"),
            GOOD.replace("/aws4_request", ""),
            GOOD.replace("/aws4_request", "/aws4_request/more"),
            GOOD.replace("/kms/", "//"),
            GOOD.replace("us-east-1", "us east 1"),
            GOOD.replace("us-east-1", "us\u{2028}east"),
            GOOD.replace("host;x-amz-date", ""),
            GOOD.replace("host;x-amz-date", "x-amz-date;host"),
            GOOD.replace("host;x-amz-date", "host;host"),
            GOOD.replace("host;x-amz-date", "host;;x-amz-date"),
            GOOD.replace("host;x-amz-date", "Host;x-amz-date"),
            GOOD.replace("host;x-amz-date", "host;x-amz-date\r\nx: y"),
            GOOD.replace("abc", &"a".repeat(5000)),
        ];
        for header in &cases {
            let refused = Authorization::parse(header.as_bytes());
            assert!(matches!(refused, Err(Unauthenticated::Incomplete(_))), "{header:?}");
        }
        assert!(Authorization::parse(b"AWS4-HMAC-SHA256 \xff").is_err());
        let many: Vec<String> = (0..65).map(|number| format!("h{number:02}")).collect();
        assert!(
            Authorization::parse(GOOD.replace("host;x-amz-date", &many.join(";")).as_bytes())
                .is_err()
        );
    }

    #[test]
    fn no_truncation_is_taken_for_the_whole_until_the_signature_begins() {
        let signature = GOOD.find("Signature=").unwrap() + "Signature=".len();
        for length in 0..signature {
            assert!(Authorization::parse(&GOOD.as_bytes()[..length]).is_err(), "{length}");
        }
    }
}
