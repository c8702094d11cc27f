//! The log of what all nodes must forget.

use async_trait::async_trait;

use super::Result;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation};

/// Whoever remembers what is stored, in this process. Told of a change once it is made, and of one that may have been.
pub trait Heed: Send + Sync {
    fn heed(&self, what: &Invalidation);
}

#[async_trait]
pub trait Invalidations: Send + Sync {
    /// The newest epoch; zero when nothing was ever invalidated.
    async fn newest(&self) -> Result<Epoch>;

    /// At most `limit` invalidations after `epoch`, oldest first, each with its own epoch. An entry of a kind that this
    /// version does not know comes as `None`: the reader must forget everything.
    async fn after(&self, epoch: Epoch, limit: u32) -> Result<Vec<(Epoch, Option<Invalidation>)>>;

    /// Deletes entries older than `before`. The newest one always stays, so that epochs never start anew.
    async fn prune(&self, before: Timestamp) -> Result<u64>;
}
