//! `me/`: who the caller is, and how that was established.

use axum::Extension;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use super::context::RequestContext;
use super::refusal::refuse;
use super::schema;
use crate::domain::denial::Denial;
use crate::domain::principal::Subject;

/// Me
///
/// Who the caller is, and how that was established.
#[utoipa::path(
    get, path = "me/", operation_id = "me", tag = "Sessions",
    responses((status = 200, description = "The caller", body = schema::me::Me)),
)]
pub async fn show(Extension(context): Extension<RequestContext>) -> Response<Body> {
    let Some(principal) = context.permit.principal() else { return refuse(Denial::CredentialMissing) };
    let (username, email) = match &principal.subject {
        Subject::User { username, email, .. } => (Some(username.as_str()), Some(email.as_str())),
        Subject::Service { .. } => (None, None),
    };
    let body = json!({
        "id": principal.subject.id(),
        "username": username,
        "email": email,
        "method": principal.method.as_str(),
        "scopes": principal.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "amr": principal.amr,
        "assurance": principal.assurance.as_str(),
        "authenticated_at": principal.authenticated_at.map(|at| at.rfc3339()),
        "session_id": principal.session_id.as_ref().map(|id| id.as_str()),
        "key_id": principal.key_id.as_ref().map(|id| id.as_str()),
        "expires_at": principal.expires_at.map(|at| at.rfc3339()),
    });
    answer::secret_json(StatusCode::OK, &body)
}
