//! Argon2id (RFC 9106), kept as PHC strings.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

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

/// What a hash is computed in. Kept by who computes many: taking tens of mebibytes from the kernel and giving them back
/// holds the processor, in the kernel, for as long as a request takes, and a proxy worker that waits for it cannot have it.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        self.0.get_mut(..count).unwrap_or_default()
    }

    /// Gives back what is more than hashes of this cost need: a stored one may have asked for more.
    fn settle(&mut self, cost: Cost) {
        let most = usize::try_from(cost.memory_kib).unwrap_or(usize::MAX);
        if self.0.len() > most {
            self.0.truncate(most);
            self.0.shrink_to_fit();
        }
    }
}

/// Hashes. Takes tens of milliseconds and `memory_kib` of memory: only for `hashing_threads`.
pub fn hash(
    password: &Secret<String>,
    cost: Cost,
    random: &dyn Random,
    memory: &mut Memory,
) -> Result<PasswordHash, HashingFailed> {
    let failed = |problem: &dyn std::fmt::Display| HashingFailed(problem.to_string());
    let salt: [u8; 16] = random::bytes(random);
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).map_err(|e| failed(&e))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let output = compute(&hasher, password, &salt, Params::DEFAULT_OUTPUT_LEN, memory).map_err(|e| failed(&e))?;
    let phc = Phc {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|e| failed(&e))?,
        salt: Some(Salt::new(&salt).map_err(|e| failed(&e))?),
        hash: Some(output),
    };
    Ok(PasswordHash::new(phc.to_string()))
}

fn compute(
    hasher: &Argon2<'_>,
    password: &Secret<String>,
    salt: &[u8],
    length: usize,
    memory: &mut Memory,
) -> Result<Output, argon2::password_hash::Error> {
    let mut bytes = [0; Output::MAX_LENGTH];
    let out = bytes.get_mut(..length).ok_or(argon2::password_hash::Error::OutputSize)?;
    let blocks = memory.blocks(hasher.params().block_count());
    hasher.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, blocks)?;
    Ok(Output::new(out)?)
}

/// Verifies against a stored hash. A hash that cannot be read, or asks for more than the bounds, never matches.
pub fn verify(password: &Secret<String>, stored: &PasswordHash, wanted: Cost, memory: &mut Memory) -> Verdict {
    let Some((phc, params)) = parse(stored) else { return Verdict::Wrong };
    let matches = matches(password, &phc, &params, memory);
    memory.settle(wanted);
    if matches != Some(true) {
        return Verdict::Wrong;
    }
    let weak = params.m_cost() < wanted.memory_kib
        || params.t_cost() < wanted.iterations
        || phc.algorithm.as_str() != "argon2id";
    if weak { Verdict::RightButWeak } else { Verdict::Right }
}

/// `None` when it cannot be computed. Outputs compare in constant time.
fn matches(password: &Secret<String>, phc: &Phc, params: &Params, memory: &mut Memory) -> Option<bool> {
    let (salt, expected) = (phc.salt.as_ref()?, phc.hash.as_ref()?);
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
    let version = phc.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let hasher = Argon2::new(algorithm, version, params.clone());
    let computed = compute(&hasher, password, salt.as_ref(), expected.len(), memory).ok()?;
    Some(computed == *expected)
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
        let stored = hash(&secret("correct horse"), COST, &OsRandom::new(), &mut Memory::default()).unwrap();
        assert!(stored.text().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        assert_eq!(verify(&secret("correct horse"), &stored, COST, &mut Memory::default()), Verdict::Right);
        assert_eq!(verify(&secret("correct horse "), &stored, COST, &mut Memory::default()), Verdict::Wrong);
        assert_eq!(verify(&secret("correct horse\0"), &stored, COST, &mut Memory::default()), Verdict::Wrong);
        assert_eq!(verify(&secret(""), &stored, COST, &mut Memory::default()), Verdict::Wrong);
    }

    #[test]
    fn a_cheaper_hash_is_called_weak() {
        let stored = hash(&secret("x"), COST, &OsRandom::new(), &mut Memory::default()).unwrap();
        let dearer = Cost { memory_kib: 128, ..COST };
        assert_eq!(verify(&secret("x"), &stored, dearer, &mut Memory::default()), Verdict::RightButWeak);
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
            assert_eq!(
                verify(&secret("x"), &PasswordHash::new(text.to_owned()), COST, &mut Memory::default()),
                Verdict::Wrong,
                "{text}"
            );
        }
    }

    #[test]
    fn agrees_with_the_argon2id_vector_of_the_reference_implementation() {
        // phc-winner-argon2 test.c: version 0x13, t=2, m=2^16, p=1, "password", "somesalt".
        let stored = PasswordHash::new(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        );
        assert_eq!(verify(&secret("password"), &stored, COST, &mut Memory::default()), Verdict::Right);
    }
}
