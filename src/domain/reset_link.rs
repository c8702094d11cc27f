//! Where a mail about a forgotten password leads.
//!
//! The place is configured as a URL with `{token}` in it, and never taken from a request: a `Host` that somebody else
//! wrote would send the token to them. What stands behind a `#` is the best place for it, because a browser keeps that to
//! itself (RFC 3986 3.5, RFC 9110 10.1.3), while a path is in the logs of every server it reaches, and in the `Referer` of
//! what the page loads.

use http::Uri;

use super::secret::Secret;

const PLACEHOLDER: &str = "{token}";
/// Stands for the token while the URL is looked at.
const SAMPLE: &str = "token";

/// A URL with a place for the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetLink {
    before: String,
    after: String,
    place: Place,
    scheme: Scheme,
}

/// Where in the URL the token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Fragment,
    Path,
}

/// How the page is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    /// Without encryption, on the machine of whoever reads the mail.
    HttpOnLoopback,
    /// Without encryption, over a network.
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResetLink {
    #[error("a reset link is an absolute http or https URL")]
    NotAbsolute,
    #[error("a reset link has `{{token}}` in it, once")]
    NoPlaceholder,
    #[error("the token of a reset link stands behind a `#` or in the path, and nowhere else")]
    Misplaced,
    #[error("a reset link names no user")]
    UserInfo,
}

impl ResetLink {
    pub fn parse(text: &str) -> Result<Self, InvalidResetLink> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        let (before, after) = text.split_once(PLACEHOLDER).ok_or(InvalidResetLink::NoPlaceholder)?;
        if after.contains(PLACEHOLDER) {
            return Err(InvalidResetLink::NoPlaceholder);
        }
        if !before.bytes().chain(after.bytes()).all(plain) {
            return Err(InvalidResetLink::NotAbsolute);
        }
        let sent = format!("{before}{SAMPLE}{after}");
        let sent = sent.split('#').next().unwrap_or_default();
        let uri: Uri = sent.parse().map_err(|_| InvalidResetLink::NotAbsolute)?;
        let authority = uri.authority().ok_or(InvalidResetLink::NotAbsolute)?;
        if authority.as_str().contains('@') {
            return Err(InvalidResetLink::UserInfo);
        }
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") if is_loopback(authority.host()) => Scheme::HttpOnLoopback,
            Some("http") => Scheme::Http,
            _ => return Err(InvalidResetLink::NotAbsolute),
        };
        let in_authority = !before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
        let place = if before.contains('#') { Place::Fragment } else { Place::Path };
        if in_authority || (place == Place::Path && before.contains('?')) {
            return Err(InvalidResetLink::Misplaced);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), place, scheme })
    }

    /// With a token of characters that mean nothing in a URL.
    pub fn with(&self, token: &Secret<String>) -> Secret<String> {
        Secret::new(format!("{}{}{}", self.before, token.expose(), self.after))
    }

    pub const fn place(&self) -> Place {
        self.place
    }

    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_token_goes_where_the_placeholder_is() {
        for (text, link, place, scheme) in [
            (
                "https://app.example.org/reset#token={token}",
                "https://app.example.org/reset#token=abc",
                Place::Fragment,
                Scheme::Https,
            ),
            ("https://a.example#{token}&x", "https://a.example#abc&x", Place::Fragment, Scheme::Https),
            (
                "https://a.example/?lang=en#/reset/{token}",
                "https://a.example/?lang=en#/reset/abc",
                Place::Fragment,
                Scheme::Https,
            ),
            ("https://a.example/r/{token}/", "https://a.example/r/abc/", Place::Path, Scheme::Https),
            ("http://a.example/r/{token}", "http://a.example/r/abc", Place::Path, Scheme::Http),
            ("http://localhost:3000/r#{token}", "http://localhost:3000/r#abc", Place::Fragment, Scheme::HttpOnLoopback),
            ("http://127.0.0.9/r#{token}", "http://127.0.0.9/r#abc", Place::Fragment, Scheme::HttpOnLoopback),
            ("http://[::1]:80/r#{token}", "http://[::1]:80/r#abc", Place::Fragment, Scheme::HttpOnLoopback),
        ] {
            let parsed = ResetLink::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.with(&Secret::new("abc".to_owned())).expose(), link);
            assert_eq!((parsed.place(), parsed.scheme()), (place, scheme), "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for (text, error) in [
            ("https://a.example/reset", InvalidResetLink::NoPlaceholder),
            ("https://a.example/{token}#{token}", InvalidResetLink::NoPlaceholder),
            ("https://a.example/{user}/{token}", InvalidResetLink::NotAbsolute),
            ("/reset#{token}", InvalidResetLink::NotAbsolute),
            ("//a.example/reset#{token}", InvalidResetLink::NotAbsolute),
            ("https:reset#{token}", InvalidResetLink::NotAbsolute),
            ("https:///reset#{token}", InvalidResetLink::NotAbsolute),
            ("javascript://a.example/#{token}", InvalidResetLink::NotAbsolute),
            ("ftp://a.example/#{token}", InvalidResetLink::NotAbsolute),
            ("https://a.example/a b#{token}", InvalidResetLink::NotAbsolute),
            ("https://a.example/\r\n#{token}", InvalidResetLink::NotAbsolute),
            ("https://a.example/\"#{token}", InvalidResetLink::NotAbsolute),
            ("https://bücher.example/#{token}", InvalidResetLink::NotAbsolute),
            ("https://a.example/?token={token}", InvalidResetLink::Misplaced),
            ("https://{token}.a.example/", InvalidResetLink::Misplaced),
            ("https://a.example{token}", InvalidResetLink::Misplaced),
            ("https://anna:secret@a.example/#{token}", InvalidResetLink::UserInfo),
            ("https://a.example@b.example/#{token}", InvalidResetLink::UserInfo),
        ] {
            assert_eq!(ResetLink::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_token_stays_whole(text in r"(https?://)?[a-z@:/?#{}\[\]%. ]{0,12}(\{token\})?[a-z#?/{}]{0,6}") {
            if let Ok(link) = ResetLink::parse(&text) {
                let link = link.with(&Secret::new("abc".to_owned()));
                prop_assert_eq!(link.expose(), &text.replace("{token}", "abc"));
                prop_assert!(link.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
