//! Whether a shared secret is one that somebody could guess. Nobody can measure entropy from outside; this finds what
//! was typed, copied from documentation or stretched to the wanted length.

/// Parts of the secrets that examples, frameworks and tired people use, without punctuation and case.
const KNOWN_PARTS: [&str; 19] = [
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "256bitsecret",
    "atleast256bits",
    "supersecret",
    "yoursecret",
    "mysecret",
    "topsecret",
    "secretkey",
    "jwtsecret",
    "notsosecret",
    "insecure",
    "placeholder",
    "qwerty",
    "letmein",
    "correcthorse",
];

/// What makes a secret guessable, as a clause that does not quote it.
pub fn weakness(secret: &str) -> Option<&'static str> {
    let bytes = secret.as_bytes();
    let mut distinct: Vec<u8> = bytes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 8 {
        return Some("the secret uses only a few different characters");
    }
    if is_repetition(bytes) {
        return Some("the secret repeats a shorter one");
    }
    if is_sequence(bytes) {
        return Some("the secret is a run of neighbouring characters");
    }
    let folded: String = secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if KNOWN_PARTS.iter().any(|part| folded.contains(part)) || matches!(folded.as_str(), "secret" | "password") {
        return Some("the secret is made of a well-known one");
    }
    None
}

/// Four bits a character instead of eight.
pub fn is_hex(secret: &str) -> bool {
    secret.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_repetition(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| {
        let unit = bytes.iter().cycle().take(bytes.len());
        bytes.iter().skip(period).eq(unit.take(bytes.len() - period))
    })
}

fn is_sequence(bytes: &[u8]) -> bool {
    let neighbours = bytes.iter().zip(bytes.iter().skip(1)).filter(|(one, next)| one.abs_diff(**next) <= 1).count();
    neighbours * 2 > bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessable_secrets_are_found() {
        for secret in [
            "",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababababababab",
            "0123456789abcdef0123456789abcdef",
            "3f8Kq0zP3f8Kq0zP3f8Kq0zP3f8Kq0zP3f8K",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "Change-Me! q0v9m2x7n4b8c1z6l3k5j0h9g8",
            "your-256-bit-secret-your-other-half",
            "a-string-secret-at-least-256-bits-long",
            "django-insecure-q0v9m2x7n4b8c1z6l3k5j0h9g8",
            "my_super_secret_signing_thing_0192837465",
        ] {
            assert!(weakness(secret).is_some(), "{secret}");
        }
    }

    #[test]
    fn random_secrets_pass() {
        for secret in [
            "GqWm3e0ZpHc5ZQ8v0n1uJb2kX7sTyRfA4dLoVhNiEwM",
            "9f2c51b07d3e4a86c0b1f5e2d7a394886e1d0c5b7f2a39e4",
            "z!2k#v(9^x@m1p)q7*w%e4r&t6y=u8i+o0",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }
}
