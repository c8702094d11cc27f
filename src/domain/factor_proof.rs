//! What a user showed as the second factor, found to be right and not used up yet.

use super::second_factor::SecondFactorId;

/// Used up in the transaction of what it proves, by a compare-and-set: of any number of parallel uses, one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactorProof {
    /// A one-time code of this device. Its step must still be later than the device's last one.
    Totp { device: SecondFactorId, step: i64 },
    /// A recovery code, by the number of its row. It must not be used yet.
    RecoveryCode(RecoveryCodeId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecoveryCodeId(pub String);

impl FactorProof {
    /// Its name in `amr`. RFC 8176 has `otp` for one-time passwords of any kind; which kind it was stays visible.
    pub const fn amr(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "otp",
            Self::RecoveryCode(_) => "recovery_code",
        }
    }
}
