//! `users/{id}/sessions/`, `users/{id}/end-sessions/`: where somebody else is signed in, and ending that.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;

use super::answer;
use super::context::{RequestContext, Services};
use super::object_id::ObjectId;
use super::refusal::Answer;
use super::schema;
use super::sessions::{end_of, list_of};
use crate::domain::audit::AuditAction;
use crate::domain::session::SessionId;
use crate::domain::user::UserId;

/// List sessions of user
///
/// A user's live sessions, the newest first.
#[utoipa::path(
    get, path = "users/{id}/sessions/", operation_id = "list_user_sessions", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "The sessions", body = schema::users::UserSessions),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    let user = services.users.show(&UserId(id)).await?;
    list_of(&services, &user.id, context.initiator(&headers).session_id.as_ref()).await
}

/// End session of user
///
/// Ends one of a user's sessions; its tokens stop working at once.
#[utoipa::path(
    delete, path = "users/{id}/sessions/{session}/", operation_id = "end_user_session", tag = "Users",
    params(
        schema::paths::UserPath,
        ("session" = String, Path, description = "The session's id", example = "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a"),
    ),
    responses(
        (status = 200, description = "The session is over", body = schema::tokens::Done),
        (status = 404, description = "There is no such user, or the user has no such live session",
            body = schema::refusals::Refusal, example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn end(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId((id, session)): ObjectId<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let who = context.administrator(&headers);
    let user = services.users.reach(&UserId(id), &who, AuditAction::SessionEnd).await?;
    end_of(&services, &user.id, &SessionId(session), &who.by).await
}

/// End sessions of user
///
/// Ends all of a user's sessions; their tokens stop working at once.
#[utoipa::path(
    post, path = "users/{id}/end-sessions/", operation_id = "end_user_sessions", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "All sessions are over", body = schema::users::EndedSessions),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn end_all(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    let ended = services.users.end_sessions(&UserId(id), &context.administrator(&headers)).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "ended": ended })))
}
