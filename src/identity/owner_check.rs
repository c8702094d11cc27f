//! Both of one's factors shown once more, for changing what one of them is.

use std::sync::Arc;

use super::code_check::Shown;
use super::factor_confirmation::{FactorConfirmation, Matched, NotShown};
use super::password_confirmation::{NotConfirmed, PasswordConfirmation};
use crate::domain::audit::Initiator;
use crate::domain::factor_proof::FactorProof;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;
use crate::storage::StoreError;

pub struct OwnerCheck {
    pub password: Arc<PasswordConfirmation>,
    pub factor: Arc<FactorConfirmation>,
}

#[derive(Debug)]
pub struct BothFactors {
    pub password: Secret<String>,
    /// `None` is told only after the password was found to be right, and a second factor to be there.
    pub factor: Option<Shown>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotOwner {
    #[error(transparent)]
    Password(#[from] NotConfirmed),
    /// The password was right, and there is no second factor.
    #[error("there is no second factor")]
    NotEnabled,
    #[error("a second factor is asked for, too")]
    FactorMissing,
    #[error(transparent)]
    Factor(#[from] NotShown),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OwnerCheck {
    /// In this order: the password, that there is a second factor, and the second factor.
    pub async fn check(
        &self,
        user: &UserId,
        shown: BothFactors,
        by: &Initiator,
    ) -> Result<Matched<FactorProof>, NotOwner> {
        self.check_password(user, shown.password, by).await?;
        let factor = shown.factor.ok_or(NotOwner::FactorMissing)?;
        Ok(self.factor.check(user, &factor, by).await?)
    }

    /// The password alone, of who has a second factor.
    pub async fn check_password(
        &self,
        user: &UserId,
        password: Secret<String>,
        by: &Initiator,
    ) -> Result<(), NotOwner> {
        self.password.check(user, password, by).await?;
        let enabled = !self.factor.codes.confirmed(user).await?.is_empty();
        if enabled { Ok(()) } else { Err(NotOwner::NotEnabled) }
    }

    /// The change found the proof spent: somebody was faster, which is told as a wrong code is.
    pub async fn spent(&self, user: &UserId, proof: &FactorProof, by: &Initiator) -> NotOwner {
        match self.factor.tell_spent(user, proof, by).await {
            Ok(()) => NotOwner::Factor(NotShown::Wrong),
            Err(error) => NotOwner::Store(error),
        }
    }
}
