//! Another password instead of the one that is known.

use std::sync::Arc;
use std::time::Duration;

use super::auditor::Auditor;
use super::mail_values::PasswordChange;
use super::notices::{Notice, Notices};
use super::password_confirmation::{NotConfirmed, PasswordConfirmation};
use super::passwords::{Passwords, Unfit};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::password_policy::AboutUser;
use crate::domain::secret::Secret;
use crate::domain::session::Kept;
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::users::{PasswordSetting, Users};

pub struct PasswordChangeDesk {
    pub users: Arc<dyn Users>,
    pub confirmation: Arc<PasswordConfirmation>,
    pub passwords: Arc<Passwords>,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

/// Both passwords are judged, so that all that is wrong can be told at once.
#[derive(Debug)]
pub struct Faults {
    pub old: Option<OldPasswordFault>,
    pub new: Option<Unfit>,
}

#[derive(Debug)]
pub enum OldPasswordFault {
    Wrong,
    /// No password is as long.
    Unfit(Unfit),
}

#[derive(Debug, thiserror::Error)]
pub enum PasswordChangeError {
    #[error("one of the passwords does not do")]
    Faulty(Faults),
    /// Deleted or switched off since the request was admitted.
    #[error("the user is not active")]
    Inactive,
    /// When the next guess will be taken.
    #[error("too many attempts")]
    Blocked(Duration),
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PasswordChangeDesk {
    /// Sets a password and ends the user's sessions but for the one that this was asked in.
    pub async fn change(
        &self,
        user: &UserId,
        old: Secret<String>,
        new: Secret<String>,
        kept: &Kept,
        by: &Initiator,
    ) -> Result<(), PasswordChangeError> {
        let user = self.judge(user, old, &new, by).await?;
        let password = self.passwords.hash(new).await.map_err(|_| PasswordChangeError::Busy)?;
        let now = self.clock.now();
        let setting = PasswordSetting {
            user_id: user.id.clone(),
            password,
            at: now,
            keep: kept.session.clone(),
            tokens_valid_from: kept.tokens_valid_from(now),
            only_if_changed_at: Some(user.password_changed_at),
        };
        let notice = Notice::PasswordChanged(PasswordChange::Changed);
        let change = Change::from(self.auditor.done(by, AuditAction::PasswordChange).about(&user.id))
            .mailing(self.notices.about(&user, notice, by));
        if self.users.set_password(&setting, &change).await? {
            self.auditor.witness(&change);
            return Ok(());
        }
        // Somebody has set another one since the old one was checked, so that it is not the user's password any more.
        let event = self.auditor.refused(by, AuditAction::PasswordCheck, Denial::PasswordWrong.reason());
        self.auditor.append(&event.about(&user.id)).await?;
        Err(PasswordChangeError::Faulty(Faults { old: Some(OldPasswordFault::Wrong), new: None }))
    }

    async fn judge(
        &self,
        user: &UserId,
        old: Secret<String>,
        new: &Secret<String>,
        by: &Initiator,
    ) -> Result<Arc<User>, PasswordChangeError> {
        use PasswordChangeError as E;
        let (user, old) = match self.confirmation.check(user, old, by).await {
            Ok(user) => (user, None),
            Err(NotConfirmed::Wrong) => (self.known(user).await?, Some(OldPasswordFault::Wrong)),
            Err(NotConfirmed::Unfit(unfit)) => (self.known(user).await?, Some(OldPasswordFault::Unfit(unfit))),
            Err(NotConfirmed::Inactive) => return Err(E::Inactive),
            Err(NotConfirmed::Blocked(wait)) => return Err(E::Blocked(wait)),
            Err(NotConfirmed::Busy) => return Err(E::Busy),
            Err(NotConfirmed::Store(error)) => return Err(E::Store(error)),
        };
        let new = self.passwords.check_fitness(new, &AboutUser::from(user.as_ref())).err();
        if old.is_some() || new.is_some() { Err(E::Faulty(Faults { old, new })) } else { Ok(user) }
    }

    async fn known(&self, user: &UserId) -> Result<Arc<User>, PasswordChangeError> {
        self.users.find(user).await?.ok_or(PasswordChangeError::Inactive)
    }
}
