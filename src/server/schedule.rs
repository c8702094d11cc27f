//! Which job runs how often, and who is told how it went.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::assemble::InForce;
use super::clock_job::ClockJob;
use super::foundation::Foundation;
use super::key_reload::KeyReload;
use super::rotation;
use super::shared::SharedGround;
use crate::cache::announcement::Listener;
use crate::identity::auditor::Auditor;
use crate::jobs;
use crate::jobs::delete_expired::Deleted;
use crate::jobs::follow_invalidations::FollowInvalidations;
use crate::jobs::survey_passwords::SurveyPasswords;
use crate::telemetry::metrics::MailOutcome;

/// How long a tunnel may outlive what it was let in with, at most.
const WATCH_TUNNELS_EVERY: Duration = Duration::from_secs(5);
/// How far behind the store's counts may be.
const RECORD_USES_EVERY: Duration = Duration::from_secs(3);
const DELETE_EXPIRED_EVERY: Duration = Duration::from_secs(600);
/// Far more often than keys are rotated, so that the time of their announcement is kept.
const ROTATE_KEYS_EVERY: Duration = Duration::from_secs(60);
/// An import is mostly one, and users who sign in for the first time after it are a few each hour.
const SURVEY_PASSWORDS_EVERY: Duration = Duration::from_secs(3600);
const WATCH_CLOCK_EVERY: Duration = Duration::from_secs(10);
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
    pub foundation: Arc<Foundation>,
    /// Each run goes by the configuration of its time.
    pub in_force: InForce,
}

/// Hearing what other nodes have changed.
pub struct Listening {
    pub shared: SharedGround,
    pub listener: Listener,
}

impl Schedule {
    /// Runs all of them until `end` turns true.
    pub fn start(self, runtime: &Handle, end: &watch::Receiver<bool>) {
        let Self { follow_invalidations, follow_every, wake, listening, key_reload, foundation, in_force } = self;
        if let Some(Listening { shared, listener }) = listening {
            runtime.spawn(shared.listen(listener, end.clone()));
        }
        let epoch = foundation.metrics.invalidation_epoch.clone();
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
        let (standing, watched) = (Arc::clone(&foundation.standing), Arc::clone(&in_force));
        jobs::spawn(runtime, WATCH_TUNNELS_EVERY, end.clone(), move || {
            let (standing, present) = (Arc::clone(&standing), watched.load_full());
            async move {
                let closed = standing.run_once(&present.regime).await;
                if closed > 0 {
                    tracing::info!(closed, "tunnels closed whose sessions, users or keys are over");
                }
            }
        });
        let deleting = Arc::clone(&in_force);
        jobs::spawn(runtime, DELETE_EXPIRED_EVERY, end.clone(), move || {
            let present = deleting.load_full();
            async move {
                match present.delete_expired.run_once().await {
                    Ok(deleted) if deleted == Deleted::default() => {}
                    Ok(deleted) => tracing::info!(?deleted, "what was over is deleted"),
                    Err(error) => tracing::warn!(%error, "what is over could not be deleted"),
                }
            }
        });
        let (rotating, grounds) = (Arc::clone(&in_force), Arc::clone(&foundation));
        jobs::spawn(runtime, ROTATE_KEYS_EVERY, end.clone(), move || {
            let (present, foundation) = (rotating.load_full(), Arc::clone(&grounds));
            async move {
                let Foundation { stores, nature, .. } = foundation.as_ref();
                let auditor = Auditor::new(
                    Arc::clone(&stores.audit),
                    Arc::clone(&present.audit_log) as _,
                    Arc::clone(&nature.clock),
                    Arc::clone(&nature.random),
                );
                match rotation::run_schedule(&present.settings, stores, nature, &auditor).await {
                    Ok(0) => {}
                    Ok(turned) => tracing::info!(turned, "signing keys announced or promoted"),
                    Err(error) => tracing::warn!(%error, "the signing keys could not be rotated"),
                }
            }
        });
        let (quotas, clock) = (Arc::clone(&foundation.quotas), Arc::clone(&foundation.nature.clock));
        jobs::spawn(runtime, WRITE_QUOTAS_EVERY, end.clone(), move || {
            let (quotas, now) = (Arc::clone(&quotas), clock.now());
            async move {
                if let Err(error) = quotas.write(now).await {
                    tracing::warn!(%error, "what was used of quotas could not be written; it is tried again");
                }
            }
        });
        let record_uses = Arc::clone(&foundation.record_uses);
        jobs::spawn(runtime, RECORD_USES_EVERY, end.clone(), move || {
            let record = Arc::clone(&record_uses);
            async move {
                if let Err(error) = record.run_once().await {
                    tracing::warn!(%error, "the use of keys could not be recorded; it is kept for the next time");
                }
            }
        });
        let (users, decoys) = (Arc::clone(&foundation.stores.users), Arc::clone(&foundation.decoys));
        let survey = Arc::new(SurveyPasswords { users, decoys });
        jobs::spawn(runtime, SURVEY_PASSWORDS_EVERY, end.clone(), move || {
            let survey = Arc::clone(&survey);
            async move {
                if let Err(error) = survey.run_once().await {
                    tracing::warn!(%error, "what kinds of passwords there are could not be found out");
                }
            }
        });
        let clock_job =
            Arc::new(ClockJob::start(Arc::clone(&foundation.nature.clock), Arc::clone(&foundation.metrics)));
        jobs::spawn(runtime, WATCH_CLOCK_EVERY, end.clone(), move || {
            let clock_job = Arc::clone(&clock_job);
            async move { clock_job.run_once() }
        });
        let metrics = Arc::clone(&foundation.metrics);
        jobs::spawn(runtime, SEND_MAIL_EVERY, end.clone(), move || {
            let (send, metrics) = (in_force.load().send_mail.clone(), Arc::clone(&metrics));
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
