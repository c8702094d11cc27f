//! What waits in the outbox, closed and opened.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::crypto::master_key::Unsealing;
use crate::crypto::master_keys::MasterKeys;
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, MailKind, Message, OutboxEntry, Subject};
use crate::domain::random::Random;
use crate::domain::secret::Secret;
use crate::domain::user::Email;
use crate::storage::StoreError;

/// What an entry comes to when its time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    Send(Message),
    /// This one in its place.
    Replace(OutboxEntry),
    /// There is nothing to send.
    Drop,
}

/// Why an entry cannot be opened. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// It may be possible later.
    #[error("{0}")]
    Temporary(String),
    /// It never will be.
    #[error("{0}")]
    Permanent(String),
}

impl From<StoreError> for PrepareError {
    fn from(error: StoreError) -> Self {
        Self::Temporary(error.to_string())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail could not be sealed")]
pub struct NotSealed;

/// Turns an entry into what is sent.
#[async_trait]
pub trait Outgoing: Send + Sync {
    async fn prepare(&self, entry: &OutboxEntry) -> Result<Prepared, PrepareError>;
}

/// Seals under the master key what waits, for its entry only: moved to another one it does not open.
pub struct SealedMail {
    master_keys: Arc<MasterKeys>,
    random: Arc<dyn Random>,
}

/// A message as it is sealed.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    to: T,
    subject: T,
    text: T,
    html: Option<T>,
}

impl SealedMail {
    pub fn new(master_keys: Arc<MasterKeys>, random: Arc<dyn Random>) -> Self {
        Self { master_keys, random }
    }

    /// An entry for a message that is written already.
    pub fn message(&self, kind: MailKind, message: &Message, now: Timestamp) -> Result<OutboxEntry, NotSealed> {
        let written = Written {
            to: message.to.as_str(),
            subject: message.subject.as_str(),
            text: message.text.expose(),
            html: message.html.as_ref().map(|html| html.expose().as_str()),
        };
        self.seal(kind, &written, now)
    }

    /// An entry for whatever else is opened later, with [`SealedMail::open`].
    pub fn seal(&self, kind: MailKind, content: &impl Serialize, now: Timestamp) -> Result<OutboxEntry, NotSealed> {
        let id = MailId::new(self.random.as_ref());
        let plain = Secret::new(serde_json::to_vec(content).map_err(|_| NotSealed)?);
        let sealed = self.master_keys.seal(&purpose(kind, &id), plain.expose(), self.random.as_ref());
        Ok(OutboxEntry::new(id, kind, sealed.map_err(|_| NotSealed)?, now))
    }

    pub fn open<T: DeserializeOwned>(&self, entry: &OutboxEntry) -> Result<T, PrepareError> {
        let plain =
            self.master_keys.open(&purpose(entry.kind, &entry.id), &entry.sealed).map_err(|error| match error {
                // Another node may have it.
                Unsealing::OtherKey => PrepareError::Temporary(error.to_string()),
                Unsealing::Damaged => PrepareError::Permanent(error.to_string()),
            })?;
        // The library's own words would quote what was sealed.
        serde_json::from_slice(plain.expose()).map_err(|_| PrepareError::Permanent("it has another form".to_owned()))
    }
}

#[async_trait]
impl Outgoing for SealedMail {
    /// For entries that hold a message. The others are for whoever put them there.
    async fn prepare(&self, entry: &OutboxEntry) -> Result<Prepared, PrepareError> {
        let written: Written<String> = self.open(entry)?;
        let to = Email::parse(&written.to)
            .map_err(|_| PrepareError::Permanent("it is for something that is no address".to_owned()))?;
        Ok(Prepared::Send(Message {
            to,
            subject: Subject::new(&written.subject),
            text: Secret::new(written.text),
            html: written.html.map(Secret::new),
        }))
    }
}

/// What an entry's content is sealed for.
pub(super) fn purpose(kind: MailKind, id: &MailId) -> String {
    format!("mail {} {id}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crypto::master_key::MasterKey;
    use crate::crypto::random::OsRandom;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn sealed_mail() -> SealedMail {
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        let master_key = MasterKey::parse(&MasterKey::generate(random.as_ref())).unwrap();
        SealedMail::new(Arc::new(master_key.into()), random)
    }

    fn message(html: Option<&str>) -> Message {
        Message {
            to: Email::parse("anna@example.org").unwrap(),
            subject: Subject::new("Hello"),
            text: Secret::new("s3cr3t\n".to_owned()),
            html: html.map(|html| Secret::new(html.to_owned())),
        }
    }

    #[tokio::test]
    async fn a_message_comes_back_as_it_was_written() {
        let mail = sealed_mail();
        for message in [message(None), message(Some("<p>s3cr3t</p>"))] {
            let entry = mail.message(MailKind::PasswordReset, &message, NOW).unwrap();
            assert_eq!((entry.kind, entry.attempts, entry.next_attempt_at), (MailKind::PasswordReset, 0, NOW));
            assert!(!entry.sealed.windows(6).any(|part| part == b"s3cr3t" || part == b"anna@e"));
            assert_eq!(mail.prepare(&entry).await.unwrap(), Prepared::Send(message));
        }
    }

    #[tokio::test]
    async fn what_was_sealed_for_another_entry_does_not_open() {
        let mail = sealed_mail();
        let entry = mail.message(MailKind::PasswordReset, &message(None), NOW).unwrap();
        let other = mail.message(MailKind::PasswordReset, &message(None), NOW).unwrap();
        assert_ne!(entry.id, other.id);
        for moved in [
            OutboxEntry { id: other.id, ..entry.clone() },
            OutboxEntry { kind: MailKind::PasswordChanged, ..entry.clone() },
            OutboxEntry { sealed: Vec::new(), ..entry.clone() },
        ] {
            assert!(matches!(mail.prepare(&moved).await, Err(PrepareError::Permanent(_))));
        }
        let elsewhere = sealed_mail().prepare(&entry).await;
        assert!(matches!(elsewhere, Err(PrepareError::Temporary(_))), "another node may have the key");
    }

    #[tokio::test]
    async fn what_is_no_message_is_not_sent_and_not_repeated() {
        let mail = sealed_mail();
        for content in [json!("s3cr3t@example.org"), json!({ "to": "s3cr3t", "subject": "", "text": "" })] {
            let entry = mail.seal(MailKind::PasswordResetRequest, &content, NOW).unwrap();
            let refused = mail.prepare(&entry).await.unwrap_err();
            assert!(matches!(&refused, PrepareError::Permanent(text) if !text.contains("s3cr3t")), "{refused:?}");
            assert_eq!(mail.open::<serde_json::Value>(&entry).unwrap(), content);
        }
    }
}
