//! Checking and setting passwords: every check costs the same, whoever it is for.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::crypto::hashing_threads::{Busy, HashingThreads};
use crate::crypto::password::{self, Cost, HashingFailed, Verdict};
use crate::domain::random::Random;
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

pub struct Passwords {
    threads: Arc<HashingThreads>,
    cost: Cost,
    lengths: Lengths,
    random: Arc<dyn Random>,
    /// What a password is checked against when there is no user: no password matches it, and it costs what a real one
    /// costs.
    decoy: OnceCell<PasswordHash>,
}

/// The shortest password that may be set, in characters, and the longest that is looked at, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    pub min: usize,
    pub max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("This password is too short. It must contain at least {0} characters.")]
    TooShort(usize),
    #[error("Ensure this field has no more than {0} bytes.")]
    TooLong(usize),
}

impl Passwords {
    /// Refuses a cost that is beyond what is ever verified: it would lock everybody out.
    pub fn new(
        threads: Arc<HashingThreads>,
        cost: Cost,
        lengths: Lengths,
        random: Arc<dyn Random>,
    ) -> Result<Self, HashingFailed> {
        if !cost.is_within_bounds() {
            return Err(HashingFailed::beyond_bounds());
        }
        Ok(Self { threads, cost, lengths, random, decoy: OnceCell::new() })
    }

    /// Made at the first check, whoever that is for, so that a gateway nobody signs in to does not hold a hash's memory.
    async fn decoy(&self) -> Result<&PasswordHash, Busy> {
        let make = || self.hash(Secret::new(MadeUp::text(self.random.as_ref())));
        self.decoy.get_or_try_init(make).await
    }

    /// Refused before it is hashed.
    pub fn check_length(&self, password: &Secret<String>) -> Result<(), Unfit> {
        if password.expose().len() > self.lengths.max { Err(Unfit::TooLong(self.lengths.max)) } else { Ok(()) }
    }

    /// Whether a password may be set.
    pub fn check_fitness(&self, password: &Secret<String>) -> Result<(), Unfit> {
        self.check_length(password)?;
        if password.expose().chars().count() < self.lengths.min {
            return Err(Unfit::TooShort(self.lengths.min));
        }
        Ok(())
    }

    /// Compares with a stored hash, or with the decoy when there is none; either way one hash is computed.
    pub async fn verify(&self, password: Secret<String>, stored: Option<&PasswordHash>) -> Result<Verdict, Busy> {
        let decoy = self.decoy().await?;
        let readable = stored.filter(|stored| password::is_readable(stored));
        let known = readable.is_some();
        let (against, cost) = (readable.unwrap_or(decoy).clone(), self.cost);
        let verdict = self.threads.run(move || password::verify(&password, &against, cost)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    pub async fn hash(&self, password: Secret<String>) -> Result<PasswordHash, Busy> {
        let (cost, random) = (self.cost, Arc::clone(&self.random));
        self.threads.run(move || password::hash(&password, cost, random.as_ref())).await?.map_err(|_| Busy)
    }

    /// Passwords that wait to be hashed or are being hashed.
    pub fn waiting(&self) -> usize {
        self.threads.waiting()
    }
}

/// A password nobody knows.
pub struct MadeUp;

impl MadeUp {
    /// 24 characters of base64url: 144 bits.
    pub fn text(random: &dyn Random) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(crate::domain::random::bytes::<18>(random))
    }
}
