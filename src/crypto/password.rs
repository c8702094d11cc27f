//! Argon2id (RFC 9106), kept as PHC strings.

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::domain::random::{self, Random};
use crate::domain::secret::Secret;
use crate::domain::user::PasswordHash;

/// Bounds on the cost that a stored hash may ask for, so that a hostile row exhausts neither memory nor time.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_ITERATIONS: u32 = 16;
const MAX_PARALLELISM: u32 = 16;

/// The cost of a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

impl Cost {
    /// Whether a hash of this cost would be verified.
    pub const fn is_within_bounds(self) -> bool {
        self.memory_kib <= MAX_MEMORY_KIB && self.iterations <= MAX_ITERATIONS && self.parallelism <= MAX_PARALLELISM
    }
}

/// What came of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, and the stored hash is cheaper than a new one would be.
    RightButWeak,
    Wrong,
}

#[derive(Debug, thiserror::Error)]
#[error("Argon2 refused: {0}")]
pub struct HashingFailed(String);

impl HashingFailed {
    pub fn beyond_bounds() -> Self {
        Self("the configured cost is beyond what is accepted of a stored hash".to_owned())
    }
}

/// Hashes. Takes tens of milliseconds and `memory_kib` of memory: only for `hashing_threads`.
pub fn hash(password: &Secret<String>, cost: Cost, random: &dyn Random) -> Result<PasswordHash, HashingFailed> {
    let salt: [u8; 16] = random::bytes(random);
    let phc = argon2(cost)?
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|e| HashingFailed(e.to_string()))?;
    Ok(PasswordHash::new(phc.to_string()))
}

/// Verifies against a stored hash. A hash that cannot be read, or asks for more than the bounds, never matches.
pub fn verify(password: &Secret<String>, stored: &PasswordHash, wanted: Cost) -> Verdict {
    let Some((phc, params)) = parse(stored) else { return Verdict::Wrong };
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    if hasher.verify_password(password.expose().as_bytes(), &phc).is_err() {
        return Verdict::Wrong;
    }
    let weak = params.m_cost() < wanted.memory_kib
        || params.t_cost() < wanted.iterations
        || phc.algorithm.as_str() != "argon2id";
    if weak { Verdict::RightButWeak } else { Verdict::Right }
}

/// Whether a stored hash is of a form that [`verify`] reads.
pub fn is_readable(stored: &PasswordHash) -> bool {
    parse(stored).is_some()
}

fn parse(stored: &PasswordHash) -> Option<(Phc, Params)> {
    let phc = Phc::new(stored.text()).ok()?;
    let params = Params::try_from(&phc).ok()?;
    let bounded = params.m_cost() <= MAX_MEMORY_KIB
        && params.t_cost() <= MAX_ITERATIONS
        && params.p_cost() <= MAX_PARALLELISM
        && phc.algorithm.as_str().starts_with("argon2");
    bounded.then_some((phc, params))
}

fn argon2(cost: Cost) -> Result<Argon2<'static>, HashingFailed> {
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
        .map_err(|e| HashingFailed(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    const COST: Cost = Cost { memory_kib: 64, iterations: 2, parallelism: 1 };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn right_and_wrong_are_told_apart() {
        let stored = hash(&secret("correct horse"), COST, &OsRandom::new()).unwrap();
        assert!(stored.text().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        assert_eq!(verify(&secret("correct horse"), &stored, COST), Verdict::Right);
        assert_eq!(verify(&secret("correct horse "), &stored, COST), Verdict::Wrong);
        assert_eq!(verify(&secret("correct horse\0"), &stored, COST), Verdict::Wrong);
        assert_eq!(verify(&secret(""), &stored, COST), Verdict::Wrong);
    }

    #[test]
    fn a_cheaper_hash_is_called_weak() {
        let stored = hash(&secret("x"), COST, &OsRandom::new()).unwrap();
        let dearer = Cost { memory_kib: 128, ..COST };
        assert_eq!(verify(&secret("x"), &stored, dearer), Verdict::RightButWeak);
    }

    #[test]
    fn hostile_or_broken_rows_never_match() {
        for text in [
            "",
            "!",
            "plain",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0",
            "$scrypt$ln=1,r=1,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(verify(&secret("x"), &PasswordHash::new(text.to_owned()), COST), Verdict::Wrong, "{text}");
        }
    }

    #[test]
    fn agrees_with_the_argon2id_vector_of_the_reference_implementation() {
        // phc-winner-argon2 test.c: version 0x13, t=2, m=2^16, p=1, "password", "somesalt".
        let stored = PasswordHash::new(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        );
        assert_eq!(verify(&secret("password"), &stored, COST), Verdict::Right);
    }
}
