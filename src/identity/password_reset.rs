//! A new password, for whoever holds the token of a mailed link.
//!
//! The token stands for the old password and for nothing else: it signs nobody in, and a second factor is asked for
//! afterwards as ever.

use std::sync::Arc;
use std::time::Duration;

use super::auditor::Auditor;
use super::guess_guard::{GuessGuard, NotNow};
use super::lane::{Crowded, Lane};
use super::mail_values::PasswordChange;
use super::notices::{Notice, Notices};
use super::passwords::{Passwords, Unfit};
use super::refusal_budget::RefusalBudget;
use crate::crypto::digest::sha256;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::password_policy::AboutUser;
use crate::domain::password_reset::ResetToken;
use crate::domain::secret::Secret;
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::password_resets::PasswordResets;
use crate::storage::users::Users;

pub struct PasswordResetDesk {
    pub users: Arc<dyn Users>,
    pub resets: Arc<dyn PasswordResets>,
    pub passwords: Arc<Passwords>,
    pub guard: Arc<GuessGuard>,
    /// Shared with those who ask for a link.
    pub lane: Arc<Lane>,
    pub uncounted_refusals: RefusalBudget,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// Unknown, used, void or over, and nobody is told which.
    #[error("the token is not valid")]
    Token,
    /// The token is right, and is not used up by this.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error("too many attempts")]
    Blocked(Duration),
    #[error("too many are waiting")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotNow> for ResetError {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Blocked(wait) => Self::Blocked(wait),
            NotNow::Crowded => Self::Busy,
            NotNow::Store(error) => Self::Store(error),
        }
    }
}

impl From<Crowded> for ResetError {
    fn from(_: Crowded) -> Self {
        Self::Busy
    }
}

impl PasswordResetDesk {
    /// Sets the password of the token's user and ends all of the user's sessions. Gives who that is.
    ///
    /// Anybody may ask, so what was never mailed is told nowhere, and guesses are counted apart from those at sign-in: an
    /// office must not be locked out by them.
    pub async fn confirm(
        &self,
        token: Secret<String>,
        password: Secret<String>,
        by: &Initiator,
    ) -> Result<UserId, ResetError> {
        let token = ResetToken::parse(token).ok_or(ResetError::Token)?;
        let _turn = self.lane.take().await?;
        let counted = self.guard.count_network(GuessSubject::ResetNetwork, by).await?;
        let digest = sha256(token.expose().as_bytes());
        let found = self.user_of(&digest).await;
        if !matches!(found, Ok(None)) {
            // Whoever has a token that holds does not guess, and what we cannot tell is nobody's fault but ours.
            self.guard.give_back(&counted).await;
        }
        let Some(user) = found? else {
            let told = !counted.is_empty() || self.uncounted_refusals.take(self.clock.now());
            return if told { self.refuse(None, by).await } else { Err(ResetError::Token) };
        };
        self.passwords.check_fitness(&password, &AboutUser::from(user.as_ref()))?;
        let hash = self.passwords.hash(password).await.map_err(|_| ResetError::Busy)?;
        let notice = Notice::PasswordChanged(PasswordChange::Reset);
        let change = Change::from(self.auditor.done(by, AuditAction::PasswordReset).about(&user.id))
            .mailing(self.notices.about(&user, notice, by));
        if !self.resets.redeem(&digest, &hash, self.clock.now(), &change).await? {
            return self.refuse(Some(&user), by).await;
        }
        self.auditor.witness(&change);
        Ok(user.id.clone())
    }

    /// Whose token it is, if it holds.
    async fn user_of(&self, digest: &Digest) -> Result<Option<Arc<User>>, StoreError> {
        let now = self.clock.now();
        let reset = self.resets.find(digest).await?.filter(|reset| now < reset.expires_at);
        let Some(reset) = reset else { return Ok(None) };
        let user = self.users.find_fresh(&reset.user_id).await?;
        Ok(user.filter(|user| user.is_active))
    }

    async fn refuse(&self, user: Option<&User>, by: &Initiator) -> Result<UserId, ResetError> {
        let mut event = self.auditor.refused(by, AuditAction::PasswordReset, Denial::ResetTokenInvalid.reason());
        event.user = user.map(|user| user.id.clone());
        self.auditor.append(&event).await?;
        Err(ResetError::Token)
    }
}
