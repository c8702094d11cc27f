//! Telling what happened: one row in the store, one line in the log.

use std::sync::Arc;

use crate::domain::audit::{AuditAction, AuditEvent, AuditOutcome, AuditQuery, Initiator, Witness};
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::random::Random;
use crate::storage::Result;
use crate::storage::audit::AuditTrail;

#[derive(Clone)]
pub struct Auditor {
    trail: Arc<dyn AuditTrail>,
    witness: Arc<dyn Witness>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Auditor {
    pub fn new(
        trail: Arc<dyn AuditTrail>,
        witness: Arc<dyn Witness>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { trail, witness, clock, random }
    }

    /// An event for the transaction of a change. Once that is committed, [`Auditor::witness`] tells of it.
    pub fn done(&self, by: &Initiator, action: AuditAction) -> AuditEvent {
        by.did(action, AuditOutcome::Done, self.clock.now(), self.random.as_ref())
    }

    /// An event of a proof that did not hold, for [`Auditor::append`].
    pub fn refused(&self, by: &Initiator, action: AuditAction, reason: &'static str) -> AuditEvent {
        by.did(action, AuditOutcome::Refused(reason), self.clock.now(), self.random.as_ref())
    }

    /// Tells of a change that was committed with this in it.
    pub fn witness(&self, change: &Change) {
        self.witness.witness(&change.audit);
    }

    /// Stores and tells what changed nothing.
    pub async fn append(&self, event: &AuditEvent) -> Result<()> {
        self.trail.append(event).await?;
        self.witness.witness(event);
        Ok(())
    }

    pub async fn list(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>> {
        self.trail.list(query).await
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
