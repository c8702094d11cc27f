//! Telling users by mail what happened to their account, so that they notice when it was not they who did it.

use std::sync::Arc;

use super::mail_templates::{RenderError, Templates};
use super::mail_values::{
    KeyReported, MailValues, Occasion, PasswordChange, PasswordChanged, RecoveryCodeUsed, SecondFactorChange,
    SecondFactorChanged,
};
use super::outgoing::{NotSealed, SealedMail};
use crate::domain::audit::Initiator;
use crate::domain::clock::Clock;
use crate::domain::mail::OutboxEntry;
use crate::domain::user::{Email, User, UserId};
use crate::storage::StoreError;
use crate::storage::users::Users;

/// What a user is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    PasswordChanged(PasswordChange),
    SecondFactorChanged(SecondFactorChange),
    /// With the number of codes that are left.
    RecoveryCodeUsed {
        left: u32,
    },
    /// With the name and the visible beginning of the key.
    KeyReported {
        name: String,
        prefix: String,
    },
}

#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Template(#[from] RenderError),
    #[error(transparent)]
    Sealing(#[from] NotSealed),
}

pub struct Notices(Option<Writer>);

struct Writer {
    users: Arc<dyn Users>,
    templates: Arc<Templates>,
    sealed: Arc<SealedMail>,
    clock: Arc<dyn Clock>,
}

impl Notices {
    /// Nobody is told: for a command that must be done also where no mail can be written.
    pub const SILENT: Self = Self(None);

    pub fn new(
        users: Arc<dyn Users>,
        templates: Arc<Templates>,
        sealed: Arc<SealedMail>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Some(Writer { users, templates, sealed, clock }))
    }

    /// For [`Change::mailing`](crate::domain::change::Change::mailing): what is sent to this user once the change is
    /// committed. Nothing to a user without an address. `by` is who has changed it.
    pub fn about(&self, user: &User, notice: Notice, by: &Initiator) -> Vec<OutboxEntry> {
        self.0.as_ref().and_then(|writer| writer.about(user, notice, by)).into_iter().collect()
    }

    /// As [`Notices::about`], to whoever has this id.
    pub async fn about_user(
        &self,
        id: &UserId,
        notice: Notice,
        by: &Initiator,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let Some(writer) = &self.0 else { return Ok(Vec::new()) };
        let user = writer.users.find(id).await?;
        Ok(user.and_then(|user| writer.about(&user, notice, by)).into_iter().collect())
    }
}

impl Writer {
    fn about(&self, user: &User, notice: Notice, by: &Initiator) -> Option<OutboxEntry> {
        let to = Email::parse(&user.email).ok()?;
        let occasion = Occasion { username: user.username.clone(), at: self.clock.now(), address: by.address.clone() };
        let written = match notice {
            Notice::PasswordChanged(change) => self.write(to, &PasswordChanged { occasion, change }),
            Notice::SecondFactorChanged(change) => self.write(to, &SecondFactorChanged { occasion, change }),
            Notice::RecoveryCodeUsed { left } => self.write(to, &RecoveryCodeUsed { occasion, left }),
            Notice::KeyReported { name, prefix } => self.write(to, &KeyReported { occasion, name, prefix }),
        };
        // Templates were tried at start, so this is next to impossible; and then the change is worth more than the notice.
        written.map_err(|error| tracing::error!(%error, "a notice could not be written")).ok()
    }

    fn write<V: MailValues>(&self, to: Email, values: &V) -> Result<OutboxEntry, NotWritten> {
        let message = self.templates.render(to, values)?;
        Ok(self.sealed.message(V::KIND, &message, self.clock.now())?)
    }
}
