//! Who is kept waiting for too many guesses, and letting them go on before their time.

use std::sync::Arc;

use super::auditor::Auditor;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::Lockout;
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::guesses::Guesses;

pub struct Lockouts {
    pub guesses: Arc<dyn Guesses>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

impl Lockouts {
    /// Those who are blocked now, the longest block first.
    pub async fn list(&self, limit: u32) -> Result<Vec<(GuessSubject, Lockout)>, StoreError> {
        self.guesses.blocked(self.clock.now(), limit).await
    }

    /// Forgets all that was counted against a user. `false` when there was nothing.
    pub async fn unlock(&self, user: &UserId, by: &Initiator) -> Result<bool, StoreError> {
        let kinds = [GuessSubject::Account, GuessSubject::Codes, GuessSubject::ResetRequests];
        self.forget(&kinds.map(|kind| kind(user.clone())), Some(user), by).await
    }

    /// Forgets what was counted against one subject. `false` when there was nothing.
    pub async fn clear(&self, subject: &GuessSubject, by: &Initiator) -> Result<bool, StoreError> {
        self.forget(std::slice::from_ref(subject), subject.user(), by).await
    }

    async fn forget(
        &self,
        subjects: &[GuessSubject],
        user: Option<&UserId>,
        by: &Initiator,
    ) -> Result<bool, StoreError> {
        let mut event = self.auditor.done(by, AuditAction::Unlock);
        event.user = user.cloned();
        if let (None, [subject]) = (user, subjects) {
            event = event.saying(subject.to_string());
        }
        let change = Change::from(event);
        let done = self.guesses.unlock(subjects, &change).await?;
        if done {
            self.auditor.witness(&change);
        }
        Ok(done)
    }
}
