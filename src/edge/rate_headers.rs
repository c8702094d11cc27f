//! What a client is told of its limits.
//!
//! `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` are those of draft-ietf-httpapi-ratelimit-headers-06, as
//! plain numbers: what clients read. Later drafts put the same into two structured fields, and are drafts still.

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::ResponseHeader;

use crate::api::refusal::whole_secs;
use crate::domain::rate_limit::Allowance;

fn fields(allowance: &Allowance) -> [(&'static str, HeaderValue); 3] {
    [
        ("RateLimit-Limit", HeaderValue::from(allowance.limit)),
        ("RateLimit-Remaining", HeaderValue::from(allowance.remaining)),
        ("RateLimit-Reset", HeaderValue::from(whole_secs(allowance.reset))),
    ]
}

/// Into an answer of an upstream. What that says of limits of its own is replaced: the client is nearer to these, and would
/// not know which is which.
pub fn put_into_proxied(allowance: &Allowance, response: &mut ResponseHeader) -> Result<()> {
    for (name, value) in fields(allowance) {
        response.insert_header(name, value)?;
    }
    Ok(())
}

/// Into an answer of our own.
pub fn put_into_own(allowance: &Allowance, headers: &mut HeaderMap) {
    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
    ];
    for (name, (_, value)) in NAMES.into_iter().zip(fields(allowance)) {
        headers.insert(name, value);
    }
}
