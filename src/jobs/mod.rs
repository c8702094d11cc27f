//! What runs by the clock: one job per file. Each has a `run_once`, so that a test can call it; [`spawn`] repeats it.

pub mod delete_expired;
pub mod follow_invalidations;
pub mod record_uses;
pub mod send_mail;
pub mod survey_passwords;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, sleep};

/// Between two runs that were called for, however often they are.
const BREATH: Duration = Duration::from_millis(20);

/// Runs `job` at once and then every `interval`, one run at a time, until `stop` turns true.
pub fn spawn<J, F>(runtime: &Handle, interval: Duration, stop: watch::Receiver<bool>, job: J)
where
    J: Fn() -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    spawn_woken(runtime, interval, Arc::default(), stop, job);
}

/// As [`spawn`], and also when `wake` calls for it.
pub fn spawn_woken<J, F>(
    runtime: &Handle,
    interval: Duration,
    wake: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
    job: J,
) where
    J: Fn() -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    runtime.spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        // A run that was late must not be followed by a burst of others.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if *stop.borrow() {
                return;
            }
            tokio::select! {
                _ = ticks.tick() => job().await,
                () = wake.notified() => {
                    job().await;
                    sleep(BREATH).await;
                }
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    });
}
