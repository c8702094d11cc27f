//! `lockouts/`: who is kept waiting for too many guesses.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::paging;
use super::refusal::{Answer, invalid};
use super::schema;
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
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Answer {
    let mut fields = paging::query(&uri);
    let limit = paging::limit(&mut fields);
    fields.finish().map_err(invalid)?;
    let lockouts = services.lockouts.list(limit).await.map_err(|_| Denial::Unavailable)?;
    let results: Vec<Value> = lockouts.iter().map(|(subject, lockout)| to_json(subject, lockout)).collect();
    Ok(answer::secret_json(StatusCode::OK, &json!({ "results": results })))
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
) -> Answer {
    let mut fields = body::read_json(&headers, &bytes)?;
    fields.require("subject");
    let subject = fields.filled_line("subject", SUBJECT).and_then(|text| {
        let subject = GuessSubject::parse(&text);
        if subject.is_none() {
            fields.fault("subject", "Name it as the list does.");
        }
        subject
    });
    fields.finish().map_err(invalid)?;
    let subject = subject.ok_or(Denial::InvalidFields)?;
    let who = context.administrator(&headers);
    if let Some(user) = subject.user() {
        match services.users.reach(user, &who, AuditAction::Unlock).await {
            // Of a user who is gone, nothing is worth protecting.
            Ok(_) | Err(UserError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let cleared = services.lockouts.clear(&subject, &who.by).await.map_err(|_| Denial::Unavailable)?;
    Ok(answer::json(StatusCode::OK, &json!({ "cleared": cleared })))
}

fn to_json(subject: &GuessSubject, lockout: &Lockout) -> Value {
    json!({
        "subject": subject.to_string(),
        "user_id": subject.user().map(UserId::as_str),
        "failures": lockout.failures,
        "until": lockout.blocked_until.map(Timestamp::rfc3339),
    })
}
