//! The end of a sign-in: everything that it uses up and everything that it makes, in one transaction.

use async_trait::async_trait;

use super::Result;
use super::guesses::Forgiveness;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::factor_proof::FactorProof;
use crate::domain::session::Session;

/// A sign-in whose proofs were found to be right.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// To be opened.
    pub session: Session,
    /// When the password that was checked had been set: another one since then makes the check worth nothing.
    pub password_changed_at: Timestamp,
    /// To be used up.
    pub challenge: Option<Digest>,
    pub proof: Option<FactorProof>,
    /// Guesses that were right.
    pub forgiven: Vec<Forgiveness>,
}

/// Anything but `Done` has written nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    Done,
    /// The user is gone or switched off, or has another password since the check.
    UserChanged,
    /// The user has a second factor, and there is no proof of it.
    ProofMissing,
    /// Somebody else has used the challenge.
    ChallengeSpent,
    /// Somebody else has used the code.
    ProofSpent,
}

#[async_trait]
pub trait SignIns: Send + Sync {
    async fn complete(&self, sign_in: &SignIn, change: &Change) -> Result<Completion>;
}
