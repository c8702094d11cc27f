//! One JSON line for each event of the audit, as it is stored.

use serde::Serialize;

use super::access_log::{cut, printable};
use super::line_log::{Line, LineLog};
use crate::domain::audit::{AuditEvent, StoredOutcome, Witness};

/// Longest text from outside in a line, in bytes.
const TEXT: usize = 256;

pub struct AuditLog(LineLog);

impl AuditLog {
    pub const fn new(log: LineLog) -> Self {
        Self(log)
    }
}

/// What tells these lines from those of the access log, should both go to one place.
const LOG: &str = "audit";

#[derive(Debug, Serialize)]
struct AuditLine<'a> {
    log: &'static str,
    time: String,
    id: &'a str,
    action: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    object: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
}

impl Line for AuditLine<'_> {
    fn write_to(&self, line: &mut Vec<u8>) {
        // Texts under names that are texts, into memory: nothing here can fail.
        let _ = serde_json::to_writer(line, self);
    }
}

impl Witness for AuditLog {
    fn witness(&self, event: &AuditEvent) {
        let initiator = &event.initiator;
        let (outcome, reason) = match &event.outcome {
            StoredOutcome::Done => ("done", None),
            StoredOutcome::Refused(reason) => ("refused", Some(reason.as_str())),
        };
        let user_agent = printable(initiator.user_agent.as_bytes());
        let detail = printable(event.detail.as_bytes());
        self.0.write(&AuditLine {
            log: LOG,
            time: event.at.rfc3339(),
            id: &event.id.0,
            action: event.action.as_str(),
            outcome,
            reason,
            actor: printable(initiator.actor.as_text().as_bytes()).into_owned(),
            key_id: initiator.key_id.as_ref().map(|id| id.as_str()),
            session_id: initiator.session_id.as_ref().map(|id| id.as_str()),
            user_id: event.user.as_ref().map(|id| id.as_str()),
            object: &event.object,
            detail: cut(&detail, TEXT),
            client: &initiator.address,
            user_agent: cut(&user_agent, TEXT),
            request_id: &initiator.request_id,
        });
    }
}
