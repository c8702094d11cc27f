//! Recovery codes: made ten at a time, shown once, kept as digests.

use std::sync::Arc;

use super::auditor::Auditor;
use super::mail_values::SecondFactorChange;
use super::notices::{Notice, Notices};
use super::owner_check::{BothFactors, NotOwner, OwnerCheck};
use crate::crypto::recovery_code;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::factor_proof::RecoveryCodeId;
use crate::domain::random::{self, Random};
use crate::domain::recovery_code::RecoveryCode;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;
use crate::storage::second_factors::{self, Proven, SecondFactors};

/// A new set of one user's.
pub struct NewCodes {
    /// For their owner, in the order in which they are shown.
    pub shown: Vec<Secret<String>>,
    pub stored: Vec<second_factors::RecoveryCode>,
}

impl NewCodes {
    pub fn make(user: &UserId, random: &dyn Random) -> Self {
        let codes = RecoveryCode::generate_set(random);
        let stored = |code: &RecoveryCode| second_factors::RecoveryCode {
            id: RecoveryCodeId(random::uuid(random)),
            digest: recovery_code::digest(user, code.expose()),
        };
        Self { stored: codes.iter().map(stored).collect(), shown: codes.iter().map(RecoveryCode::shown).collect() }
    }
}

pub struct RecoveryCodeDesk {
    pub factors: Arc<dyn SecondFactors>,
    pub owner: Arc<OwnerCheck>,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl RecoveryCodeDesk {
    /// A new set; those before it are void, the one that was shown for it too.
    pub async fn renew(
        &self,
        user: &UserId,
        shown: BothFactors,
        by: &Initiator,
    ) -> Result<Vec<Secret<String>>, NotOwner> {
        let matched = self.owner.check(user, shown, by).await?;
        let codes = NewCodes::make(user, self.random.as_ref());
        let notice = Notice::SecondFactorChanged(SecondFactorChange::RecoveryCodesRenewed);
        let change = Change::from(self.auditor.done(by, AuditAction::RecoveryCodesMake).about(user))
            .mailing(self.notices.about_user(user, notice, by).await?);
        let now = self.clock.now();
        match self.factors.replace_recovery_codes(user, &codes.stored, &matched.proof, now, &change).await? {
            Proven::Done => {
                self.auditor.witness(&change);
                self.owner.factor.settle(&matched.counted).await;
                Ok(codes.shown)
            }
            Proven::ProofSpent => Err(self.owner.spent(user, &matched.proof, by).await),
        }
    }
}
