//! A lockout slows guessing down without keeping the owner out for good.
//!
//! ```text
//!       reserve
//!       ┌─────┐      reserve, the failure number `free` or a later one
//!       │     ▼    ┌────────────────────────────────────────────────▶ ( Delayed )
//!       └── ( Free ) ◀──── the delay is over, or the guess was right ──────┘
//!             ▲    │ reserve, the failure number `max_failures`
//!             │    └────────────────────────────────────────────────▶ ( Locked )
//!             └──── `window` is over, or the guess was right ───────────────┘
//! ```
//!
//! * A guess is reserved *before* it is tested, and counts as a failure until it is known to be right: guesses made at
//!   once cannot share one place, and one whose outcome is never told was not free.
//! * The first delay follows the failure number `free`; it doubles with each further one, up to `max_delay`. The
//!   failure number `max_failures` locks until `window` has passed. After as long without one, all failures are
//!   forgotten.
//! * What is refused is not counted and extends nothing, or whoever keeps knocking would keep the owner out.
//! * Only time is needed to become free again: no block ends later than its own length from now, whatever is stored. A
//!   time in the future, written under a clock that was ahead, is brought back to now; a clock set back frees nobody.
//!
//! Time is always an argument; nothing here reads a clock. Callers read, decide and write in one transaction, because
//! two that read the same state would both be given the same place.

use std::time::Duration;

use super::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How one kind of guess is slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// Failures before the first delay; none is none, as for one.
    pub free: u32,
    /// The first delay.
    pub delay: Duration,
    /// What doubling ends at.
    pub max_delay: Duration,
    /// Failures in all, before it is locked.
    pub max_failures: u32,
    /// Failures are forgotten this long after the last one; no block is longer.
    pub window: Duration,
}

impl LockoutPolicy {
    /// Passwords of one account: within the bounds of NIST SP 800-63B 3.2.2, which allows 100 consecutive failures.
    pub const fn account() -> Self {
        Self {
            free: 10,
            delay: SECOND.saturating_mul(10),
            max_delay: MINUTE.saturating_mul(15),
            max_failures: 100,
            window: DAY,
        }
    }

    /// Second factors and recovery codes of one user: a code has a million values, and three of them are right at a
    /// time.
    pub const fn codes() -> Self {
        Self { free: 5, ..Self::account() }
    }

    /// All guesses from one client network, over all accounts: many honest people may share it.
    pub const fn address() -> Self {
        let (max_delay, window) = (MINUTE.saturating_mul(5), MINUTE.saturating_mul(15));
        Self { free: 50, delay: SECOND.saturating_mul(5), max_delay, max_failures: 500, window }
    }

    /// Password reset mails to one account: five, then none for an hour.
    pub const fn requests() -> Self {
        Self { free: 5, delay: HOUR, max_delay: HOUR, max_failures: 5, window: HOUR }
    }

    /// Keys with a slow hash, of one visible prefix and from one client network. There is nothing to be guessed in them: this is
    /// for the processor, and never keeps the owner waiting for longer than half a minute.
    pub const fn slow_keys() -> Self {
        Self {
            free: 5,
            delay: SECOND,
            max_delay: SECOND.saturating_mul(30),
            max_failures: u32::MAX,
            window: MINUTE.saturating_mul(15),
        }
    }

    /// How long the failure of this number, counted from 1, blocks.
    fn block(&self, failures: u32) -> Duration {
        if failures >= self.max_failures {
            return self.window;
        }
        let Some(doublings) = failures.checked_sub(self.free.max(1)) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(self.max_delay).min(self.window)
    }
}

/// What is stored for each subject. A row may be deleted, and means as much as none, once the policy's `window` has
/// passed since `last_failure_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    /// Since the last success, within the window; among them those whose outcome is not known yet.
    pub failures: u32,
    pub last_failure_at: Option<Timestamp>,
    pub blocked_until: Option<Timestamp>,
}

