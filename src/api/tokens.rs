//! `token/`, `token/refresh/`, `token/verify/`, `token/blacklist/`, `logout/`: signing in, staying so, signing out.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, About};
use super::body::{self, Unreadable};
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::refusal::{self, refuse, refuse_throttled, refuse_token, refuse_with};
use crate::access::token_check::denial_of;
use crate::domain::audit::Actor;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::identity::code_check::Shown;
use crate::identity::sessions::RefreshError;
use crate::identity::sign_in::{SignInError, SignedIn, Ticket};
use crate::identity::token_mint::TokenPair;

/// `POST token/` with `username` and `password`, and `otp` of who has a second factor: 200 `{"refresh", "access"}`, 401 when
/// they do not fit, 401 `mfa_required` with a `challenge` when the password fits and a code is missing, 400 with field
/// errors, 429 after too many attempts.
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
    let otp = fields.optional_text("otp").map(Secret::new);
    if let Err(faults) = fields.finish() {
        return invalid(&faults);
    }
    let by = context.initiator(&headers);
    signed_in(services.sign_in.sign_in(&username, password, otp, &by).await)
}

/// `POST token/challenge/` with `challenge` and either `otp` or `recovery_code`: 200 `{"refresh", "access"}`.
pub async fn challenge(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut fields = match body::read(&headers, bytes).await {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    let ticket = Secret::new(fields.text("challenge"));
    let shown = shown(&mut fields);
    if let Err(faults) = fields.finish() {
        return invalid(&faults);
    }
    let Some(shown) = shown else { return refuse(Denial::InvalidFields) };
    let by = context.initiator(&headers);
    signed_in(services.sign_in.answer(&ticket, &shown, &by).await)
}

/// The one code in a body, of whichever kind. Notes a fault when there is none, or one of each.
pub fn shown(fields: &mut Fields) -> Option<Shown> {
    let otp = fields.optional_text("otp").map(Secret::new);
    let recovery_code = fields.optional_text("recovery_code").map(Secret::new);
    match (otp, recovery_code) {
        (Some(otp), None) => Some(Shown::Otp(otp)),
        (None, Some(code)) => Some(Shown::RecoveryCode(code)),
        (None, None) => {
            fields.fault("otp", "This field is required.");
            None
        }
        (Some(_), Some(_)) => {
            fields.fault("recovery_code", "Give either otp or recovery_code.");
            None
        }
    }
}

fn signed_in(outcome: Result<SignedIn, SignInError>) -> Response<Body> {
    match outcome {
        Ok(SignedIn::Pair(user_id, pair)) => about(pair_answer(&pair), user_id.as_str()),
        Ok(SignedIn::Challenged(user_id, ticket)) => about(challenged(&ticket), user_id.as_str()),
        Err(SignInError::Refused) => refuse(Denial::SignInRefused),
        Err(SignInError::Unfit(unfit)) => invalid(&json!({ "password": [unfit.to_string()] })),
        Err(SignInError::WrongCode(user_id)) => about(refuse(Denial::SecondFactorWrong), user_id.as_str()),
        Err(SignInError::ChallengeInvalid) => refuse(Denial::ChallengeInvalid),
        Err(SignInError::Blocked(wait)) => refuse_throttled(wait),
        Err(SignInError::Busy) => refuse(Denial::Busy),
        Err(SignInError::Store(_)) => refuse(Denial::Unavailable),
        Err(SignInError::Signing) => refuse(Denial::Internal),
    }
}

fn challenged(ticket: &Ticket) -> Response<Body> {
    let denial = Denial::SecondFactorMissing;
    let mut body = refusal::body(denial);
    if let Some(map) = body.as_object_mut() {
        map.insert("challenge".to_owned(), json!(ticket.text.expose()));
        map.insert("expires_in".to_owned(), json!(ticket.lifetime.as_secs()));
    }
    refuse_with(denial, &body)
}

/// `POST token/refresh/` with `refresh`: 200 `{"access"}`, and `"refresh"` where tokens are exchanged at each use.
pub async fn refresh(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let token = match one_text("refresh", &headers, bytes).await {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match services.sessions.refresh(token.expose(), &context.initiator(&headers)).await {
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
pub async fn blacklist(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let token = match one_text("refresh", &headers, bytes).await {
        Ok(token) => token,
        Err(response) => return *response,
    };
    match services.sessions.blacklist(token.expose(), &context.initiator(&headers)).await {
        Ok(()) => answer::json(StatusCode::OK, &json!({})),
        Err(error) => refused(error),
    }
}

/// `POST logout/` with an access token: 200 `{}`; the caller's own session is over, and nobody else's.
pub async fn logout(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> Response<Body> {
    let by = context.initiator(&headers);
    // A token from before this gateway belongs to no session; it ends by itself.
    if let (Some(session), Actor::User(user)) = (&by.session_id, &by.actor)
        && services.sessions.sign_out(user, session, &by).await.is_err()
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
