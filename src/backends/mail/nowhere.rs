//! Where no way to send mail is configured. What a mail says is written nowhere: it may let its reader in.

use async_trait::async_trait;

use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, Message};
use crate::storage::mail_carrier::{CarryError, MailCarrier};

/// Takes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCarrier;

#[async_trait]
impl MailCarrier for NoCarrier {
    async fn carry(&self, _: &Message, _: &MailId, _: Timestamp) -> Result<(), CarryError> {
        Err(CarryError::NoTransport)
    }
}
