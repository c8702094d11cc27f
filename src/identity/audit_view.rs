//! What is shown of an event of the audit, on the command line as over HTTP.

use serde::Serialize;

use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::{AuditEvent, StoredOutcome};
use crate::domain::session::SessionId;
use crate::domain::user::UserId;

/// In the words of the line in the log.
#[derive(Debug, Serialize)]
pub struct AuditView<'a> {
    id: &'a str,
    time: String,
    action: &'static str,
    pub outcome: &'static str,
    pub reason: Option<&'a str>,
    actor: String,
    key_id: Option<&'a str>,
    session_id: Option<&'a str>,
    user_id: Option<&'a str>,
    object: Option<&'a str>,
    detail: &'a str,
    client: &'a str,
    user_agent: &'a str,
    request_id: &'a str,
}

impl<'a> From<&'a AuditEvent> for AuditView<'a> {
    fn from(event: &'a AuditEvent) -> Self {
        let (outcome, reason) = match &event.outcome {
            StoredOutcome::Done => ("done", None),
            StoredOutcome::Refused(reason) => ("refused", Some(reason.as_str())),
        };
        let initiator = &event.initiator;
        Self {
            id: &event.id.0,
            time: event.at.rfc3339(),
            action: event.action.as_str(),
            outcome,
            reason,
            actor: initiator.actor.as_text(),
            key_id: initiator.key_id.as_ref().map(ApiKeyId::as_str),
            session_id: initiator.session_id.as_ref().map(SessionId::as_str),
            user_id: event.user.as_ref().map(UserId::as_str),
            object: Some(event.object.as_str()).filter(|object| !object.is_empty()),
            detail: &event.detail,
            client: &initiator.address,
            user_agent: &initiator.user_agent,
            request_id: &initiator.request_id,
        }
    }
}
