//! Second factors and recovery codes.

use async_trait::async_trait;

use super::Result;
use super::sessions::EndAll;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::factor_proof::{FactorProof, RecoveryCodeId};
use crate::domain::second_factor::{SecondFactor, SecondFactorId};
use crate::domain::user::UserId;

/// A device that has shown its first code.
#[derive(Clone, Debug)]
pub struct Confirmation {
    pub device: SecondFactorId,
    /// The step of the code that was shown.
    pub step: i64,
    pub at: Timestamp,
    /// New codes instead of all there are; `None` leaves them.
    pub recovery_codes: Option<Vec<RecoveryCode>>,
    /// The user's other sessions end.
    pub end: EndAll,
}

/// A recovery code as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCode {
    pub id: RecoveryCodeId,
    pub digest: Digest,
}

/// What came of a change that a proof was shown for. Anything but `Done` has written nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    Done,
    /// Somebody else has used the code, or there is no such device or user any more.
    ProofSpent,
}

#[async_trait]
pub trait SecondFactors: Send + Sync {
    /// All devices of a user, unconfirmed ones too, the newest first.
    async fn of_user(&self, user: &UserId) -> Result<Vec<SecondFactor>>;

    /// Deletes the user's unconfirmed devices and stores this one, in one transaction. Without a proof only for who has no
    /// confirmed device, [`Proven::ProofSpent`] otherwise; with one, it is used up first.
    async fn begin(&self, device: &SecondFactor, proof: Option<&FactorProof>, change: &Change) -> Result<Proven>;

    /// Makes a device count from now on, in one transaction with all that follows from it.
    async fn confirm(&self, confirmation: &Confirmation, change: &Change) -> Result<Proven>;

    /// Deletes all devices and recovery codes of a user and ends sessions, in one transaction. With a proof, it is used up
    /// first. How many devices there were is not told.
    async fn remove_all(&self, end: &EndAll, proof: Option<&FactorProof>, change: &Change) -> Result<Proven>;

    /// Recovery codes that are left.
    async fn recovery_codes_left(&self, user: &UserId) -> Result<u64>;

    /// The unused recovery code with one of these digests.
    async fn find_recovery_code(&self, user: &UserId, digests: &[Digest]) -> Result<Option<RecoveryCodeId>>;

    /// New recovery codes instead of all there are, in one transaction with using up the proof.
    async fn replace_recovery_codes(
        &self,
        user: &UserId,
        codes: &[RecoveryCode],
        proof: &FactorProof,
        now: Timestamp,
        change: &Change,
    ) -> Result<Proven>;

    /// Every device, by id, after `after`, at most `limit`: for sealing them anew.
    async fn list(&self, after: Option<&SecondFactorId>, limit: u32) -> Result<Vec<SecondFactor>>;

    /// Replaces a sealed secret by the same one sealed otherwise, unless it has changed since `seen` was read.
    async fn reseal(&self, id: &SecondFactorId, seen: &[u8], sealed: &[u8]) -> Result<bool>;
}
