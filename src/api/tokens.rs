//! `token/refresh/`, `token/verify/`, `token/blacklist/`: what refresh tokens and tokens are good for.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::answer::{self, about};
use super::body;
use super::context::{RequestContext, Services};
use super::refusal::{Answer, Refusal, invalid, refuse_token, refuse_with};
use super::schema;
use crate::access::token_check::denial_of;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::identity::sessions::RefreshError;
use crate::identity::token_mint::TokenPair;

/// Token Refresh
///
/// Takes a refresh type JSON web token and returns an access type JSON web
/// token if the refresh token is valid.
#[utoipa::path(
    post, path = "token/refresh/", operation_id = "refresh_token", tag = "Tokens",
    request_body = schema::tokens::RefreshToken,
    responses(
        (status = 200, description = "A new access token", body = schema::tokens::Refreshed),
        (status = 401, description = "The token does not hold", body = schema::refusals::Refusal,
            example = json!({"detail": "Token is expired", "code": "token_not_valid"})),
    ),
)]
pub async fn refresh(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let token = one_text("refresh", &headers, bytes).await?;
    let (user_id, pair) = services.sessions.refresh(token.expose(), &context.initiator(&headers)).await?;
    Ok(about(refreshed(&pair), user_id.as_str()))
}

/// Token Verify
///
/// Takes a token and indicates if it is valid.  This view provides no
/// information about a token's fitness for a particular use.
#[utoipa::path(
    post, path = "token/verify/", operation_id = "verify_token", tag = "Tokens",
    request_body = schema::tokens::AnyToken,
    responses(
        (status = 200, description = "The token holds", body = schema::tokens::Done),
        (status = 401, description = "The token does not hold", body = schema::refusals::Refusal,
            example = json!({"detail": "Token is expired", "code": "token_not_valid"})),
    ),
)]
pub async fn verify(State(services): State<Arc<Services>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let token = one_text("token", &headers, bytes).await?;
    services.sessions.verify(token.expose()).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// Token Blacklist
///
/// Takes a token and blacklists it. Must be used with the
/// `rest_framework_simplejwt.token_blacklist` app installed.
///
/// The words above are those that existing clients know; here nothing needs to be installed. The token's session is over,
/// and a second call is told so.
#[utoipa::path(
    post, path = "token/blacklist/", operation_id = "blacklist_token", tag = "Tokens",
    request_body = schema::tokens::RefreshToken,
    responses(
        (status = 200, description = "The token's session is over", body = schema::tokens::Done),
        (status = 401, description = "The token does not hold, or not any more", body = schema::refusals::Refusal,
            example = json!({"detail": "Token is expired", "code": "token_not_valid"})),
    ),
)]
pub async fn blacklist(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let token = one_text("refresh", &headers, bytes).await?;
    services.sessions.blacklist(token.expose(), &context.initiator(&headers)).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

async fn one_text(name: &str, headers: &HeaderMap, bytes: Bytes) -> Result<Secret<String>, Refusal> {
    let mut fields = body::read(headers, bytes).await?;
    let text = Secret::new(fields.text(name));
    fields.finish().map_err(invalid)?;
    Ok(text)
}

impl From<RefreshError> for Refusal {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Token(fault) => refuse_token(denial_of(fault)).into(),
            RefreshError::Reused(_) => refuse_token(Denial::RefreshReused).into(),
            RefreshError::Inactive => {
                let body =
                    json!({ "detail": "No active account found for the given token.", "code": "no_active_account" });
                refuse_with(Denial::UserInactive, &body).into()
            }
            RefreshError::Store(_) => Denial::Unavailable.into(),
            RefreshError::Signing => Denial::Internal.into(),
        }
    }
}

/// The answer to a sign-in.
pub fn pair_answer(pair: &TokenPair) -> Response<Body> {
    let refresh = pair.refresh.as_ref().map(|token| token.expose().as_str());
    answer::secret_json(StatusCode::OK, &json!({ "refresh": refresh, "access": pair.access.expose() }))
}

fn refreshed(pair: &TokenPair) -> Response<Body> {
    let mut body = json!({ "access": pair.access.expose() });
    if let (Some(refresh), Some(map)) = (&pair.refresh, body.as_object_mut()) {
        map.insert("refresh".to_owned(), json!(refresh.expose()));
    }
    answer::secret_json(StatusCode::OK, &body)
}
