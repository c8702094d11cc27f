//! Looks whether the system clock was set.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::clock::Clock;
use crate::domain::clock_step::ClockWatch;
use crate::telemetry::metrics::Metrics;

/// Whatever expires, expires by the wall clock, which is asked on every request. So a step forward ends tokens early and
/// one back lets them live on, and the operator has to know.
pub struct ClockJob {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    since: Instant,
    watch: Mutex<ClockWatch>,
}

impl ClockJob {
    pub fn start(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let since = Instant::now();
        let watch = Mutex::new(ClockWatch::start(clock.now(), since.elapsed()));
        Self { clock, metrics, since, watch }
    }

    pub fn run_once(&self) {
        let step = self.watch.lock().look(self.clock.now(), self.since.elapsed());
        if let Some(step) = step {
            self.metrics.clock_step(step.direction);
            tracing::error!(
                direction = step.direction.as_str(),
                seconds = step.by.as_secs(),
                "the system clock was set, or the machine slept: tokens and keys expire by the new time"
            );
        }
    }
}
