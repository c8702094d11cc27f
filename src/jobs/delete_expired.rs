//! Deletes what nobody can use any more: sessions past their absolute end, challenges and reset links that are over, guesses
//! that count no longer, signing keys whose last token has expired, and old entries of the invalidation log.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::{Clock, Timestamp};
use crate::storage::Result;
use crate::storage::challenges::Challenges;
use crate::storage::guesses::Guesses;
use crate::storage::invalidations::Invalidations;
use crate::storage::password_resets::PasswordResets;
use crate::storage::sessions::Sessions;
use crate::storage::signing_keys::SigningKeys;

const BATCH: u32 = 500;
/// A session is kept this long after its end, so that a refresh token that comes back is still told from an unknown one.
const SESSIONS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Challenges and reset links: longer than the clocks of two nodes are apart.
const TICKETS_KEPT: Duration = Duration::from_secs(3600);
/// Far longer than any node takes to read the log.
const INVALIDATIONS_KEPT: Duration = Duration::from_secs(24 * 3600);

pub struct DeleteExpired {
    pub sessions: Arc<dyn Sessions>,
    pub challenges: Arc<dyn Challenges>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub guesses: Arc<dyn Guesses>,
    /// The longest window in which guesses of any kind count.
    pub guesses_kept: Duration,
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
        let deleted = self.all(Rows::Sessions, now).await?;
        for rows in [Rows::Challenges, Rows::PasswordResets, Rows::Guesses] {
            self.all(rows, now).await?;
        }
        self.signing_keys.delete_retired(now.minus(self.keys_kept)).await?;
        self.invalidations.prune(now.minus(INVALIDATIONS_KEPT)).await?;
        Ok(deleted)
    }

    async fn all(&self, rows: Rows, now: Timestamp) -> Result<u64> {
        let mut deleted = 0;
        loop {
            let batch = match rows {
                Rows::Sessions => self.sessions.delete_expired(now.minus(SESSIONS_KEPT), BATCH).await?,
                Rows::Challenges => self.challenges.delete_expired(now.minus(TICKETS_KEPT), BATCH).await?,
                Rows::PasswordResets => self.password_resets.delete_expired(now.minus(TICKETS_KEPT), BATCH).await?,
                Rows::Guesses => self.guesses.delete_idle(now.minus(self.guesses_kept), BATCH).await?,
            };
            deleted += batch;
            if batch < u64::from(BATCH) {
                return Ok(deleted);
            }
        }
    }
}

/// What there may be very many of.
#[derive(Clone, Copy)]
enum Rows {
    Sessions,
    Challenges,
    PasswordResets,
    Guesses,
}
