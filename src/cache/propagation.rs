//! How long changes made elsewhere took to get here.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Forget;
use crate::domain::clock::Clock;
use crate::domain::invalidation::{Epoch, Logged};
use crate::telemetry::metrics::Metrics;

/// More that were heard of before the log told of them are not kept apart.
const MOST_AHEAD: usize = 10_000;

/// Told after all who forget. A change counts once, when it is first told of.
pub struct Propagation {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// What was heard of and does not stand in the log yet, as far as it was read.
    ahead: Mutex<BTreeSet<Epoch>>,
}

impl Propagation {
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics, ahead: Mutex::default() }
    }
}

impl Forget for Propagation {
    fn forget(&self, change: &Logged) {
        let mut ahead = self.ahead.lock();
        if ahead.len() >= MOST_AHEAD {
            ahead.clear();
        }
        if ahead.insert(change.epoch)
            && let Some(written_at) = change.written_at
        {
            self.metrics.revocation_propagation.observe(self.clock.now().since(written_at).as_secs_f64());
        }
    }

    fn forget_all(&self, _: Epoch) {
        self.ahead.lock().clear();
    }

    fn caught_up(&self, at: Epoch) {
        let mut ahead = self.ahead.lock();
        *ahead = ahead.split_off(&Epoch(at.0.saturating_add(1)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::Forgetters;
    use crate::domain::clock::{ManualClock, Timestamp};
    use crate::domain::invalidation::Invalidation;
    use crate::storage::invalidations::Heed;

    #[test]
    fn a_change_made_elsewhere_is_measured_once_and_one_of_our_own_never() {
        let at = Timestamp::from_secs(1000);
        let metrics = Arc::new(Metrics::new().unwrap());
        let clock = ManualClock::at(at.plus(Duration::from_millis(250)));
        let propagation = Arc::new(Propagation::new(Arc::new(clock), Arc::clone(&metrics)));
        let all = Forgetters::new(vec![Arc::clone(&propagation) as _]);
        let change = |epoch| Logged { epoch: Epoch(epoch), what: Invalidation::SigningKeys, written_at: Some(at) };
        let measured = || metrics.revocation_propagation.get_sample_count();

        all.heed(&change(1));
        all.forget(&change(1));
        assert_eq!(measured(), 0);
        for _ in 0..3 {
            all.forget(&change(3));
        }
        all.forget(&change(2));
        assert_eq!((measured(), metrics.revocation_propagation.get_sample_sum()), (2, 0.5));
        all.caught_up(Epoch(2));
        all.forget(&change(3));
        assert_eq!(measured(), 2, "heard of before the log told");
        all.caught_up(Epoch(3));
        assert!(propagation.ahead.lock().is_empty());
    }
}