impl Lockout {
    /// Takes the place of one guess, which is then to be made; what is returned is to be stored first.
    pub fn reserve(self, policy: &LockoutPolicy, now: Timestamp) -> Result<Self, Blocked> {
        let settled = self.settle(policy, now);
        if let Some(until) = settled.blocked_until {
            return Err(Blocked { until, lockout: settled });
        }
        let failures = settled.failures.saturating_add(1);
        let block = policy.block(failures);
        let blocked_until = (!block.is_zero()).then(|| now.plus(block));
        Ok(Self { failures, last_failure_at: Some(now), blocked_until })
    }

    /// The guess was right, and whoever made it is the owner: what failed before counts no longer.
    pub const fn succeed(self) -> Self {
        Self { failures: 0, last_failure_at: None, blocked_until: None }
    }

    /// What the guess that this was reserved for is given back by; `before` is what it was reserved from.
    pub fn place(self, before: Self) -> Place {
        // Of those before, this is the first one within the window.
        let is_first = self.failures <= 1;
        Place {
            at: self.last_failure_at,
            before: before.last_failure_at.filter(|_| !is_first).min(self.last_failure_at),
        }
    }

    /// Returns the place of a guess that was right or was never made, and of that one only. For subjects that many
    /// share: somebody's success there does not excuse the others' failures, or one account of his own would let a
    /// guesser begin afresh at will; nor does it count as one more, or the others would wait for it. And for our own
    /// faults, which are nobody's failure.
    pub fn give_back(self, policy: &LockoutPolicy, place: Place) -> Self {
        let failures = self.failures.saturating_sub(1);
        let (1.., Some(last)) = (failures, self.last_failure_at) else { return Self::default() };
        if let (true, Some(before)) = (place.at == Some(last), place.before) {
            // Nobody has guessed since. Nothing was blocked when it was made, and nothing is without it.
            return Self { failures, last_failure_at: Some(before), blocked_until: None };
        }
        let until = last.plus(policy.block(failures));
        let blocked_until = self.blocked_until.map(|blocked| blocked.min(until)).filter(|until| *until > last);
        Self { failures, blocked_until, ..self }
    }

    /// For showing to operators.
    pub fn state(self, policy: &LockoutPolicy, now: Timestamp) -> LockoutState {
        let settled = self.settle(policy, now);
        match settled.blocked_until {
            None => LockoutState::Free,
            Some(until) if settled.failures >= policy.max_failures => LockoutState::Locked { until },
            Some(until) => LockoutState::Delayed { until },
        }
    }

    pub fn is_blocked(self, policy: &LockoutPolicy, now: Timestamp) -> bool {
        self.state(policy, now) != LockoutState::Free
    }

    /// What is stored, as it counts now: what is over is gone, and nothing lies further ahead than the policy allows.
    fn settle(self, policy: &LockoutPolicy, now: Timestamp) -> Self {
        let Some(last) = self.last_failure_at.filter(|last| now.since(*last) < policy.window) else {
            return Self::default();
        };
        let last = last.min(now);
        let block = policy.block(self.failures);
        // The policy may have become stricter since this was stored: beyond its maximum there is no guess left.
        let locked = (self.failures >= policy.max_failures).then(|| last.plus(block));
        let until = locked.or(self.blocked_until).map(|until| until.min(now.plus(block)));
        Self { failures: self.failures, last_failure_at: Some(last), blocked_until: until.filter(|until| *until > now) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockoutState {
    Free,
    /// The next guess has to wait.
    Delayed {
        until: Timestamp,
    },
    /// All guesses are spent; failures are forgotten when it ends.
    Locked {
        until: Timestamp,
    },
}

impl LockoutState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Delayed { .. } => "delayed",
            Self::Locked { .. } => "locked",
        }
    }
}

/// The place of one guess, to be returned if the guess turns out to be no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: Option<Timestamp>,
    /// The last failure before it.
    before: Option<Timestamp>,
}

/// No guess now, not even the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub until: Timestamp,
    /// Stored in place of what was read, where it differs: a block from a clock that was ahead then ends its own length
    /// from now. Left unstored, it ends when time has caught up.
    pub lockout: Lockout,
}

impl Blocked {
    /// Whole seconds to wait, rounded up, at least one: the value of `Retry-After` (RFC 9110 10.2.3).
    pub fn retry_after(self, now: Timestamp) -> u64 {
        let wait = self.until.since(now);
        wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
    }
}

#[cfg(test)]
mod tests;
