//! Taking a user's second factor away, by whoever administers users: for who has lost the device and the recovery codes.

use std::sync::Arc;

use super::auditor::Auditor;
use super::mail_values::SecondFactorChange;
use super::notices::{Notice, Notices};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::session::{Kept, SessionEnd};
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::second_factors::{Proven, SecondFactors};
use crate::storage::sessions::EndAll;

pub struct SecondFactorReset {
    pub factors: Arc<dyn SecondFactors>,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

impl SecondFactorReset {
    /// Deletes all devices and recovery codes of a user and ends all sessions: whoever has one may have taken the device.
    /// `false` when there is no such user.
    pub async fn reset(&self, user: &UserId, by: &Initiator) -> Result<bool, StoreError> {
        let notice = Notice::SecondFactorChanged(SecondFactorChange::RemovedByAdministrator);
        let change = Change::from(self.auditor.done(by, AuditAction::UserSecondFactorReset).about(user))
            .mailing(self.notices.about_user(user, notice, by).await?);
        let now = self.clock.now();
        let end = EndAll {
            user_id: user.clone(),
            why: SessionEnd::SecondFactorChange,
            at: now,
            keep: None,
            tokens_valid_from: Kept::NOTHING.tokens_valid_from(now),
        };
        let done = self.factors.remove_all(&end, None, &change).await? == Proven::Done;
        if done {
            self.auditor.witness(&change);
        }
        Ok(done)
    }
}
