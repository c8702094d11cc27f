//! Whether something that fails is still asked.
//!
//! ```text
//! Closed  -- so many failures in a row --> Open
//! Open    -- rested -------------------> Probing: one trial
//! Probing -- success ------------------> Closed
//! Probing -- failure ------------------> Open
//! ```
//!
//! Time is always an argument; nothing here reads a clock.

use std::time::Duration;

use super::clock::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row after which nobody asks any more.
    pub failures: u32,
    /// How long nobody asks, and how long a trial may take before there is another.
    pub rest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    Probing { until: Timestamp },
}

#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    rules: BreakerRules,
    state: State,
}

impl CircuitBreaker {
    pub const fn new(rules: BreakerRules) -> Self {
        Self { rules, state: State::Closed { failures: 0 } }
    }

    /// Whether ordinary calls are made. Trials are not theirs: no request waits for what is probably still gone.
    pub const fn admits(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Takes the one trial that is due, if one is.
    pub fn try_probe(&mut self, now: Timestamp) -> bool {
        match self.state {
            // Whoever took the last trial may be gone without a word.
            State::Open { until } | State::Probing { until } if until <= now => {
                self.state = State::Probing { until: now.plus(self.rules.rest) };
                true
            }
            _ => false,
        }
    }

    /// An answer, whoever it was for. `true` when it closes the circuit.
    pub fn succeeded(&mut self) -> bool {
        let closes = !self.admits();
        self.state = State::Closed { failures: 0 };
        closes
    }

    /// `true` when this opens the circuit.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        let open = State::Open { until: now.plus(self.rules.rest) };
        match self.state {
            State::Closed { failures } if failures + 1 < self.rules.failures => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                self.state = open;
                true
            }
            State::Probing { .. } => {
                self.state = open;
                false
            }
            // A call that began before it opened. The rest is not made longer by it.
            State::Open { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: BreakerRules = BreakerRules { failures: 3, rest: Duration::from_millis(500) };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_a_trial() {
        let mut breaker = CircuitBreaker::new(RULES);
        assert!(!breaker.failed(at(0)) && !breaker.failed(at(1)));
        assert!(!breaker.succeeded(), "it was closed all the time");
        assert!(!breaker.failed(at(2)) && !breaker.failed(at(3)), "the success counts");
        assert!(breaker.failed(at(4)) && !breaker.admits());
        assert!(!breaker.failed(at(100)), "late news");
        assert!(!breaker.try_probe(at(503)) && breaker.try_probe(at(504)));
        assert!(!breaker.try_probe(at(600)) && !breaker.admits(), "one trial at a time, and not by a request");
        assert!(!breaker.failed(at(700)));
        assert!(!breaker.try_probe(at(1199)) && breaker.try_probe(at(1200)));
        assert!(breaker.succeeded() && breaker.admits());
    }

    #[test]
    fn a_trial_that_nobody_reports_on_is_followed_by_another() {
        let mut breaker = CircuitBreaker::new(BreakerRules { failures: 1, ..RULES });
        assert!(breaker.failed(at(0)));
        assert!(breaker.try_probe(at(500)) && !breaker.try_probe(at(999)) && breaker.try_probe(at(1000)));
    }

    proptest! {
        #[test]
        fn whatever_happened_a_trial_comes_due_and_a_success_closes_it(
            events in proptest::collection::vec((0_u8..3, 0_i64..2000), 0..60)
        ) {
            let mut breaker = CircuitBreaker::new(RULES);
            let mut now = 0;
            for (event, later) in events {
                now += later;
                match event {
                    0 => { breaker.succeeded(); }
                    1 => { breaker.failed(at(now)); }
                    _ => { breaker.try_probe(at(now)); }
                }
            }
            prop_assert!(breaker.admits() || breaker.try_probe(at(now + 500)));
            breaker.succeeded();
            prop_assert!(breaker.admits());
        }
    }
}
