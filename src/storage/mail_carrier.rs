//! Whoever takes mail out of the house.

use async_trait::async_trait;

use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, Message};

/// Why a message was not taken. The texts are logged and stored: they hold no secret, and nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// It may go later.
    #[error("{0}")]
    Temporary(String),
    /// No message is, because nothing is configured that would take one.
    #[error("no way to send mail is configured")]
    NoTransport,
    /// This message will never be taken.
    #[error("{0}")]
    Permanent(String),
}

#[async_trait]
pub trait MailCarrier: Send + Sync {
    /// Returns once somebody else answers for the message. The `id` is the same at each attempt, and so is the `date`, which
    /// is when it was written: that is how a recipient's server recognises a message that comes twice.
    async fn carry(&self, message: &Message, id: &MailId, date: Timestamp) -> Result<(), CarryError>;
}
