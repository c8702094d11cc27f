//! Taking over signing keys that were rotated by another process, without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::assemble::InForce;
use super::foundation::Foundation;
use super::keyrings::read_keys;
use super::start_error::StartError;
use crate::cache::Forget;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};

/// Is told by the invalidation log, and reads the keys when it is next run.
pub struct KeyReload {
    pub foundation: Arc<Foundation>,
    pub in_force: InForce,
    pub due: AtomicBool,
}

impl Forget for KeyReload {
    fn forget(&self, change: &Logged) {
        // Sessions, users and keys are asked of their stores on every request; only a signature's word is remembered.
        if change.what == Invalidation::SigningKeys {
            self.forget_all(change.epoch);
        }
    }

    fn forget_all(&self, _: Epoch) {
        self.due.store(true, Ordering::SeqCst);
    }
}

impl KeyReload {
    /// Reads the keys if they may have changed. When that fails, the present ones stay and it is tried again.
    pub async fn run_once(&self) -> Result<(), StartError> {
        if !self.due.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let assembly = self.in_force.load_full();
        let read = read_keys(&assembly.settings, &self.foundation.stores, &self.foundation.nature).await;
        let (tokens, assertions) = read.inspect_err(|_| self.due.store(true, Ordering::SeqCst))?;
        assembly.keyrings.tokens.replace(tokens);
        assembly.keyrings.assertions.replace(assertions);
        // A remembered token may have lost the key that vouched for it.
        assembly.regime.gatekeeper.forget_tokens();
        Ok(())
    }
}
