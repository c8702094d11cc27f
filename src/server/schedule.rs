//! Which job runs how often, and who is told how it went.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::key_reload::KeyReload;
use super::shared::SharedGround;
use crate::cache::announcement::Listener;
use crate::cache::quotas::QuotaBook;
use crate::domain::clock::Clock;
use crate::edge::standing::StandingTunnels;
use crate::jobs;
use crate::jobs::delete_expired::{DeleteExpired, Deleted};
use crate::jobs::follow_invalidations::FollowInvalidations;
use crate::jobs::record_uses::RecordUses;
use crate::jobs::send_mail::SendMail;
use crate::telemetry::metrics::{MailOutcome, Metrics};

/// How long a tunnel may outlive what it was let in with, at most.
const WATCH_TUNNELS_EVERY: Duration = Duration::from_secs(5);
/// How far behind the store's counts may be.
const RECORD_USES_EVERY: Duration = Duration::from_secs(3);
const DELETE_EXPIRED_EVERY: Duration = Duration::from_secs(600);
/// What somebody waits for who has just asked for it.
const SEND_MAIL_EVERY: Duration = Duration::from_secs(1);
/// What a node that is killed forgets of quotas, and what nodes without shared counters do not know of each other.
const WRITE_QUOTAS_EVERY: Duration = Duration::from_secs(1);

pub struct Schedule {
    pub follow_invalidations: Arc<FollowInvalidations>,
    pub follow_every: Duration,
    /// Has the log read before the next time comes.
    pub wake: Arc<Notify>,
    pub listening: Option<Listening>,
    pub key_reload: Arc<KeyReload>,
    pub standing: Arc<StandingTunnels>,
    pub delete_expired: Arc<DeleteExpired>,
    pub record_uses: Arc<RecordUses>,
    pub send_mail: SendMail,
    pub quotas: Arc<QuotaBook>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
}

/// Hearing what other nodes have changed.
pub struct Listening {
    pub shared: SharedGround,
    pub listener: Listener,
}

impl Schedule {
    /// Runs all of them until `end` turns true.
    pub fn start(self, runtime: &Handle, end: &watch::Receiver<bool>) {
        let Self { follow_invalidations, follow_every, wake, listening, .. } = self;
        let Self { key_reload, standing, delete_expired, record_uses, send_mail, quotas, clock, metrics, .. } = self;
        let epoch = metrics.invalidation_epoch.clone();
        if let Some(Listening { shared, listener }) = listening {
            runtime.spawn(shared.listen(listener, end.clone()));
        }
        jobs::spawn_woken(runtime, follow_every, wake, end.clone(), move || {
            let (follow, reload, epoch) = (Arc::clone(&follow_invalidations), Arc::clone(&key_reload), epoch.clone());
            async move {
                match follow.run_once().await {
                    Ok(()) => epoch.set(follow.applied().0),
                    Err(error) => tracing::warn!(%error, "the invalidation log could not be read"),
                }
                if let Err(error) = reload.run_once().await {
                    tracing::warn!(%error, "the signing keys could not be read again; the present ones stay");
                }
            }
        });
        jobs::spawn(runtime, WATCH_TUNNELS_EVERY, end.clone(), move || {
            let standing = Arc::clone(&standing);
            async move {
                let closed = standing.run_once().await;
                if closed > 0 {
                    tracing::info!(closed, "tunnels closed whose sessions, users or keys are over");
                }
            }
        });
        jobs::spawn(runtime, DELETE_EXPIRED_EVERY, end.clone(), move || {
            let delete = Arc::clone(&delete_expired);
            async move {
                match delete.run_once().await {
                    Ok(deleted) if deleted == Deleted::default() => {}
                    Ok(deleted) => tracing::info!(?deleted, "what was over is deleted"),
                    Err(error) => tracing::warn!(%error, "what is over could not be deleted"),
                }
            }
        });
        jobs::spawn(runtime, WRITE_QUOTAS_EVERY, end.clone(), move || {
            let (quotas, now) = (Arc::clone(&quotas), clock.now());
            async move {
                if let Err(error) = quotas.write(now).await {
                    tracing::warn!(%error, "what was used of quotas could not be written; it is tried again");
                }
            }
        });
        jobs::spawn(runtime, RECORD_USES_EVERY, end.clone(), move || {
            let record = Arc::clone(&record_uses);
            async move {
                if let Err(error) = record.run_once().await {
                    tracing::warn!(%error, "the use of keys could not be recorded; it is kept for the next time");
                }
            }
        });
        jobs::spawn(runtime, SEND_MAIL_EVERY, end.clone(), move || {
            let (send, metrics) = (send_mail.clone(), Arc::clone(&metrics));
            async move {
                match send.run_once().await {
                    Ok(tally) => {
                        metrics.mail(MailOutcome::Sent, tally.sent);
                        metrics.mail(MailOutcome::PutOff, tally.put_off);
                        metrics.mail(MailOutcome::GivenUp, tally.given_up);
                        metrics.mail(MailOutcome::Dropped, tally.unsendable);
                    }
                    Err(error) => tracing::warn!(%error, "the outbox could not be read or written"),
                }
                if let Ok(waiting) = send.outbox.count().await {
                    metrics.mail_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
                }
            }
        });
    }
}
