//! Which representation a client accepts. There is JSON, and a page where people read.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::domain::denial::Denial;

/// What an endpoint answers with, as far as it is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// Also where existing clients ask for a page: it comes as JSON.
    Json,
    Page,
    /// Something of its own, whatever is asked for: RFC 9110 12.5.1 allows it.
    Fixed,
}

impl Representation {
    /// By the media types of an endpoint's successes. Where nothing is said there, the refusals are JSON.
    pub fn of(types: &BTreeSet<&str>) -> Self {
        match types.first() {
            Some(&"text/html") => Self::Page,
            Some(&"application/json") | None => Self::Json,
            Some(_) => Self::Fixed,
        }
    }

    /// Before anything else about a request to our own routes is judged, credentials included: `Accept` must allow what
    /// there is, and `?format=` may only ask for it.
    pub fn check(self, headers: &HeaderMap, query: Option<&str>) -> Result<(), Denial> {
        let name = match self {
            Self::Json => "json",
            Self::Page => "html",
            Self::Fixed => return Ok(()),
        };
        let pairs = query.into_iter().flat_map(|query| form_urlencoded::parse(query.as_bytes()));
        // Of several the last one counts, and an empty one asks for nothing.
        let format = pairs.filter(|(key, _)| key == "format").last();
        if format.is_some_and(|(_, value)| !value.is_empty() && value != name) {
            return Err(Denial::NoRoute);
        }
        let mut ranges = headers.get_all(ACCEPT).iter().peekable();
        if ranges.peek().is_none() {
            return Ok(());
        }
        let accepted = ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            match media.as_str() {
                "*/*" | "text/*" | "text/html" => true,
                "application/*" | "application/json" => self == Self::Json,
                _ => false,
            }
        });
        if accepted { Ok(()) } else { Err(Denial::NotAcceptable) }
    }
}

/// The indentation that `Accept: application/json; indent=4` asks for, in spaces.
pub fn indent(headers: &HeaderMap) -> Option<usize> {
    const MOST: usize = 8;
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = accept.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        matches!(media.as_str(), "application/json" | "application/*" | "*/*").then_some(parts)
    });
    let mut parameters = ranges.flatten().filter_map(|part| part.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("indent"))?;
    let spaces: usize = value.trim().trim_matches('"').parse().ok()?;
    (spaces > 0).then_some(spaces.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_accept(value: Option<&str>, query: Option<&str>) -> Result<(), Denial> {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT, value.parse().unwrap());
        }
        Representation::Json.check(&headers, query)
    }

    #[test]
    fn json_pages_and_wildcards_are_acceptable() {
        for value in [
            "application/json",
            "*/*",
            "text/html, application/xhtml+xml;q=0.9",
            "image/png, */*;q=0.1",
            "APPLICATION/JSON;q=1",
        ] {
            assert_eq!(check_accept(Some(value), None), Ok(()), "{value}");
        }
        assert_eq!(check_accept(None, Some("a=1&format=json")), Ok(()));
        for value in ["", "application/xml", "image/*"] {
            assert_eq!(check_accept(Some(value), None), Err(Denial::NotAcceptable), "{value}");
        }
        for query in ["format=xml", "format=json&format=xml", "format=JSON", "format=api"] {
            assert_eq!(check_accept(None, Some(query)), Err(Denial::NoRoute), "{query}");
        }
        for query in ["format=xml&format=json", "format=", "format", "FORMAT=xml", "a=%ff", ""] {
            assert_eq!(check_accept(None, Some(query)), Ok(()), "{query}");
        }
    }

    #[test]
    fn an_answer_is_indented_as_far_as_it_is_asked_for() {
        for (accept, spaces) in [
            ("application/json; indent=4", Some(4)),
            ("APPLICATION/JSON;q=1; INDENT=\"2\"", Some(2)),
            ("text/html, application/json; indent= 3", Some(3)),
            ("application/json, */*; indent=4", Some(4)),
            ("application/json; indent=20", Some(8)),
            ("application/json; indent=0", None),
            ("application/json; indent=-1", None),
            ("application/json; indent=x", None),
            ("application/json", None),
            ("text/html; indent=4", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(indent(&headers), spaces, "{accept}");
        }
    }

    #[test]
    fn a_page_is_no_json_and_what_has_one_form_only_comes_in_it() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, "application/json".parse().unwrap());
        assert_eq!(Representation::Page.check(&headers, None), Err(Denial::NotAcceptable));
        assert_eq!(Representation::Fixed.check(&headers, Some("format=xml")), Ok(()));
        headers.insert(ACCEPT, "text/html;q=0.9, image/png".parse().unwrap());
        assert_eq!(Representation::Page.check(&headers, Some("format=html")), Ok(()));
        assert_eq!(Representation::Page.check(&headers, Some("format=json")), Err(Denial::NoRoute));
        assert_eq!(Representation::of(&BTreeSet::new()), Representation::Json);
        assert_eq!(Representation::of(&["application/jwk-set+json"].into()), Representation::Fixed);
    }
}
