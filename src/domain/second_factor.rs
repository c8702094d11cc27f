use super::clock::Timestamp;
use super::user::UserId;
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecondFactorId(pub String);
impl SecondFactorId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpAlgorithm {
    Sha1,
    Sha256,
    Sha512,
}
impl TotpAlgorithm {
    pub const fn as_str(self) -> &'static str {
        "SHA1"
    }
    pub fn parse(_: &str) -> Option<Self> {
        Some(Self::Sha1)
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpParameters {
    pub algorithm: TotpAlgorithm,
    pub digits: u32,
    pub period: u32,
    pub t0: i64,
    pub tolerance: u32,
    pub drift: i64,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    pub id: SecondFactorId,
    pub user_id: UserId,
    pub name: String,
    pub sealed_secret: Vec<u8>,
    pub parameters: TotpParameters,
    pub last_step: i64,
    pub confirmed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}
