//! A user's second factor: setting a device up, confirming it, and taking everything away again.
//!
//! ```text
//!              set up             first code right
//!  ( none ) ----------> ( unconfirmed ) ----------> ( confirmed, counts )
//!                          ^       |                       |
//!                          +-------+ set up again           | disabled: all devices and codes are deleted
//!                                                           v
//!                                                        ( none )
//! ```
//!
//! Beside a confirmed device another one is set up only by who shows password and second factor: a session alone, or a
//! password alone, must not add a factor. That holds under `compatibility: django` too, where the password alone disables: who
//! changes phones there disables, and sets up anew. Wrong codes count over all routes and are answered with 429 from the sixth
//! on, where the Django stack says "Invalid token." of a locked device: a client that is told when to come back does so.
//!
//! Each change ends the user's other sessions and makes challenges void. The request's own session goes on as what it is: one of
//! one factor does not become one of two, its user signs in again.

use std::sync::Arc;

use super::auditor::Auditor;
use super::factor_confirmation::{FactorConfirmation, NotShown};
use super::mail_values::SecondFactorChange;
use super::notices::{Notice, Notices};
use super::owner_check::{BothFactors, NotOwner, OwnerCheck};
use super::password_confirmation::NotConfirmed;
use super::recovery_codes::NewCodes;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::totp;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::factor_proof::FactorProof;
use crate::domain::otpauth::provisioning_uri;
use crate::domain::random::{self, Random};
use crate::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use crate::domain::secret::Secret;
use crate::domain::session::{Kept, SessionEnd};
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::second_factors::{Confirmation, Proven, SecondFactors};
use crate::storage::sessions::EndAll;

/// What a new device is called; existing clients know no other name.
const NAME: &str = "Default";

/// What disabling takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabling {
    PasswordAndFactor,
    /// As the Django stack has it.
    PasswordAlone,
}

/// What a user has.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The newest first, unconfirmed ones too.
    pub devices: Vec<SecondFactor>,
    pub recovery_codes_left: u64,
}

impl Overview {
    pub fn is_enabled(&self) -> bool {
        self.devices.iter().any(SecondFactor::is_confirmed)
    }
}

