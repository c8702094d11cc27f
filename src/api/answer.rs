//! Answers: compact JSON with the headers that every one of them carries.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::domain::denial::Denial;

/// Attached to a response that is a refusal, for the access log and the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Refused(pub Denial);

/// Attached to a response, for the access log: whom it was about.
#[derive(Clone, Debug)]
pub struct About(pub String);

/// Says whom an answer is about.
pub fn about(mut response: Response<Body>, user_id: &str) -> Response<Body> {
    response.extensions_mut().insert(About(user_id.to_owned()));
    response
}

pub fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    put_common_headers(response.headers_mut());
    response
}

/// An answer that holds a token or another secret.
pub fn secret_json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = json(status, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What existing clients and scanners expect on every answer.
pub fn put_common_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
