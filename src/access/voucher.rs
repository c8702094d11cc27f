//! Vouching for an admitted caller towards one upstream.

use std::sync::Arc;
use std::time::Duration;

use crate::crypto::assertion::AssertionWriter;
use crate::crypto::tokens::Keys;
use crate::domain::clock::Timestamp;
use crate::domain::principal::Principal;
use crate::domain::random::Random;

pub struct Voucher {
    writer: AssertionWriter,
    keys: Keys,
    random: Arc<dyn Random>,
}

/// The statement could not be signed, and a caller without one must not pass for anonymous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion could not be signed")]
pub struct NotVouched;

impl Voucher {
    pub fn new(writer: AssertionWriter, keys: Keys, random: Arc<dyn Random>) -> Self {
        Self { writer, keys, random }
    }

    /// A signed assertion about `principal` for the upstream of this name.
    pub fn vouch(&self, principal: &Principal, upstream: &str, now: Timestamp) -> Result<String, NotVouched> {
        let keys = self.keys.current();
        self.writer.write(principal, upstream, keys.active(), now, self.random.as_ref()).map_err(|_| NotVouched)
    }

    /// How long an assertion may be handed out again: half its life, so that the upstream always has the other half.
    pub fn reuse(&self) -> Duration {
        self.writer.lifetime / 2
    }
}
