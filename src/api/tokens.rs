//! `token/`, `token/refresh/`, `token/verify/`, `token/blacklist/`, `logout/`: signing in, staying so, signing out.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, About};
use super::body::{self, Unreadable};
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::refusal::{self, refuse, refuse_token, refuse_with};
use super::schema;
use crate::access::token_check::denial_of;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::identity::sessions::{Origin, RefreshError, SignInError};
use crate::identity::token_mint::TokenPair;

/// Token Obtain Pair
///
/// Takes a set of user credentials and returns an access and refresh JSON web
/// token pair to prove the authentication of those credentials.
#[utoipa::path(
    post, path = "token/", operation_id = "obtain_token_pair", tag = "Tokens",
    request_body = schema::tokens::Credentials,
    responses(
        (status = 200, description = "A new session", body = schema::tokens::TokenPair),
        (status = 401, description = "Name and password do not fit", body = schema::refusals::Refusal,
            example = json!(refusal::body(Denial::SignInRefused))),
    ),
)]
pub async fn obtain(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut fields = match body::read(&headers, bytes).await {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    let username = fields.text("username");
    let password = Secret::new(fields.text("password"));
    if let Err(faults) = fields.finish() {
        return invalid(&faults);
    }
    let user_agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let origin = Origin {
        address: context.client.to_string(),
        user_agent: user_agent.unwrap_or_default().chars().take(200).collect(),
    };
    match services.sessions.sign_in(&username, password, origin).await {
        Ok((user_id, pair)) => about(pair_answer(&pair), user_id.as_str()),
        Err(SignInError::Refused) => refuse_with(
            Denial::SignInRefused,
            &json!({
                "detail": "No active account found with the given credentials",
                "code": Denial::SignInRefused.code(),
            }),
        ),
        Err(SignInError::Unfit(unfit)) => invalid(&json!({ "password": [unfit.to_string()] })),
        Err(SignInError::Busy) => refuse(Denial::Busy),
        Err(SignInError::Store(_)) => refuse(Denial::Unavailable),
        Err(SignInError::Signing) => refuse(Denial::Internal),
    }
}

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
pub async fn refresh(State(services): State<Arc<Services>>, headers: HeaderMap, bytes: Bytes) -> Response<Body> {
    let token = match one_text("refresh", &headers, bytes).await {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match services.sessions.refresh(token.expose()).await {
        Ok((user_id, pair)) => about(refreshed(&pair), user_id.as_str()),
        Err(error) => refused(error),
    }
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
pub async fn verify(State(services): State<Arc<Services>>, headers: HeaderMap, bytes: Bytes) -> Response<Body> {
    let token = match one_text("token", &headers, bytes).await {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match services.sessions.verify(token.expose()).await {
        Ok(()) => answer::json(StatusCode::OK, &json!({})),
        Err(error) => refused(error),
    }
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
pub async fn blacklist(State(services): State<Arc<Services>>, headers: HeaderMap, bytes: Bytes) -> Response<Body> {
    let token = match one_text("refresh", &headers, bytes).await {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match services.sessions.blacklist(token.expose()).await {
        Ok(()) => answer::json(StatusCode::OK, &json!({})),
        Err(error) => refused(error),
    }
}

/// Logout
///
/// Ends the caller's own session.
#[utoipa::path(
    post, path = "logout/", operation_id = "logout", tag = "Sessions",
    responses((status = 200, description = "The session is over", body = schema::tokens::Done)),
)]
pub async fn logout(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
) -> Response<Body> {
    let session = context.permit.principal().and_then(|principal| principal.session_id.as_ref());
    // A token from before this gateway belongs to no session; it ends by itself.
    if let Some(session) = session
        && services.sessions.sign_out(session).await.is_err()
    {
        return refuse(Denial::Unavailable);
    }
    answer::json(StatusCode::OK, &json!({}))
}

async fn one_text(name: &str, headers: &HeaderMap, bytes: Bytes) -> Result<Secret<String>, Box<Response<Body>>> {
    let mut fields: Fields = body::read(headers, bytes).await.map_err(|Unreadable(response)| response)?;
    let text = Secret::new(fields.text(name));
    fields.finish().map_err(|faults| Box::new(invalid(&faults)))?;
    Ok(text)
}

fn refused(error: RefreshError) -> Response<Body> {
    match error {
        RefreshError::Token(fault) => refuse_token(denial_of(fault)),
        RefreshError::Reused(_) => refuse_token(Denial::RefreshReused),
        RefreshError::Inactive => refuse_with(
            Denial::UserInactive,
            &json!({ "detail": "No active account found for the given token.", "code": "no_active_account" }),
        ),
        RefreshError::Store(_) => refuse(Denial::Unavailable),
        RefreshError::Signing => refuse(Denial::Internal),
    }
}

fn invalid(faults: &Value) -> Response<Body> {
    refuse_with(Denial::InvalidFields, faults)
}

fn pair_answer(pair: &TokenPair) -> Response<Body> {
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

fn about(mut response: Response<Body>, user_id: &str) -> Response<Body> {
    response.extensions_mut().insert(About(user_id.to_owned()));
    response
}
