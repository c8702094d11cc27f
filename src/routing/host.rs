//! The authority a request names.

use std::fmt;

/// A host name, lower-cased, without port: letters, digits, hyphens and dots, or a bracketed IPv6 literal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Host(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host has a form that is not allowed")]
pub struct BadHost;

impl Host {
    /// Reads the value of a `Host` field (RFC 9110 7.2): `name[:port]`.
    pub fn parse(value: &[u8]) -> Result<Self, BadHost> {
        let text = std::str::from_utf8(value).map_err(|_| BadHost)?;
        if text.is_empty() || text.len() > 255 {
            return Err(BadHost);
        }
        let (name, port) = if text.starts_with('[') {
            let (name, rest) = text.split_once(']').ok_or(BadHost)?;
            let inner = name.strip_prefix('[').ok_or(BadHost)?;
            inner.parse::<std::net::Ipv6Addr>().map_err(|_| BadHost)?;
            (format!("{name}]"), rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(BadHost)?)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
                return Err(BadHost);
            }
            (name.to_owned(), port.unwrap_or(""))
        };
        let port_fits = port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
        if !port_fits || text.ends_with(':') {
            return Err(BadHost);
        }
        // A trailing dot names the same host to DNS, so it must choose the same route.
        Ok(Self(name.trim_end_matches('.').to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Any,
    Exact(String),
    /// `*.example.com`: any name below, at any depth, not the name itself.
    Below(String),
}

impl HostPattern {
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.contains(':') && !text.starts_with('[') {
            return Err(BadHost);
        }
        match text.strip_prefix("*.") {
            Some(parent) => Host::parse(parent.as_bytes()).map(|host| Self::Below(host.0)),
            None => Host::parse(text.as_bytes()).map(|host| Self::Exact(host.0)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_without_port_and_case() {
        let read = |text: &str| Host::parse(text.as_bytes()).map(|host| host.0);
        assert_eq!(read("Example.COM"), Ok("example.com".into()));
        assert_eq!(read("example.com:8080"), Ok("example.com".into()));
        assert_eq!(read("example.com."), Ok("example.com".into()));
        assert_eq!(read("127.0.0.1:80"), Ok("127.0.0.1".into()));
        assert_eq!(read("[::1]:80"), Ok("[::1]".into()));
        assert_eq!(read("[::1]"), Ok("[::1]".into()));
    }

    #[test]
    fn odd_hosts_are_refused() {
        let long = "a".repeat(256);
        for text in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:99999",
            "a b",
            "a,b",
            "user@host",
            "a/b",
            "a_b",
            "[::1",
            "::1",
            "[::1]x",
            "[x]",
            "a\u{0}",
            "a:80:80",
            "é",
            "a?b",
            "a#b",
            "a%41",
            &long,
        ] {
            assert_eq!(Host::parse(text.as_bytes()), Err(BadHost), "{text:?}");
        }
    }
}
