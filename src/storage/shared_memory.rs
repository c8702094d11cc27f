//! What all nodes remember together and what they tell each other. All of it may be lost at any time, and anybody may have
//! written it.

use std::time::Duration;

use async_trait::async_trait;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Nothing was asked, or nothing was heard.
    #[error("{0}")]
    Unavailable(String),
    /// There is an answer, and it is no: another type of value, no memory left.
    #[error("{0}")]
    Refused(String),
}

#[async_trait]
pub trait SharedMemory: Send + Sync {
    /// The bytes under a key. What is longer than `limit` may come cut off, but longer than `limit` all the same.
    async fn get(&self, key: &str, limit: usize) -> Result<Option<Vec<u8>>, Silence>;

    async fn put(&self, key: &str, value: Vec<u8>, lifetime: Duration) -> Result<(), Silence>;
}

/// What nodes call out to each other.
#[async_trait]
pub trait Bus: Send + Sync {
    /// To whoever listens at this moment, the caller's own node among them.
    async fn publish(&self, message: Vec<u8>) -> Result<(), Silence>;
}

/// Who listens to a [`Bus`].
pub trait Hear: Send + Sync {
    fn heard(&self, message: &[u8]);

    /// From here on messages arrive. Some may have been missed before.
    fn connected(&self);

    fn disconnected(&self);
}
