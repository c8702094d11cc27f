//! `/.well-known/jwks.json`: the public keys.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};

use super::answer;
use super::context::Services;
use super::schema;

/// Keys
///
/// The public keys that verify tokens and assertions.
///
/// A JWK Set (RFC 7517 5). May be kept for five minutes: a new key is published for longer than that before it signs.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "keys", tag = "Keys",
    responses((status = 200, description = "The keys", body = schema::keys::JwkSet, content_type = "application/jwk-set+json")),
)]
pub async fn jwks(State(services): State<Arc<Services>>) -> Response<Body> {
    let mut response = answer::json(StatusCode::OK, &services.public_keys.jwk_set());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
