//! Showing one's second factor, counted over every route that takes one.
//!
//! A code has a million values, so whoever may try without end finds it. Sign-ins, changes of the second factor and new
//! recovery codes all draw on one budget, whichever gateway they come through.

use std::sync::Arc;
use std::time::Duration;

use super::auditor::Auditor;
use super::code_check::{CodeCheck, Shown};
use super::guess_guard::{Counted, GuessGuard, NotNow};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::factor_proof::FactorProof;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::second_factor::SecondFactor;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;
use crate::storage::StoreError;

pub struct FactorConfirmation {
    pub codes: Arc<CodeCheck>,
    pub guard: Arc<GuessGuard>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
}

/// What was shown is right, and not used up yet.
#[derive(Debug)]
pub struct Matched<T> {
    pub proof: T,
    /// To be taken back once it is used up, with [`FactorConfirmation::settle`] or in the same transaction.
    pub counted: Counted,
}

#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    #[error("the code is not valid")]
    Wrong,
    /// When the next guess will be taken.
    #[error("too many attempts")]
    Blocked(Duration),
    #[error("too many attempts at once")]
    Crowded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotNow> for NotShown {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Blocked(wait) => Self::Blocked(wait),
            NotNow::Crowded => Self::Crowded,
            NotNow::Store(error) => Self::Store(error),
        }
    }
}

impl FactorConfirmation {
    /// Counts, then judges. Using it up belongs into the transaction of what it proves; if that finds it spent, the caller
    /// says so with [`FactorConfirmation::tell_spent`].
    pub async fn check(&self, user: &UserId, shown: &Shown, by: &Initiator) -> Result<Matched<FactorProof>, NotShown> {
        let counted = self.count(user, by).await?;
        self.prove(user, shown, counted, by).await
    }

    /// Judges a guess that was counted.
    pub async fn prove(
        &self,
        user: &UserId,
        shown: &Shown,
        counted: Counted,
        by: &Initiator,
    ) -> Result<Matched<FactorProof>, NotShown> {
        let proof = self.codes.prove(user, shown, self.clock.now()).await;
        let action = match shown {
            Shown::Otp(_) => AuditAction::SecondFactorCheck,
            Shown::RecoveryCode(_) => AuditAction::RecoveryCodeUse,
        };
        self.judge(user, proof, counted, action, by).await
    }

    /// As [`FactorConfirmation::check`], for the first code of a device that is to be confirmed. The proof is its step.
    pub async fn check_new(
        &self,
        device: &SecondFactor,
        code: &Secret<String>,
        by: &Initiator,
    ) -> Result<Matched<i64>, NotShown> {
        let counted = self.count(&device.user_id, by).await?;
        let step = self.codes.step_of(device, code, self.clock.now());
        self.judge(&device.user_id, step, counted, AuditAction::SecondFactorCheck, by).await
    }

    /// Tells of a proof that somebody else was faster to use up, which is as good as a wrong one.
    pub async fn tell_spent(&self, user: &UserId, proof: &FactorProof, by: &Initiator) -> Result<(), StoreError> {
        let action = match proof {
            FactorProof::Totp { .. } => AuditAction::SecondFactorCheck,
            FactorProof::RecoveryCode(_) => AuditAction::RecoveryCodeUse,
        };
        self.tell_wrong(user, action, by).await
    }

    /// Takes the guess back, now that what it proved is done. Failing that, its owner only has to wait the sooner.
    pub async fn settle(&self, counted: &Counted) {
        let _ = self.guard.forgive(counted).await;
    }

    /// Counts a guess that is to be judged by [`FactorConfirmation::prove`].
    pub async fn count(&self, user: &UserId, by: &Initiator) -> Result<Counted, NotShown> {
        Ok(self.guard.count(GuessSubject::Codes(user.clone()), Some(user), by).await?)
    }

    async fn judge<T>(
        &self,
        user: &UserId,
        proof: Result<Option<T>, StoreError>,
        counted: Counted,
        action: AuditAction,
        by: &Initiator,
    ) -> Result<Matched<T>, NotShown> {
        match proof {
            Ok(Some(proof)) => Ok(Matched { proof, counted }),
            Ok(None) => {
                self.tell_wrong(user, action, by).await?;
                Err(NotShown::Wrong)
            }
            Err(error) => {
                self.guard.give_back(&counted).await;
                Err(error.into())
            }
        }
    }

    async fn tell_wrong(&self, user: &UserId, action: AuditAction, by: &Initiator) -> Result<(), StoreError> {
        let event = self.auditor.refused(by, action, Denial::SecondFactorWrong.reason());
        self.auditor.append(&event.about(user)).await
    }
}
