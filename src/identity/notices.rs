//! Telling users by mail what happened to their account, so that they notice when it was not they who did it.

use std::sync::Arc;

use super::mail_templates::{RenderError, Templates};
use super::mail_values::{
    MailValues, Occasion, PasswordChange, PasswordChanged, RecoveryCodeUsed, SecondFactorChange, SecondFactorChanged,
};
use super::outgoing::{NotSealed, SealedMail};
use crate::domain::audit::Initiator;
use crate::domain::clock::Clock;
use crate::domain::mail::OutboxEntry;
use crate::domain::user::{Email, User};

/// What a user is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    PasswordChanged(PasswordChange),
    SecondFactorChanged(SecondFactorChange),
    /// With the number of codes that are left.
    RecoveryCodeUsed {
        left: u32,
    },
}

#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Template(#[from] RenderError),
    #[error(transparent)]
    Sealing(#[from] NotSealed),
}

pub struct Notices {
    templates: Arc<Templates>,
    sealed: Arc<SealedMail>,
    clock: Arc<dyn Clock>,
}

impl Notices {
    pub fn new(templates: Arc<Templates>, sealed: Arc<SealedMail>, clock: Arc<dyn Clock>) -> Self {
        Self { templates, sealed, clock }
    }

    /// For [`Change::mailing`](crate::domain::change::Change::mailing): what is sent to this user once the change is
    /// committed. Nothing to a user without an address. `by` is who has changed it.
    pub fn about(&self, user: &User, notice: Notice, by: &Initiator) -> Vec<OutboxEntry> {
        let Ok(to) = Email::parse(&user.email) else { return Vec::new() };
        let occasion = Occasion { username: user.username.clone(), at: self.clock.now(), address: by.address.clone() };
        let written = match notice {
            Notice::PasswordChanged(change) => self.write(to, &PasswordChanged { occasion, change }),
            Notice::SecondFactorChanged(change) => self.write(to, &SecondFactorChanged { occasion, change }),
            Notice::RecoveryCodeUsed { left } => self.write(to, &RecoveryCodeUsed { occasion, left }),
        };
        // Templates were tried at start, so this is next to impossible; and then the change is worth more than the notice.
        written.map_err(|error| tracing::error!(%error, "a notice could not be written")).into_iter().collect()
    }

    fn write<V: MailValues>(&self, to: Email, values: &V) -> Result<OutboxEntry, NotWritten> {
        let message = self.templates.render(to, values)?;
        Ok(self.sealed.message(V::KIND, &message, self.clock.now())?)
    }
}
