//! What goes into the store together with a change of an identity or key, in the same transaction.

use super::audit::AuditEvent;
use super::mail::OutboxEntry;

#[derive(Clone, Debug)]
pub struct Change {
    pub audit: AuditEvent,
    /// What is to be sent because of it: never without the change, and never lost once there is the change.
    pub mail: Vec<OutboxEntry>,
}

impl Change {
    pub fn mailing(mut self, mail: Vec<OutboxEntry>) -> Self {
        self.mail = mail;
        self
    }
}

impl From<AuditEvent> for Change {
    fn from(audit: AuditEvent) -> Self {
        Self { audit, mail: Vec::new() }
    }
}