/// What a new device is told; shown once.
#[derive(Debug)]
pub struct Enrolment {
    pub secret: Secret<Vec<u8>>,
    pub uri: Secret<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// There is a confirmed device, and nothing was shown.
    #[error("password and second factor are asked for")]
    ProofMissing,
    #[error(transparent)]
    NotOwner(#[from] NotOwner),
    #[error("the secret could not be sealed")]
    Sealing,
}

impl From<StoreError> for SetUpError {
    fn from(error: StoreError) -> Self {
        Self::NotOwner(error.into())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("there is no device to confirm")]
    NothingToConfirm,
    #[error(transparent)]
    NotShown(#[from] NotShown),
}

impl From<StoreError> for ConfirmError {
    fn from(error: StoreError) -> Self {
        Self::NotShown(error.into())
    }
}

pub struct SecondFactorDesk {
    pub factors: Arc<dyn SecondFactors>,
    pub owner: Arc<OwnerCheck>,
    pub factor: Arc<FactorConfirmation>,
    pub master_keys: Arc<MasterKeys>,
    /// What authenticator apps call the account.
    pub issuer: Option<String>,
    pub disabling: Disabling,
    pub notices: Arc<Notices>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl SecondFactorDesk {
    pub async fn overview(&self, user: &UserId) -> Result<Overview, StoreError> {
        Ok(Overview {
            devices: self.factors.of_user(user).await?,
            recovery_codes_left: self.factors.recovery_codes_left(user).await?,
        })
    }

    /// Makes a device, which counts once it is confirmed. Unconfirmed ones before it are gone.
    pub async fn set_up(
        &self,
        user: &UserId,
        username: &str,
        shown: Option<BothFactors>,
        by: &Initiator,
    ) -> Result<Enrolment, SetUpError> {
        let matched = match shown {
            Some(shown) => Some(self.owner.check(user, shown, by).await?),
            None => None,
        };
        let secret = totp::new_secret(self.random.as_ref());
        let device = self.device(user, &secret)?;
        let change = self.change(AuditAction::SecondFactorSetup, user, by);
        let proof = matched.as_ref().map(|matched| &matched.proof);
        match (self.factors.begin(&device, proof, &change).await?, proof) {
            (Proven::Done, _) => {}
            (Proven::ProofSpent, Some(proof)) => return Err(self.owner.spent(user, proof, by).await.into()),
            // Confirmed in the meantime.
            (Proven::ProofSpent, None) => return Err(SetUpError::ProofMissing),
        }
        self.auditor.witness(&change);
        if let Some(matched) = &matched {
            self.factor.settle(&matched.counted).await;
        }
        let uri = provisioning_uri(self.issuer.as_deref(), username, &secret, &device.parameters);
        Ok(Enrolment { secret, uri })
    }

    fn device(&self, user: &UserId, secret: &Secret<Vec<u8>>) -> Result<SecondFactor, SetUpError> {
        let id = SecondFactorId(random::uuid(self.random.as_ref()));
        let sealed = self.master_keys.seal(&totp::sealing_purpose(&id), secret.expose(), self.random.as_ref());
        Ok(SecondFactor {
            id,
            user_id: user.clone(),
            name: NAME.to_owned(),
            sealed_secret: sealed.map_err(|_| SetUpError::Sealing)?,
            parameters: TotpParameters::default(),
            last_step: SecondFactor::NO_STEP,
            confirmed_at: None,
            created_at: self.clock.now(),
            last_used_at: None,
        })
    }

    /// Takes the first code of the newest device that is not confirmed, which counts from then on. Gives recovery codes
    /// with the first device; with a further one, those that there are go on.
    pub async fn confirm(
        &self,
        user: &UserId,
        code: &Secret<String>,
        kept: &Kept,
        by: &Initiator,
    ) -> Result<Option<Vec<Secret<String>>>, ConfirmError> {
        let present = self.factors.of_user(user).await?;
        let device = present.iter().find(|device| !device.is_confirmed()).ok_or(ConfirmError::NothingToConfirm)?;
        let is_first = !present.iter().any(SecondFactor::is_confirmed);
        let matched = self.factor.check_new(device, code, by).await?;
        let codes = is_first.then(|| NewCodes::make(user, self.random.as_ref()));
        let (shown, stored) = codes.map(|codes| (codes.shown, codes.stored)).unzip();
        let now = self.clock.now();
        let mail = self.notices.about_user(user, Notice::SecondFactorChanged(SecondFactorChange::Enabled), by).await?;
        let change = self.change(AuditAction::SecondFactorEnable, user, by).mailing(mail);
        let confirmation = Confirmation {
            device: device.id.clone(),
            step: matched.proof,
            at: now,
            recovery_codes: stored,
            end: end_others(user, kept, now),
        };
        match self.factors.confirm(&confirmation, &change).await? {
            Proven::Done => {}
            // Another request has confirmed it, or replaced it.
            Proven::ProofSpent => {
                let proof = FactorProof::Totp { device: confirmation.device, step: confirmation.step };
                self.factor.tell_spent(user, &proof, by).await?;
                return Err(NotShown::Wrong.into());
            }
        }
        self.auditor.witness(&change);
        self.factor.settle(&matched.counted).await;
        Ok(shown)
    }

    /// Deletes all devices and recovery codes.
    pub async fn disable(
        &self,
        user: &UserId,
        shown: BothFactors,
        kept: &Kept,
        by: &Initiator,
    ) -> Result<(), NotOwner> {
        let matched = match self.disabling {
            Disabling::PasswordAndFactor => Some(self.owner.check(user, shown, by).await?),
            Disabling::PasswordAlone => {
                self.owner.check_password(user, shown.password, by).await?;
                None
            }
        };
        let mail = self.notices.about_user(user, Notice::SecondFactorChanged(SecondFactorChange::Disabled), by).await?;
        let change = self.change(AuditAction::SecondFactorDisable, user, by).mailing(mail);
        let proof = matched.as_ref().map(|matched| &matched.proof);
        match (self.factors.remove_all(&end_others(user, kept, self.clock.now()), proof, &change).await?, proof) {
            (Proven::Done, _) => {}
            (Proven::ProofSpent, Some(proof)) => return Err(self.owner.spent(user, proof, by).await),
            (Proven::ProofSpent, None) => return Err(NotConfirmed::Inactive.into()),
        }
        self.auditor.witness(&change);
        if let Some(matched) = &matched {
            self.factor.settle(&matched.counted).await;
        }
        Ok(())
    }

    fn change(&self, action: AuditAction, user: &UserId, by: &Initiator) -> Change {
        Change::from(self.auditor.done(by, action).about(user))
    }
}

/// All sessions but the request's own.
fn end_others(user: &UserId, kept: &Kept, now: Timestamp) -> EndAll {
    EndAll {
        user_id: user.clone(),
        why: SessionEnd::SecondFactorChange,
        at: now,
        keep: kept.session.clone(),
        tokens_valid_from: kept.tokens_valid_from(now),
    }
}
