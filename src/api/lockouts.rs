//! `lockouts/`: who is kept waiting for too many guesses.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::body::{self, Unreadable};
use super::context::{RequestContext, Services};
use super::paging;
use super::refusal::{refuse, refuse_with};
use super::schema;
use super::users::refused;
use crate::domain::audit::AuditAction;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::Lockout;
use crate::domain::user::UserId;
use crate::identity::users::UserError;

/// Longest name of a subject, in characters.
const SUBJECT: usize = 300;

/// List lockouts
///
/// Users and networks whose next guess at a password or code has to wait, the longest wait first.
#[utoipa::path(
    get, path = "lockouts/", operation_id = "list_lockouts", tag = "Users",
    params(
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "How many; 50 if not said", example = 50),
    ),
    responses((status = 200, description = "Who is kept waiting", body = schema::lockouts::Lockouts)),
)]
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Response<Body> {
    let mut fields = paging::query(&uri);
    let limit = paging::limit(&mut fields);
    if let Err(faults) = fields.finish() {
        return refuse_with(Denial::InvalidFields, &faults);
    }
    match services.lockouts.list(limit).await {
        Ok(lockouts) => {
            let results: Vec<Value> = lockouts.iter().map(|(subject, lockout)| to_json(subject, lockout)).collect();
            answer::secret_json(StatusCode::OK, &json!({ "results": results }))
        }
        Err(_) => refuse(Denial::Unavailable),
    }
}

/// Clear lockout
///
/// Forgets what was counted against one user or network, as the list names it.
#[utoipa::path(
    post, path = "lockouts/clear/", operation_id = "clear_lockout", tag = "Users",
    request_body = schema::lockouts::LockoutSubject,
    responses((status = 200, description = "Nothing is counted any more", body = schema::lockouts::Cleared)),
)]
pub async fn clear(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut fields = match body::read_json(&headers, &bytes) {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    fields.require("subject");
    let subject = fields.filled_line("subject", SUBJECT).and_then(|text| {
        let subject = GuessSubject::parse(&text);
        if subject.is_none() {
            fields.fault("subject", "Name it as the list does.");
        }
        subject
    });
    if let Err(faults) = fields.finish() {
        return refuse_with(Denial::InvalidFields, &faults);
    }
    let Some(subject) = subject else { return refuse(Denial::InvalidFields) };
    let who = context.administrator(&headers);
    if let Some(user) = subject.user() {
        match services.users.reach(user, &who, AuditAction::Unlock).await {
            // Of a user who is gone, nothing is worth protecting.
            Ok(_) | Err(UserError::Unknown(_)) => {}
            Err(error) => return refused(error),
        }
    }
    match services.lockouts.clear(&subject, &who.by).await {
        Ok(cleared) => answer::json(StatusCode::OK, &json!({ "cleared": cleared })),
        Err(_) => refuse(Denial::Unavailable),
    }
}

fn to_json(subject: &GuessSubject, lockout: &Lockout) -> Value {
    json!({
        "subject": subject.to_string(),
        "user_id": subject.user().map(UserId::as_str),
        "failures": lockout.failures,
        "until": lockout.blocked_until.map(Timestamp::rfc3339),
    })
}
