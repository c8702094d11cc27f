//! Storage that remembers: decorators of the storage traits, so that nobody who uses a store knows whether a cache is
//! there.
//!
//! What is remembered is the record, never a verdict: expiry, scopes and routes are judged on every request. A change
//! made through a decorator is forgotten before the call returns; one made elsewhere when the invalidation log tells of
//! it, or a message before that; and if nothing tells, after `max_age`.
//!
//! Where there is a memory that nodes share, it stands between these and the store: [`second_level`].

pub mod announcement;
pub mod api_keys;
pub mod epochs;
pub mod propagation;
pub mod quotas;
mod records;
pub mod remembered;
pub mod second_level;
pub mod sessions;
pub mod users;

use std::sync::Arc;

use crate::domain::invalidation::{Epoch, Logged};
use crate::storage::invalidations::Heed;

/// Whoever can be told that something changed.
pub trait Forget: Send + Sync {
    fn forget(&self, change: &Logged);

    /// After some of the log up to here may have been missed.
    fn forget_all(&self, at: Epoch);

    /// Whatever the log holds up to here was told of.
    fn caught_up(&self, at: Epoch) {
        let _ = at;
    }
}

/// All caches of a process, as one to be told. They are told in this order.
#[derive(Clone, Default)]
pub struct Forgetters(Vec<Arc<dyn Forget>>);

impl Forgetters {
    pub fn new(all: Vec<Arc<dyn Forget>>) -> Self {
        Self(all)
    }
}

/// What this process has changed itself is forgotten at once, whichever store it was changed through.
impl Heed for Forgetters {
    fn heed(&self, change: &Logged) {
        // How long it took to get here is not asked: it was made here.
        self.forget(&Logged { written_at: None, ..change.clone() });
    }

    fn committed(&self, _: &[Logged]) {}
}

impl Forget for Forgetters {
    fn forget(&self, change: &Logged) {
        for one in &self.0 {
            one.forget(change);
        }
    }

    fn forget_all(&self, at: Epoch) {
        for one in &self.0 {
            one.forget_all(at);
        }
    }

    fn caught_up(&self, at: Epoch) {
        for one in &self.0 {
            one.caught_up(at);
        }
    }
}
