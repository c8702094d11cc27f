//! Showing one's password once more, for what a session alone does not allow.
//!
//! Whoever holds a stolen session may guess here as at a sign-in, so it counts as one: against the account, before anything
//! is hashed.

use std::sync::Arc;
use std::time::Duration;

use super::auditor::Auditor;
use super::guess_guard::{GuessGuard, NotNow};
use super::passwords::{Passwords, Unfit};
use crate::crypto::password::Verdict;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::denial::Denial;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::secret::Secret;
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::users::Users;

pub struct PasswordConfirmation {
    pub users: Arc<dyn Users>,
    pub passwords: Arc<Passwords>,
    pub guard: Arc<GuessGuard>,
    pub auditor: Auditor,
}

#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    #[error("the password is wrong")]
    Wrong,
    /// No password is as long; it is neither hashed nor counted.
    #[error("{0}")]
    Unfit(#[from] Unfit),
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

impl From<NotNow> for NotConfirmed {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Blocked(wait) => Self::Blocked(wait),
            NotNow::Crowded => Self::Busy,
            NotNow::Store(error) => Self::Store(error),
        }
    }
}

impl PasswordConfirmation {
    /// Gives the user as stored, whose password this is. What follows from it can be tied to that password by
    /// [`User::password_changed_at`].
    pub async fn check(
        &self,
        user: &UserId,
        password: Secret<String>,
        by: &Initiator,
    ) -> Result<Arc<User>, NotConfirmed> {
        self.passwords.check_length(&password)?;
        let subject = GuessSubject::Account(user.clone());
        let (counted, slot) = self.guard.count_with(subject, Some(user), by, || self.passwords.slot()).await?;
        // Read after the turn was waited for: another password may have been set in the meantime.
        let found = match self.users.find_fresh(user).await {
            Ok(found) => found,
            Err(error) => {
                self.guard.give_back(&counted).await;
                return Err(error.into());
            }
        };
        let Some(found) = found.filter(|found| found.is_active) else {
            self.guard.give_back(&counted).await;
            return Err(NotConfirmed::Inactive);
        };
        let Ok(verdict) = self.passwords.verify(slot, password, Some(&found.password)).await else {
            self.guard.give_back(&counted).await;
            return Err(NotConfirmed::Busy);
        };
        if verdict == Verdict::Wrong {
            let event = self.auditor.refused(by, AuditAction::PasswordCheck, Denial::PasswordWrong.reason());
            self.auditor.append(&event.about(user)).await?;
            return Err(NotConfirmed::Wrong);
        }
        // It was right, whatever becomes of the request.
        self.guard.forgive(&counted).await?;
        Ok(found)
    }
}
