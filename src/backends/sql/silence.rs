//! A server that says nothing is left alone for a moment: a request that asks several times would wait for each answer.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// After this it is asked again, once.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of it.
pub struct Silence {
    state: Mutex<State>,
    /// The longest that the one who asks again may take.
    deadline: Duration,
}

#[derive(Clone, Copy)]
struct State {
    answered_at: Instant,
    /// While it is silent.
    ask_again_at: Option<Instant>,
}

impl Silence {
    pub fn new(deadline: Duration) -> Self {
        Self { state: Mutex::new(State { answered_at: Instant::now(), ask_again_at: None }), deadline }
    }

    /// `false` while it is silent, for all but the one who tries again.
    pub fn may_ask(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match state.ask_again_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                state.ask_again_at = Some(now + self.deadline + PAUSE);
                true
            }
        }
    }

    /// Whatever the answer was.
    pub fn note_answer(&self, now: Instant) {
        *self.state.lock() = State { answered_at: now, ask_again_at: None };
    }

    /// Somebody has waited in vain. If others were answered meanwhile, it was not the server that was silent: a lock was held, or
    /// all connections were in use.
    pub fn note_wait_in_vain(&self, since: Instant, now: Instant) {
        let mut state = self.state.lock();
        if state.answered_at < since {
            state.ask_again_at = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_again_and_an_answer_ends_it() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let silence = Silence::new(Duration::from_secs(2));
        silence.note_answer(at(1000));
        silence.note_wait_in_vain(at(500), at(2500));
        assert!(silence.may_ask(at(2500)), "others were answered");
        silence.note_wait_in_vain(at(1001), at(3000));
        assert!(!silence.may_ask(at(3000)) && !silence.may_ask(at(3499)));
        assert!(silence.may_ask(at(3500)));
        assert!(!silence.may_ask(at(3500)) && !silence.may_ask(at(5999)), "one asks at a time");
        assert!(silence.may_ask(at(6000)), "who has asked may be gone");
        silence.note_wait_in_vain(at(3500), at(6100));
        assert!(!silence.may_ask(at(6599)));
        silence.note_answer(at(6599));
        assert!(silence.may_ask(at(6599)) && silence.may_ask(at(6599)));
    }
}
