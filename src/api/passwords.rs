//! `password/…`: changing a password that is known, and setting one instead of one that is forgotten.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{self, about};
use super::body;
use super::context::{RequestContext, Services};
use super::refusal::{self, Answer, Refusal, invalid, refuse_throttled, refuse_with};
use super::schema;
use crate::domain::audit::Actor;
use crate::domain::denial::Denial;
use crate::domain::secret::Secret;
use crate::domain::user::Email;
use crate::identity::guess_guard::NotNow;
use crate::identity::password_change::{Faults, OldPasswordFault, PasswordChangeError};
use crate::identity::password_reset::ResetError;

/// Change password
///
/// Takes the present password and a new one.
///
/// The user's other sessions end, and with them their tokens; the one that this is asked in goes on. Links that were mailed for a
/// forgotten password are void. The user is told by mail.
#[utoipa::path(
    post, path = "password/change/", operation_id = "change_password", tag = "Password",
    request_body = schema::passwords::PasswordChange,
    responses((status = 200, description = "The new password counts", body = schema::passwords::PasswordChanged)),
)]
pub async fn change(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read(&headers, bytes).await?;
    let old = fields.password("old_password", services.strips_passwords);
    let new = fields.password("new_password", services.strips_passwords);
    fields.finish().map_err(invalid)?;
    let by = context.initiator(&headers);
    let (Actor::User(user), Some(principal)) = (&by.actor, context.permit.principal()) else {
        return Err(Denial::CredentialKindNotAccepted.into());
    };
    services.password_change.change(user, old, new, &principal.kept(), &by).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "message": "Password changed successfully" })))
}

impl From<PasswordChangeError> for Refusal {
    fn from(error: PasswordChangeError) -> Self {
        match error {
            PasswordChangeError::Faulty(faults) => faulty(&faults).into(),
            PasswordChangeError::Inactive => Denial::UserInactive.into(),
            PasswordChangeError::Blocked(wait) => refuse_throttled(wait).into(),
            PasswordChangeError::Busy => Denial::Busy.into(),
            PasswordChangeError::Store(_) => Denial::Unavailable.into(),
        }
    }
}

fn faulty(Faults { old, new }: &Faults) -> Response<Body> {
    let mut body = Map::new();
    let mut denial = Denial::InvalidFields;
    match old {
        Some(OldPasswordFault::Wrong) => {
            denial = Denial::PasswordWrong;
            body.insert("old_password".to_owned(), json!(["Invalid old password"]));
        }
        Some(OldPasswordFault::Unfit(unfit)) => {
            body.insert("old_password".to_owned(), json!(unfit.sentences()));
        }
        None => {}
    }
    if let Some(unfit) = new {
        body.insert("new_password".to_owned(), json!(unfit.sentences()));
    }
    refuse_with(denial, &Value::Object(body))
}

/// Reset password
///
/// Mails a link to set a new password to whoever has this address.
///
/// The answer is the same for every address, known or not, and so is its time. A link works once and for 30 minutes, and
/// not any more once there is a newer one. To one account at most five are sent in an hour.
#[utoipa::path(
    post, path = "password/reset/", operation_id = "request_password_reset", tag = "Password",
    request_body = schema::passwords::PasswordResetRequest,
    responses((status = 200, description = "Taken", body = schema::passwords::PasswordResetRequested)),
)]
pub async fn request_reset(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read(&headers, bytes).await?;
    let typed = fields.text("email");
    fields.finish().map_err(invalid)?;
    let Ok(email) = Email::parse(&typed) else {
        return Err(invalid(json!({ "email": ["Enter a valid email address."] })));
    };
    services.reset_requests.ask(&email, &context.initiator(&headers)).await?;
    let detail = "If this address belongs to an account, a link to set a new password is sent to it.";
    Ok(answer::json(StatusCode::OK, &json!({ "detail": detail })))
}

impl From<NotNow> for Refusal {
    fn from(why: NotNow) -> Self {
        match why {
            NotNow::Blocked(wait) => refuse_throttled(wait).into(),
            NotNow::Crowded => Denial::Busy.into(),
            NotNow::Store(_) => Denial::Unavailable.into(),
        }
    }
}

/// Confirm password reset
///
/// Takes the token of a mailed link and a new password.
///
/// All sessions of the user end. Nobody is signed in by this, and a second factor is asked for as ever. A password that is
/// refused does not use the link up.
#[utoipa::path(
    post, path = "password/reset/confirm/", operation_id = "confirm_password_reset", tag = "Password",
    request_body = schema::passwords::PasswordResetConfirmation,
    responses((status = 200, description = "The new password counts", body = schema::passwords::PasswordReset)),
)]
pub async fn confirm_reset(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read(&headers, bytes).await?;
    let token = Secret::new(fields.text("token"));
    let password = fields.password("new_password", services.strips_passwords);
    fields.finish().map_err(invalid)?;
    let user = services.password_reset.confirm(token, password, &context.initiator(&headers)).await?;
    let done = answer::json(StatusCode::OK, &json!({ "message": "Password reset successfully" }));
    Ok(about(done, user.as_str()))
}

impl From<ResetError> for Refusal {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Token => token_invalid().into(),
            ResetError::Unfit(unfit) => invalid(json!({ "new_password": unfit.sentences() })),
            ResetError::Blocked(wait) => refuse_throttled(wait).into(),
            ResetError::Busy => Denial::Busy.into(),
            ResetError::Store(_) => Denial::Unavailable.into(),
        }
    }
}

/// Told under the field as well, for whoever shows what is wrong beside it.
fn token_invalid() -> Response<Body> {
    let denial = Denial::ResetTokenInvalid;
    let mut body = refusal::body(denial);
    if let Some(map) = body.as_object_mut() {
        let sentence = map.get("detail").cloned();
        map.insert("token".to_owned(), json!([sentence]));
    }
    refuse_with(denial, &body)
}
