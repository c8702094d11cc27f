//! Names of header fields that no client may set.
//!
//! Backends fold names in their own ways: CGI and WSGI turn `-` into `_`, some servers do the same with dots. So names are
//! compared after folding: letters in lower case, everything that is neither letter nor digit as `-`, and none of those at
//! an end.

use std::collections::HashSet;

use crate::domain::denial::Denial;

/// Identity fields of every preset, whichever is in use: a backend made for another gateway would believe its names.
const IDENTITY: &[&str] = &[
    // Our own.
    "x-auth-user-id",
    "x-auth-username",
    "x-auth-email",
    "x-auth-method",
    "x-auth-scopes",
    "x-auth-key-id",
    "x-auth-amr",
    "x-auth-session-id",
    "x-auth-assertion",
    // oauth2-proxy.
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-access-token",
    "x-auth-request-redirect",
    // Authelia, and Django's RemoteUserMiddleware behind a header.
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "x-remote-user",
    "x-remote-groups",
    "x-remote-email",
    // Kong.
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-credential-username",
    "x-anonymous-consumer",
    "x-authenticated-userid",
    "x-authenticated-groups",
    "x-authenticated-scope",
    "x-authenticated-user",
    // Other gateways and identity-aware proxies.
    "gap-signature",
    "x-webauth-user",
    "x-webauth-email",
    "x-webauth-groups",
    "x-client-cert",
    "ssl-client-cert",
    "x-ssl-client-cert",
    "x-ssl-client-verify",
    "x-ssl-client-s-dn",
];

/// Beginnings that no client's field may have: whole families of forwarding and identity fields.
const FAMILIES: &[&str] = &[
    "x-forwarded",
    "http-x-forwarded",
    "x-auth-request-",
    "x-consumer-",
    "x-envoy-",
    "x-accel-",
    "x-sendfile",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "cf-access-",
    "x-amzn-oidc-",
    "x-ms-client-principal",
    "x-middleware-",
];

/// Fields by which a request claims another address, host, path or method than it has.
const FORWARDING: &[&str] = &[
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-accel-redirect",
    "x-sendfile",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
    "x-proxyuser-ip",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "client-ip",
    "http-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-originating-ip",
    "x-original-remote-addr",
    "remote-addr",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-appengine-user-ip",
    "x-http-host-override",
    "x-http-path-override",
    "x-http-destinationurl",
    "x-override-url",
    "x-real-host",
    "base-url",
    "http-url",
    "request-uri",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    // CGI turns this one into HTTP_PROXY, which many HTTP clients obey.
    "proxy",
    "x-request-id",
];

/// Fields with one right spelling; an alias would be read by some backend as the real one.
const EXACT: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
];

#[derive(Debug)]
pub struct ReservedNames {
    dropped: HashSet<&'static [u8]>,
    exact: HashSet<&'static [u8]>,
}

impl Default for ReservedNames {
    fn default() -> Self {
        let bytes = |names: &[&'static str]| names.iter().map(|name| name.as_bytes()).collect::<HashSet<_>>();
        let mut dropped = bytes(IDENTITY);
        dropped.extend(bytes(FORWARDING));
        Self { dropped, exact: bytes(EXACT) }
    }
}

/// So much of a name is compared; no reserved name is nearly as long, and what is longer can only begin like one.
const LONGEST: usize = 48;

impl ReservedNames {
    /// Whether a field of this name must not be forwarded as it came.
    pub fn reserve(&self, name: &str) -> bool {
        if is_ordinary(name) {
            return false;
        }
        let mut buffer = [0_u8; LONGEST];
        let mut aliased = false;
        for (slot, byte) in buffer.iter_mut().zip(name.bytes()) {
            *slot = match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'-' => byte,
                b'A'..=b'Z' => byte.to_ascii_lowercase(),
                _ => {
                    aliased = true;
                    b'-'
                }
            };
        }
        let mut folded = buffer.get(..name.len()).unwrap_or(&buffer);
        // Punctuation at an end is no part of any name, and dropping it is one more way to fold.
        while let [b'-', rest @ ..] | [rest @ .., b'-'] = folded {
            folded = rest;
            aliased = true;
        }
        // Of a name that is too long the beginning still tells the family.
        FAMILIES.iter().any(|family| folded.starts_with(family.as_bytes()))
            || self.dropped.contains(folded)
            || (aliased && self.exact.contains(folded))
    }

    /// All names that are stripped whatever is configured, for `explain` and the documentation.
    pub fn identity() -> &'static [&'static str] {
        IDENTITY
    }
}

/// The fields that most requests consist of, as the parser writes them: a short cut past the folding.
fn is_ordinary(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "accept"
            | "accept-encoding"
            | "accept-language"
            | "authorization"
            | "cache-control"
            | "connection"
            | "content-length"
            | "content-type"
            | "cookie"
            | "if-modified-since"
            | "if-none-match"
            | "origin"
            | "priority"
            | "referer"
            | "sec-fetch-dest"
            | "sec-fetch-mode"
            | "sec-fetch-site"
            | "transfer-encoding"
            | "user-agent"
            | "x-api-key"
    )
}

/// Methods that no route can list (RFC 9110 9.3.6 and 9.3.8, and TRACE's cousin).
pub fn refuse_method(method: &str) -> Result<(), Denial> {
    if ["CONNECT", "TRACE", "TRACK"].iter().any(|refused| method.eq_ignore_ascii_case(refused)) {
        return Err(Denial::MethodUnsupported);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_reserved_name_is_reserved() {
        let reserved = ReservedNames::default();
        for name in IDENTITY.iter().chain(FORWARDING) {
            assert!(reserved.reserve(name));
            assert!(reserved.reserve(&name.to_uppercase()));
            for alias in ["_", ".", "!", "~", "'"] {
                assert!(reserved.reserve(&name.replace('-', alias)), "{name} with {alias}");
            }
        }
        assert!(reserved.reserve("X-Forwarded-Anything"));
        assert!(reserved.reserve("x_forwarded_for"));
        assert!(reserved.reserve("X-Forwarded"));
        assert!(reserved.reserve("X-Envoy-Internal"));
        assert!(reserved.reserve(&format!("X-Forwarded-{}", "a".repeat(80))));
        assert!(reserved.reserve("Proxy"));
        assert!(!reserved.reserve("Proxy-Status"));
        assert!(!reserved.reserve(&"a".repeat(100)));
    }

    #[test]
    fn exact_names_pass_and_their_aliases_do_not() {
        let reserved = ReservedNames::default();
        for name in ["Authorization", "X-API-Key", "Cookie", "Host", "Content-Length"] {
            assert!(!reserved.reserve(name), "{name}");
        }
        for alias in [
            "X_API_Key",
            "x.api.key",
            "X-API_KEY",
            "Content_Length",
            "Transfer_Encoding",
            "Authorization_",
            "-Host",
            "Cookie--",
        ] {
            assert!(reserved.reserve(alias), "{alias}");
        }
        for name in ["Accept", "X-Custom", "X-Auth-Token", "User-Agent", "X-Forwarde"] {
            assert!(!reserved.reserve(name), "{name}");
        }
    }

    #[test]
    fn tunnels_and_echoes_are_refused_in_any_case() {
        for method in ["CONNECT", "TRACE", "TRACK", "trace"] {
            assert!(refuse_method(method).is_err());
        }
        assert!(refuse_method("GET").is_ok());
    }
}
