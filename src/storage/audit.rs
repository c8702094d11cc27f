//! What happened, newest first. Events of changes are written by those who make the change; see [`Change`].
//!
//! [`Change`]: crate::domain::change::Change

use async_trait::async_trait;

use super::Result;
use crate::domain::audit::{AuditEvent, AuditQuery};
use crate::domain::clock::Timestamp;

#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// For what changed nothing: a failed proof.
    async fn append(&self, event: &AuditEvent) -> Result<()>;

    async fn list(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>>;

    /// Deletes at most `limit` events older than `before`; how many there were.
    async fn delete_before(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
