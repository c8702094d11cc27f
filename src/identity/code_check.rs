//! Whether a one-time code or a recovery code is one of the user's.

use std::sync::Arc;

use crate::crypto::keyed_digest::KeyedDigest;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::{recovery_code, totp};
use crate::domain::clock::Timestamp;
use crate::domain::factor_proof::FactorProof;
use crate::domain::otp_code::OtpCode;
use crate::domain::second_factor::SecondFactor;
use crate::domain::secret::Secret;
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::second_factors::SecondFactors;

/// What was typed as the second factor.
#[derive(Clone, Debug)]
pub enum Shown {
    Otp(Secret<String>),
    RecoveryCode(Secret<String>),
}

/// How one-time codes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeForm {
    /// Exactly the device's number of ASCII digits.
    Exact,
    /// As the Django stack reads them: a number, however written.
    Django,
}

pub struct CodeCheck {
    factors: Arc<dyn SecondFactors>,
    master_keys: Arc<MasterKeys>,
    form: CodeForm,
    /// For recovery codes that were taken over.
    imported_codes: Vec<KeyedDigest>,
}

impl CodeCheck {
    pub fn new(factors: Arc<dyn SecondFactors>, master_keys: Arc<MasterKeys>, form: CodeForm) -> Self {
        let imported_codes = recovery_code::imported_digests(&master_keys);
        Self { factors, master_keys, form, imported_codes }
    }

    /// The devices that count.
    pub async fn confirmed(&self, user: &UserId) -> Result<Vec<SecondFactor>, StoreError> {
        let mut devices = self.factors.of_user(user).await?;
        devices.retain(SecondFactor::is_confirmed);
        Ok(devices)
    }

    pub async fn recovery_codes_left(&self, user: &UserId) -> Result<u64, StoreError> {
        self.factors.recovery_codes_left(user).await
    }

    /// What the code proves, if anything. It is not used up yet: that belongs into the transaction of what it proves.
    pub async fn prove(&self, user: &UserId, shown: &Shown, now: Timestamp) -> Result<Option<FactorProof>, StoreError> {
        match shown {
            Shown::Otp(code) => {
                for device in self.confirmed(user).await? {
                    if let Some(step) = self.step_of(&device, code, now)? {
                        return Ok(Some(FactorProof::Totp { device: device.id, step }));
                    }
                }
                Ok(None)
            }
            Shown::RecoveryCode(code) => {
                let digests = recovery_code::digests_of_typed(user, code.expose(), &self.imported_codes);
                let found = self.factors.find_recovery_code(user, &digests).await?;
                Ok(found.map(FactorProof::RecoveryCode))
            }
        }
    }

    /// The step that a device shows this code in, if it is one of those that count.
    pub fn step_of(
        &self,
        device: &SecondFactor,
        code: &Secret<String>,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let parameters = &device.parameters;
        let code = match self.form {
            CodeForm::Exact => OtpCode::parse(code.expose(), parameters.digits),
            CodeForm::Django => OtpCode::parse_lenient(code.expose()),
        };
        let Ok(code) = code else { return Ok(None) };
        let secret = self.secret_of(device)?;
        Ok(totp::find_step(&secret, parameters, device.last_step, &code, now))
    }

    /// A secret that does not open is our fault, not a wrong code.
    fn secret_of(&self, device: &SecondFactor) -> Result<Secret<Vec<u8>>, StoreError> {
        let opened = self.master_keys.open(&totp::sealing_purpose(&device.id), &device.sealed_secret);
        opened.map_err(|fault| StoreError::Corrupt(format!("second factor {}: {fault}", device.id)))
    }
}
