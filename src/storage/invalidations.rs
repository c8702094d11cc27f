//! The log of what all nodes must forget.

use async_trait::async_trait;

use super::Result;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};

/// Whoever remembers what is stored, in this process.
pub trait Heed: Send + Sync {
    /// Of a change once it is made, and of one that may have been: then another may stand in its place in the log.
    fn heed(&self, change: &Logged);

    /// All that one transaction tells of, after it was committed.
    fn committed(&self, changes: &[Logged]);
}

/// What stands in the log at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub epoch: Epoch,
    /// `None` for a kind that this version does not know: the reader must forget everything.
    pub what: Option<Invalidation>,
    pub written_at: Option<Timestamp>,
}

#[async_trait]
pub trait Invalidations: Send + Sync {
    /// The newest epoch; zero when nothing was ever invalidated.
    async fn newest(&self) -> Result<Epoch>;

    /// At most `limit` invalidations after `epoch`, oldest first.
    async fn after(&self, epoch: Epoch, limit: u32) -> Result<Vec<LogEntry>>;

    /// Deletes entries older than `before`. The newest one always stays, so that epochs never start anew.
    async fn prune(&self, before: Timestamp) -> Result<u64>;
}
