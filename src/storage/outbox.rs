//! Mail that waits to be sent.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, OutboxEntry};

#[async_trait]
pub trait Outbox: Send + Sync {
    async fn enqueue(&self, entry: &OutboxEntry) -> Result<()>;

    /// Takes at most `limit` entries whose time has come, those first that have waited longest, and moves each one's next
    /// attempt to the end of the `lease`, in one step: of any number of parallel callers each entry goes to one. They come
    /// back by themselves when the lease is over and they were neither done nor put off.
    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// It was sent, or there is nothing to send. Nothing of it is kept.
    async fn done(&self, id: &MailId) -> Result<()>;

    /// Puts `next` in the place of an entry, in one step. If that is gone, another was faster, and nothing is put anywhere:
    /// `false`.
    async fn replace(&self, id: &MailId, next: &OutboxEntry) -> Result<bool>;

    /// It failed once more. `error` holds no secret.
    async fn retry(&self, id: &MailId, at: Timestamp, error: &str) -> Result<()>;

    /// It was not sent and never will be. Nothing of it is kept.
    async fn give_up(&self, id: &MailId) -> Result<()>;

    /// Every entry, by id, after `after`, at most `limit`: for sealing them anew.
    async fn list(&self, after: Option<&MailId>, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// Replaces sealed content by the same one sealed otherwise, unless it has changed since `seen` was read.
    async fn reseal(&self, id: &MailId, seen: &[u8], sealed: &[u8]) -> Result<bool>;

    /// How many wait.
    async fn count(&self) -> Result<u64>;
}
