//! Checking and setting passwords: every check costs the same, whoever it is for.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::crypto::hashing_threads::{Busy, HashingThreads, Slot};
use crate::crypto::password::{self, Cost, HashingFailed, Verdict};
use crate::crypto::stored_password;
use crate::domain::password_policy::{AboutUser, PasswordPolicy, Weakness};
use crate::domain::random::Random;
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

pub struct Passwords {
    threads: Arc<HashingThreads>,
    cost: Cost,
    policy: PasswordPolicy,
    random: Arc<dyn Random>,
    /// What a password is checked against when there is no user: no password matches it, and it costs what a real one
    /// costs.
    decoy: OnceCell<PasswordHash>,
}

/// All that is wrong with a password; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentences().join(" "))]
pub struct Unfit(pub Vec<Weakness>);

impl Unfit {
    /// For the person who chose it, in the order in which they are told.
    pub fn sentences(&self) -> Vec<String> {
        self.0.iter().map(Weakness::to_string).collect()
    }
}

impl Passwords {
    /// Refuses a cost that is beyond what is ever verified: it would lock everybody out.
    pub fn new(
        threads: Arc<HashingThreads>,
        cost: Cost,
        policy: PasswordPolicy,
        random: Arc<dyn Random>,
    ) -> Result<Self, HashingFailed> {
        if !cost.is_within_bounds() {
            return Err(HashingFailed::beyond_bounds());
        }
        Ok(Self { threads, cost, policy, random, decoy: OnceCell::new() })
    }

    /// Made at the first check, whoever that is for, so that a gateway nobody signs in to does not hold a hash's memory.
    async fn decoy(&self) -> Result<&PasswordHash, Busy> {
        let make = || self.hash(Secret::new(MadeUp::text(self.random.as_ref())));
        self.decoy.get_or_try_init(make).await
    }

    /// Refused before it is hashed.
    pub fn check_length(&self, password: &Secret<String>) -> Result<(), Unfit> {
        self.policy.too_long(password.expose()).map_or(Ok(()), |too_long| Err(Unfit(vec![too_long])))
    }

    /// Whether a password may be set for this user.
    pub fn check_fitness(&self, password: &Secret<String>, about: &AboutUser<'_>) -> Result<(), Unfit> {
        let weaknesses = self.policy.judge(password.expose(), about);
        if weaknesses.is_empty() { Ok(()) } else { Err(Unfit(weaknesses)) }
    }

    /// A place for one check. Taken before the attempt is counted, because counting costs a write.
    pub fn slot(&self) -> Result<Slot, Busy> {
        self.threads.slot()
    }

    /// Compares with a stored hash, or with the decoy when there is none; either way one hash is computed.
    pub async fn verify(
        &self,
        slot: Slot,
        password: Secret<String>,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, Busy> {
        let decoy = self.decoy().await?;
        let readable = stored.filter(|stored| stored_password::is_readable(stored));
        let known = readable.is_some();
        let (against, cost) = (readable.unwrap_or(decoy).clone(), self.cost);
        let verdict =
            self.threads.run_in(slot, move |memory| stored_password::verify(&password, &against, cost, memory)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    pub async fn hash(&self, password: Secret<String>) -> Result<PasswordHash, Busy> {
        let (cost, random) = (self.cost, Arc::clone(&self.random));
        self.threads
            .run(move |memory| password::hash(&password, cost, random.as_ref(), memory))
            .await?
            .map_err(|_| Busy)
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(37, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_made_up_password_may_be_set() {
        let random = Counting(0.into());
        let about = AboutUser { username: "admin", email: "admin@example.com", ..AboutUser::default() };
        for _ in 0..100 {
            assert_eq!(PasswordPolicy::default().judge(&MadeUp::text(&random), &about), []);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let unfit = Unfit(vec![Weakness::TooShort(8), Weakness::TooCommon]);
        let sentences =
            ["This password is too short. It must contain at least 8 characters.", "This password is too common."];
        assert_eq!(unfit.sentences(), sentences);
        assert_eq!(unfit.to_string(), sentences.join(" "));
    }
}
