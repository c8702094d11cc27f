//! What goes into the store together with a change of an identity or key, in the same transaction.

use super::audit::AuditEvent;

#[derive(Clone, Debug)]
pub struct Change {
    pub audit: AuditEvent,
}

impl From<AuditEvent> for Change {
    fn from(audit: AuditEvent) -> Self {
        Self { audit }
    }
}
