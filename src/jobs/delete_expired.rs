//! Deletes what nobody can use any more: sessions past their absolute end, signing keys whose last token has expired, and
//! old entries of the invalidation log.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::storage::Result;
use crate::storage::invalidations::Invalidations;
use crate::storage::sessions::Sessions;
use crate::storage::signing_keys::SigningKeys;

const BATCH: u32 = 500;
/// A session is kept this long after its end, so that a refresh token that comes back is still told from an unknown one.
const SESSIONS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Far longer than any node takes to read the log.
const INVALIDATIONS_KEPT: Duration = Duration::from_secs(24 * 3600);

pub struct DeleteExpired {
    pub sessions: Arc<dyn Sessions>,
    pub invalidations: Arc<dyn Invalidations>,
    pub signing_keys: Arc<dyn SigningKeys>,
    /// How long a retired key may still be needed: the longest life of a token that it signed.
    pub keys_kept: Duration,
    pub clock: Arc<dyn Clock>,
}

impl DeleteExpired {
    /// In batches, so that no write holds up a sign-in for long. How many sessions went.
    pub async fn run_once(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut deleted = 0;
        loop {
            let batch = self.sessions.delete_expired(now.minus(SESSIONS_KEPT), BATCH).await?;
            deleted += batch;
            if batch < u64::from(BATCH) {
                break;
            }
        }
        self.signing_keys.delete_retired(now.minus(self.keys_kept)).await?;
        self.invalidations.prune(now.minus(INVALIDATIONS_KEPT)).await?;
        Ok(deleted)
    }
}
