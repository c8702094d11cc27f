//! `users/{id}/disable/` and the like: what an administrator does to a user's account, beside changing it.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::object_id::ObjectId;
use super::refusal::{Answer, invalid};
use super::schema;
use super::users::to_json;
use crate::domain::audit::AuditAction;
use crate::domain::denial::Denial;
use crate::domain::user::UserId;

/// Disable user
///
/// Switches a user off: all sessions end, and tokens and keys stop working at once.
#[utoipa::path(
    post, path = "users/{id}/disable/", operation_id = "disable_user", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "The user as it is now", body = schema::users::User),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn disable(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    let user = services.users.switch(&UserId(id), false, &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &to_json(&user)))
}

/// Enable user
///
/// Switches a user on again. What has ended stays ended.
#[utoipa::path(
    post, path = "users/{id}/enable/", operation_id = "enable_user", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "The user as it is now", body = schema::users::User),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn enable(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    let user = services.users.switch(&UserId(id), true, &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &to_json(&user)))
}

/// Set password of user
///
/// Sets another user's password, and ends all of the user's sessions.
///
/// One's own is changed at `password/change/`.
#[utoipa::path(
    post, path = "users/{id}/set-password/", operation_id = "set_user_password", tag = "Users",
    params(schema::paths::UserPath),
    request_body = schema::users::NewPassword,
    responses(
        (status = 200, description = "The password is set", body = schema::tokens::Done),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn set_password(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read_json(&headers, &bytes)?;
    let password = fields.password("password", services.strips_passwords);
    fields.finish().map_err(invalid)?;
    services.users.set_password(&UserId(id), password, &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &json!({})))
}

/// Reset second factor of user
///
/// Takes all of another user's devices and recovery codes away, and ends all of the user's sessions.
///
/// For who has lost both. One's own is taken off at `2fa/totp/disable/`.
#[utoipa::path(
    post, path = "users/{id}/reset-2fa/", operation_id = "reset_user_second_factor", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "There is no second factor any more", body = schema::tokens::Done),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn reset_second_factor(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    services.users.reset_second_factor(&UserId(id), &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &json!({})))
}

/// Unlock user
///
/// Forgets failed guesses at a user's password and codes, and requests for a new password.
///
/// Who was kept waiting for them can go on at once.
#[utoipa::path(
    post, path = "users/{id}/unlock/", operation_id = "unlock_user", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "Nothing keeps the user waiting", body = schema::tokens::Done),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn unlock(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    let who = context.administrator(&headers);
    let user = services.users.reach(&UserId(id), &who, AuditAction::Unlock).await?;
    services.lockouts.unlock(&user.id, &who.by).await.map_err(|_| Denial::Unavailable)?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}
