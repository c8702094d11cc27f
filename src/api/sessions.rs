//! `logout/`, `logout/all/`, `sessions/`: the caller's own sessions, and their end.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::answer;
use super::context::{RequestContext, Services};
use super::refusal::Answer;
use super::schema;
use crate::domain::audit::{Actor, Initiator};
use crate::domain::denial::Denial;
use crate::domain::session::{Session, SessionId};
use crate::domain::user::UserId;

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
    headers: HeaderMap,
) -> Answer {
    let by = context.initiator(&headers);
    // A token from before this gateway belongs to no session; it ends by itself.
    if let (Some(session), Actor::User(user)) = (&by.session_id, &by.actor) {
        services.sessions.sign_out(user, session, &by).await.map_err(|_| Denial::Unavailable)?;
    }
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// Logout everywhere
///
/// Ends all of the caller's sessions, this one too.
#[utoipa::path(
    post, path = "logout/all/", operation_id = "logout_everywhere", tag = "Sessions",
    responses((status = 200, description = "All sessions are over", body = schema::tokens::Done)),
)]
pub async fn logout_everywhere(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> Answer {
    let by = context.initiator(&headers);
    let Actor::User(user) = &by.actor else { return Err(Denial::CredentialKindNotAccepted.into()) };
    services.sessions.sign_out_everywhere(user, &by).await.map_err(|_| Denial::Unavailable)?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// List sessions
///
/// The caller's live sessions, the newest first.
#[utoipa::path(
    get, path = "sessions/", operation_id = "list_sessions", tag = "Sessions",
    responses((status = 200, description = "The sessions", body = schema::sessions::Sessions)),
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> Answer {
    let by = context.initiator(&headers);
    let Actor::User(user) = &by.actor else { return Err(Denial::CredentialKindNotAccepted.into()) };
    list_of(&services, user, by.session_id.as_ref()).await
}

/// End session
///
/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "sessions/{id}/", operation_id = "end_session", tag = "Sessions",
    params(("id" = String, Path, description = "The session's id", example = "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a")),
    responses(
        (status = 200, description = "The session is over", body = schema::tokens::Done),
        (status = 404, description = "The caller has no such live session", body = schema::refusals::Refusal,
            example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn end(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let by = context.initiator(&headers);
    let Actor::User(user) = &by.actor else { return Err(Denial::CredentialKindNotAccepted.into()) };
    end_of(&services, user, &SessionId(id), &by).await
}

/// Whoever asks: the user's live sessions.
pub async fn list_of(services: &Services, user: &UserId, current: Option<&SessionId>) -> Answer {
    let sessions = services.sessions.list(user).await.map_err(|_| Denial::Unavailable)?;
    let results: Vec<Value> = sessions.iter().map(|one| to_json(one, current)).collect();
    Ok(answer::secret_json(StatusCode::OK, &json!({ "results": results })))
}

/// Whoever ends it: one of the user's live sessions.
pub async fn end_of(services: &Services, user: &UserId, session: &SessionId, by: &Initiator) -> Answer {
    match services.sessions.end_one(user, session, by).await {
        Ok(true) => Ok(answer::json(StatusCode::OK, &json!({}))),
        Ok(false) => Err(Denial::ObjectNotFound.into()),
        Err(_) => Err(Denial::Unavailable.into()),
    }
}

/// A session as its owner and administrators see it.
fn to_json(session: &Session, current: Option<&SessionId>) -> Value {
    json!({
        "id": session.id.as_str(),
        "created_at": session.created_at.rfc3339(),
        "last_used_at": session.last_used_at.rfc3339(),
        "expires_at": session.expires_at.rfc3339(),
        "amr": session.amr,
        "address": session.client_address,
        "user_agent": session.user_agent,
        "current": current == Some(&session.id),
    })
}
