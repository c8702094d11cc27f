//! Which representation a client accepts. There is only JSON.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::domain::denial::Denial;

/// Before anything else about a request to our own routes is judged, credentials included: `Accept` must allow JSON (or a
/// page, which comes as JSON), and `?format=` may only ask for it.
pub fn check(headers: &HeaderMap, query: Option<&str>) -> Result<(), Denial> {
    let format =
        query.into_iter().flat_map(|query| form_urlencoded::parse(query.as_bytes())).find(|(k, _)| k == "format");
    if format.is_some_and(|(_, value)| value != "json") {
        return Err(Denial::NoRoute);
    }
    let mut ranges = headers.get_all(ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return Ok(());
    }
    let accepted = ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let media = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(media.as_str(), "*/*" | "application/*" | "application/json" | "text/*" | "text/html")
    });
    if accepted { Ok(()) } else { Err(Denial::NotAcceptable) }
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
        check(&headers, query)
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
}
