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
        let format =
            query.into_iter().flat_map(|query| form_urlencoded::parse(query.as_bytes())).find(|(k, _)| k == "format");
        if format.is_some_and(|(_, value)| value != name) {
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

/// The indentation that `Accept: application/json; indent=4` asks for.
pub fn indent(headers: &HeaderMap) -> Option<usize> {
    let accept = headers.get(ACCEPT)?.to_str().ok()?;
    let range = accept.split(',').find(|range| range.trim().to_ascii_lowercase().starts_with("application/json"))?;
    let value = range.split(';').find_map(|part| part.trim().strip_prefix("indent="))?;
    value.trim().parse().ok().filter(|spaces| (1..=8).contains(spaces))
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
        assert_eq!(check_accept(None, Some("format=xml")), Err(Denial::NoRoute));
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
