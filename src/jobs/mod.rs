//! What runs by the clock: one job per file. Each has a `run_once`, so that a test can call it; [`spawn`] repeats it.

pub mod delete_expired;
pub mod follow_invalidations;
pub mod record_uses;
pub mod send_mail;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Runs `job` at once and then every `interval`, one run at a time, until `stop` turns true.
pub fn spawn<J, F>(runtime: &Handle, interval: Duration, mut stop: watch::Receiver<bool>, job: J)
where
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
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    });
}
