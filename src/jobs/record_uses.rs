//! Takes what was counted of the use of keys to the store.

use std::sync::Arc;

use crate::domain::key_tally::KeyTally;
use crate::storage::Result;
use crate::storage::api_keys::ApiKeys;

/// Keys in one transaction: it holds the store's writers up no longer than any other.
const BATCH: usize = 200;

pub struct RecordUses {
    pub keys: Arc<dyn ApiKeys>,
    pub tally: KeyTally,
}

impl RecordUses {
    /// What the store does not take is kept for the next time. One that took it and could not say so counts it twice: a count
    /// is for people to look at.
    pub async fn run_once(&self) -> Result<()> {
        let mut uses = self.tally.take();
        while !uses.is_empty() {
            let rest = uses.split_off(uses.len().min(BATCH));
            if let Err(error) = self.keys.add_uses(&uses).await {
                uses.extend(rest);
                self.tally.put_back(uses);
                return Err(error);
            }
            uses = rest;
        }
        Ok(())
    }
}
