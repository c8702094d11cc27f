//! Deletes what nobody can use any more: sessions past their absolute end, challenges and reset links that are over, guesses
//! that count no longer, quotas of past months, events that have been kept long enough, signing keys whose last token has expired, and old entries
//! of the invalidation log.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::storage::Result;
use crate::storage::audit::AuditTrail;
use crate::storage::challenges::Challenges;
use crate::storage::guesses::Guesses;
use crate::storage::invalidations::Invalidations;
use crate::storage::password_resets::PasswordResets;
use crate::storage::quotas::Quotas;
use crate::storage::sessions::Sessions;
use crate::storage::signing_keys::SigningKeys;

const BATCH: u32 = 500;
/// A session is kept this long after its end, so that a refresh token that comes back is still told from an unknown one.
const SESSIONS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Challenges and reset links: longer than the clocks of two nodes are apart.
const TICKETS_KEPT: Duration = Duration::from_secs(3600);
/// Far longer than any node takes to read the log.
const INVALIDATIONS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Longer than a month.
const QUOTAS_KEPT: Duration = Duration::from_secs(62 * 24 * 3600);

pub struct DeleteExpired {
    pub sessions: Arc<dyn Sessions>,
    pub challenges: Arc<dyn Challenges>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub guesses: Arc<dyn Guesses>,
    pub audit: Arc<dyn AuditTrail>,
    pub invalidations: Arc<dyn Invalidations>,
    pub signing_keys: Arc<dyn SigningKeys>,
    pub quotas: Arc<dyn Quotas>,
    /// For how long a guess may still count.
    pub guesses_kept: Duration,
    pub audit_kept: Duration,
    /// How long a retired key may still be needed: the longest life of a token that it signed.
    pub keys_kept: Duration,
    pub clock: Arc<dyn Clock>,
}

/// How much of each went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub sessions: u64,
    pub challenges: u64,
    pub password_resets: u64,
    pub guesses: u64,
    pub audit_events: u64,
}

impl DeleteExpired {
    pub async fn run_once(&self) -> Result<Deleted> {
        let now = self.clock.now();
        let deleted = Deleted {
            sessions: all(|| self.sessions.delete_expired(now.minus(SESSIONS_KEPT), BATCH)).await?,
            challenges: all(|| self.challenges.delete_expired(now.minus(TICKETS_KEPT), BATCH)).await?,
            password_resets: all(|| self.password_resets.delete_expired(now.minus(TICKETS_KEPT), BATCH)).await?,
            guesses: all(|| self.guesses.delete_idle(now.minus(self.guesses_kept), BATCH)).await?,
            audit_events: all(|| self.audit.delete_before(now.minus(self.audit_kept), BATCH)).await?,
        };
        self.signing_keys.delete_retired(now.minus(self.keys_kept)).await?;
        self.invalidations.prune(now.minus(INVALIDATIONS_KEPT)).await?;
        self.quotas.prune(now.minus(QUOTAS_KEPT)).await?;
        Ok(deleted)
    }
}

/// In batches, so that no write holds up a sign-in for long.
async fn all<F: Future<Output = Result<u64>>>(batch: impl Fn() -> F) -> Result<u64> {
    let mut deleted = 0;
    loop {
        let gone = batch().await?;
        deleted += gone;
        if gone < u64::from(BATCH) {
            return Ok(deleted);
        }
    }
}
