//! What a request is called: in the log, by the upstream and by the client.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use crate::domain::random::{self, Random};

/// Longer ones of others are not kept.
const LONGEST: usize = 128;
const DIGITS: usize = 32;

/// Kept as the field value that it becomes twice.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// One that somebody else has given, if it is a plain word.
    pub fn given(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let plain = (1..=LONGEST).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
        plain.then(|| Self(value.clone()))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Makes request ids: unique, and no secret.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new(random: &dyn Random) -> Self {
        Self { process: u64::from_be_bytes(random::bytes(random)), next: AtomicU64::new(0) }
    }

    /// 32 hexadecimal digits: which process, and which of its requests.
    pub fn make(&self) -> RequestId {
        let number = u128::from(self.process) << 64 | u128::from(self.next.fetch_add(1, Ordering::Relaxed));
        // Not by the formatting machinery: this is done for every request.
        let digits: [u8; DIGITS] = std::array::from_fn(|at| {
            let digit = u8::try_from((number >> (4 * (DIGITS - 1 - at))) & 15).unwrap_or(0);
            if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
        });
        // Every character of it may stand in a field value.
        RequestId(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Same;
    impl Random for Same {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xa5);
        }
    }

    #[test]
    fn ids_are_made_once_and_foreign_ones_are_plain_words() {
        let ids = RequestIds::new(&Same);
        assert_eq!(ids.make().as_str(), "a5a5a5a5a5a5a5a50000000000000000");
        assert_eq!(ids.make().as_str(), "a5a5a5a5a5a5a5a50000000000000001");
        let given = |text: &[u8]| RequestId::given(&HeaderValue::from_bytes(text).unwrap());
        assert_eq!(given(b"abc-1_2.X").unwrap().as_str(), "abc-1_2.X");
        for odd in [&b""[..], b"a b", b"a\"b", b"\xff", &[b'a'; 129]] {
            assert!(given(odd).is_none());
        }
    }
}
