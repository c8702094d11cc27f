//! Which Host is one.

use std::net::Ipv6Addr;

const MAX_BYTES: usize = 255;

/// A name of letters, digits, hyphens and dots or an IPv6 address in brackets, and perhaps a port.
pub fn is_host(value: &[u8]) -> bool {
    if value.len() > MAX_BYTES {
        return false;
    }
    if let [b'[', rest @ ..] = value {
        let Some(close) = memchr::memchr(b']', rest) else { return false };
        let (Some(address), Some(tail)) = (rest.get(..close), rest.get(close + 1..)) else { return false };
        let is_address = std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
        return is_address && (tail.is_empty() || tail.strip_prefix(b":").is_some_and(is_port));
    }
    let (name, port) = match memchr::memchr(b':', value) {
        Some(colon) => (value.get(..colon).unwrap_or_default(), value.get(colon + 1..)),
        None => (value, None),
    };
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && port.is_none_or(is_port)
}

fn is_port(digits: &[u8]) -> bool {
    // `u16::from_str` alone would take a sign.
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in
            ["a", "example.org", "EXAMPLE.org:80", "127.0.0.1:65535", "x-1.y", "[::1]", "[::1]:80", "[fe80::1]:1"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        assert!(is_host(&[b'a'; 255]));
        assert!(!is_host(&[b'a'; 256]));
        for bad in [
            "",
            ":",
            ":80",
            "a:",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a_b",
            "a%2eb",
            "a\tb",
            "é",
            "[::1",
            "[]",
            "[::1]80",
            "[::1]:",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "a\0",
            "a?b",
            "a#b",
            "[:::]",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
