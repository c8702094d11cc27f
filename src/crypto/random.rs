//! The operating system's randomness.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::domain::random::Random;

#[derive(Debug, Default)]
pub struct OsRandom(SystemRandom);

impl OsRandom {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Random for OsRandom {
    #[expect(
        clippy::panic,
        reason = "no input leads here, and to go on with predictable bytes would be worse than to stop"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            panic!("the operating system has no randomness");
        }
    }
}
