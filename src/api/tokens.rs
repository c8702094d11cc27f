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
use super::refusal::{refuse, refuse_token, refuse_with};
use crate::access::token_check::denial_of;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::identity::sessions::{Origin, RefreshError, SignInError};
use crate::identity::token_mint::TokenPair;

/// `POST token/` with `username` and `password`: 200 `{"refresh", "access"}`, 401 when they do not fit, 400 with field errors.
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
        Err(SignInError::Unfit(unfit)) => invalid(&json!({ "password": unfit.sentences() })),
        Err(SignInError::Busy) => refuse(Denial::Busy),
        Err(SignInError::Store(_)) => refuse(Denial::Unavailable),
        Err(SignInError::Signing) => refuse(Denial::Internal),
    }
}

/// `POST token/refresh/` with `refresh`: 200 `{"access"}`, and `"refresh"` where tokens are exchanged at each use.
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

/// `POST token/verify/` with `token`: 200 `{}` for a token of any type that holds.
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

/// `POST token/blacklist/` with `refresh`: 200 `{}`; the token's session is over, and a second call is told so.
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

/// `POST logout/` with an access token: 200 `{}`; the caller's own session is over, and nobody else's.
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
