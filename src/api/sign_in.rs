//! `token/` and `token/challenge/`: signing in, by one factor or two.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::answer::about;
use super::body;
use super::context::{RequestContext, Services};
use super::refusal::{self, Answer, Refusal, invalid, refuse, refuse_throttled, refuse_with};
use super::tokens::pair_answer;
use super::{factor_fields, schema};
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::identity::sign_in::{SignInError, SignedIn, Ticket};

/// Token Obtain Pair
///
/// Takes a set of user credentials and returns an access and refresh JSON web
/// token pair to prove the authentication of those credentials.
///
/// Who has a second factor sends its code as `otp` at once, or answers the `challenge` of the refusal at `token/challenge/`.
#[utoipa::path(
    post, path = "token/", operation_id = "obtain_token_pair", tag = "Tokens",
    request_body = schema::tokens::Credentials,
    responses(
        (status = 200, description = "A new session", body = schema::tokens::TokenPair),
        (status = 401, description = "Name and password do not fit, or a second factor is asked for (`mfa_required`, with \
            a `challenge`), or the code does not fit", body = schema::tokens::SignInRefusal,
            example = json!({"detail": "No active account found with the given credentials", "code": "no_active_account"})),
    ),
)]
pub async fn obtain(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read(&headers, bytes).await?;
    let username = fields.text("username");
    let password = fields.password("password", services.strips_passwords);
    let otp = fields.optional_code("otp", services.code_form);
    fields.finish().map_err(invalid)?;
    let by = context.initiator(&headers);
    Ok(signed_in(services.sign_in.sign_in(&username, password, otp, &by).await?))
}

/// Token Challenge
///
/// Takes the challenge of a sign-in and a second factor, and returns the token pair.
///
/// Give either `otp` or `recovery_code`. A challenge belongs to one sign-in, takes a few attempts, and is gone with the
/// right one.
#[utoipa::path(
    post, path = "token/challenge/", operation_id = "answer_challenge", tag = "Tokens",
    request_body = schema::tokens::ChallengeAnswer,
    responses(
        (status = 200, description = "A new session", body = schema::tokens::TokenPair),
        (status = 401, description = "The challenge or the code does not hold", body = schema::refusals::Refusal,
            example = json!({"detail": "The code is not valid.", "code": "second_factor_invalid"})),
    ),
)]
pub async fn challenge(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read(&headers, bytes).await?;
    let ticket = Secret::new(fields.text("challenge"));
    let shown = factor_fields::required(&mut fields, services.code_form);
    fields.finish().map_err(invalid)?;
    let shown = shown.ok_or(Denial::InvalidFields)?;
    let by = context.initiator(&headers);
    Ok(signed_in(services.sign_in.answer(&ticket, &shown, &by).await?))
}

fn signed_in(outcome: SignedIn) -> Response<Body> {
    match outcome {
        SignedIn::Pair(user_id, pair) => about(pair_answer(&pair), user_id.as_str()),
        SignedIn::Challenged(user_id, ticket) => about(challenged(&ticket), user_id.as_str()),
    }
}

impl From<SignInError> for Refusal {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Denial::SignInRefused.into(),
            SignInError::Unfit(unfit) => invalid(json!({ "password": unfit.sentences() })),
            SignInError::WrongCode(user_id) => about(refuse(Denial::SecondFactorWrong), user_id.as_str()).into(),
            SignInError::ChallengeInvalid => Denial::ChallengeInvalid.into(),
            SignInError::Blocked(wait) => refuse_throttled(wait).into(),
            SignInError::Busy => Denial::Busy.into(),
            SignInError::Store(_) => Denial::Unavailable.into(),
            SignInError::Signing => Denial::Internal.into(),
        }
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
