//! A change under way: its transaction, and what this process must forget of it.

use std::sync::Weak;

use sqlx::{Any, AnyConnection, Transaction};

use super::invalidations::record;
use super::{audit, outbox};
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Invalidation, Logged};
use crate::storage::invalidations::Heed;

/// Rolled back unless it is committed.
pub struct Changing {
    transaction: Transaction<'static, Any>,
    told: Told,
}

/// Told when the change is over, whether it was committed, rolled back, or cut off with nobody knowing which.
struct Told {
    heed: Option<Weak<dyn Heed>>,
    changes: Vec<Logged>,
    committed: bool,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(heed) = self.heed.as_ref().and_then(Weak::upgrade) {
            for change in &self.changes {
                heed.heed(change);
            }
            if self.committed && !self.changes.is_empty() {
                heed.committed(&self.changes);
            }
        }
    }
}

impl Changing {
    pub(super) const fn new(transaction: Transaction<'static, Any>, heed: Option<Weak<dyn Heed>>) -> Self {
        Self { transaction, told: Told { heed, changes: Vec::new(), committed: false } }
    }

    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// What every node must forget of it. Takes the lock of the log, so it comes last; see the module's order of locks.
    pub(super) async fn forget(&mut self, what: Invalidation, now: Option<Timestamp>) -> sqlx::Result<()> {
        let epoch = record(&mut self.transaction, &what, now).await?;
        self.told.changes.push(Logged { epoch, what, written_at: now });
        Ok(())
    }

    /// What comes with it.
    pub(super) async fn write(&mut self, change: &Change) -> sqlx::Result<()> {
        audit::insert(&mut self.transaction, &change.audit).await?;
        for entry in &change.mail {
            outbox::insert(&mut self.transaction, entry).await?;
        }
        Ok(())
    }

    pub(super) async fn roll_back(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        let Self { transaction, mut told } = self;
        transaction.commit().await?;
        told.committed = true;
        Ok(())
    }
}
