//! Counting what all nodes are held to together.
//!
//! Not a store: what is lost here is only counted anew. Whoever asks has counted for itself first, and goes by that when
//! there is no answer.

use async_trait::async_trait;

use crate::domain::clock::Timestamp;
use crate::domain::gcra::{Gcra, Level, Spent};

/// One bucket, and what it is held to.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The same on all nodes, and nobody else's.
    pub name: String,
    pub gcra: Gcra,
}

/// A count that begins anew at a certain time.
#[derive(Clone, Debug)]
pub struct Count {
    /// As in [`Ask`].
    pub name: String,
    pub most: u64,
    /// Where nothing has been counted yet: what is known to have been counted elsewhere.
    pub at_least: u64,
    /// Was let through here while nobody could be asked, and is not counted yet.
    pub owed: u64,
    pub expires_at: Timestamp,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub admitted: bool,
    pub total: u64,
}

/// Nobody could be asked, in time or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared counters did not answer")]
pub struct NoAnswer;

#[async_trait]
pub trait SharedBudgets: Send + Sync {
    /// Takes one from each bucket, or from none of them. The answers are in the order of the buckets.
    async fn take(&self, asks: &[Ask]) -> Result<Vec<Result<Level, Spent>>, NoAnswer>;

    /// Counts one more, if that is not too many.
    async fn count(&self, count: &Count) -> Result<Counted, NoAnswer>;
}
