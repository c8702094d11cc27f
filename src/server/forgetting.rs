//! What a change elsewhere means for the gatekeeper, which remembers tokens and is no cache of records.

use std::sync::Arc;

use crate::access::gatekeeper::Gatekeeper;
use crate::cache::Forget;
use crate::domain::invalidation::Invalidation;

pub struct GatekeeperForgets(pub Arc<Gatekeeper>);

impl Forget for GatekeeperForgets {
    fn forget(&self, what: &Invalidation) {
        // Sessions, users and keys are asked of their stores on every request; only a signature's word is remembered.
        if *what == Invalidation::SigningKeys {
            self.0.forget_tokens();
        }
    }

    fn forget_all(&self) {
        self.0.forget_tokens();
    }
}
