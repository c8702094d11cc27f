//! Between whoever guesses and whatever is guessed.
//!
//! A guess is counted in the store before it is made, against the account and against the network it comes from. Who has
//! used a budget up is told to wait, whether the next guess would be right or not, and nothing is hashed for it. What is
//! right is taken back. Rules and times are in [`crate::domain::lockout`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::auditor::Auditor;
use super::lane::{Crowded, Turn};
use super::turns::Turns;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::client_network::ClientNetwork;
use crate::domain::clock::Clock;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::{LockoutPolicy, Place};
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::guesses::{Extent, Forgiveness, Guesses, Reserved};

/// At once under way on this node, for one account and from one network; and never more than all but one of those that are
/// free, because each counts until it is known to be right.
const ACCOUNT_AT_A_TIME: u32 = 4;
const NETWORK_AT_A_TIME: u32 = 32;

/// How the kinds of guesses are slowed down.
#[derive(Clone, Debug)]
pub struct GuessRules {
    pub account: LockoutPolicy,
    pub codes: LockoutPolicy,
    pub address: LockoutPolicy,
    pub reset_requests: LockoutPolicy,
    /// Networks that many share, beside those that nobody holds alone anyway: never blocked as such.
    pub shared: Vec<IpNet>,
}

impl GuessRules {
    /// What was last guessed at before so long ago counts for nothing, whatever it is.
    pub fn longest_window(&self) -> Duration {
        let policies = [&self.account, &self.codes, &self.address, &self.reset_requests];
        policies.map(|policy| policy.window).into_iter().max().unwrap_or_default()
    }
}

pub struct GuessGuard {
    guesses: Arc<dyn Guesses>,
    rules: GuessRules,
    turns: Turns,
    auditor: Auditor,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// Too many guesses; when the next one will be taken.
    #[error("too many attempts; the next one in {} s", .0.as_secs())]
    Blocked(Duration),
    #[error("too many attempts at once")]
    Crowded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Crowded> for NotNow {
    fn from(_: Crowded) -> Self {
        Self::Crowded
    }
}

/// A guess that was counted and may be made now.
#[derive(Debug)]
pub struct Counted {
    counted: Vec<One>,
    /// Kept until the guess has been judged, where others wait for that.
    _turns: Vec<Turn>,
}

/// Against one subject.
#[derive(Debug)]
struct One {
    subject: GuessSubject,
    policy: LockoutPolicy,
    place: Place,
}

impl One {
    fn alone(&self) -> Forgiveness {
        Forgiveness { subject: self.subject.clone(), extent: Extent::One(self.policy, self.place) }
    }
}

impl Counted {
    /// Whether it counts against nobody: many share where it came from.
    pub const fn is_empty(&self) -> bool {
        self.counted.is_empty()
    }

    /// What is taken back when the guess was right: all of the account's, for the owner has come, and this one of the
    /// network's. Knowing one account does not excuse guesses at others.
    pub fn forgiven(&self) -> Vec<Forgiveness> {
        let forgiven = |one: &One| match one.subject {
            GuessSubject::Network(_) | GuessSubject::ResetNetwork(_) => one.alone(),
            _ => Forgiveness { subject: one.subject.clone(), extent: Extent::All },
        };
        self.counted.iter().map(forgiven).collect()
    }

    /// What is taken back when no guess was made, through our own fault.
    fn unmade(&self) -> Vec<Forgiveness> {
        self.counted.iter().map(One::alone).collect()
    }
}

impl GuessGuard {
    pub fn new(guesses: Arc<dyn Guesses>, rules: GuessRules, auditor: Auditor, clock: Arc<dyn Clock>) -> Self {
        Self { guesses, rules, turns: Turns::default(), auditor, clock }
    }

    /// Counts one guess at `subject`, and at the network that it comes from. `user` is whom the audit tells about, if
    /// known. Whoever holds one that was counted does not ask for another: both would wait for turns in one network.
    pub async fn count(&self, subject: GuessSubject, user: Option<&UserId>, by: &Initiator) -> Result<Counted, NotNow> {
        let nothing = || Ok::<_, std::convert::Infallible>(());
        self.count_with(subject, user, by, nothing).await.map(|(counted, ())| counted)
    }

    /// As [`GuessGuard::count`], for a guess that something scarce is needed for: taken when it is this guess's turn, and
    /// before it is counted, because counting costs a write.
    pub async fn count_with<T, E>(
        &self,
        subject: GuessSubject,
        user: Option<&UserId>,
        by: &Initiator,
        scarce: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Counted, T), NotNow> {
        let policy = match &subject {
            GuessSubject::Codes(_) => self.rules.codes,
            GuessSubject::ResetRequests(_) => self.rules.reset_requests,
            GuessSubject::Account(_) | GuessSubject::Name(_) => self.rules.account,
            GuessSubject::Network(_) | GuessSubject::ResetNetwork(_) => self.rules.address,
        };
        // The network's turn comes first: a crowd in one network holds up nobody elsewhere, not even at the same account.
        let mut subjects = Vec::with_capacity(2);
        if let Some(network) = self.network(by) {
            subjects.push((GuessSubject::Network(network), self.rules.address, NETWORK_AT_A_TIME));
        }
        subjects.push((subject, policy, ACCOUNT_AT_A_TIME));
        let mut turns = Vec::with_capacity(2);
        for (subject, policy, most) in &subjects {
            let at_a_time = usize::try_from(policy.free.saturating_sub(1).clamp(1, *most)).unwrap_or(1);
            turns.push(self.turns.take(&subject.to_string(), at_a_time).await?);
        }
        let subjects: Vec<_> = subjects.into_iter().map(|(subject, policy, _)| (subject, policy)).collect();
        self.turn_away_blocked(&subjects).await?;
        let scarce = scarce().map_err(|_| NotNow::Crowded)?;
        let counted = self.reserve(subjects, user, by).await?;
        Ok((Counted { counted, _turns: turns }, scarce))
    }

    /// Counts something that is not a guess at an account, against the network that it comes from alone.
    pub async fn count_network(
        &self,
        of: impl Fn(ClientNetwork) -> GuessSubject,
        by: &Initiator,
    ) -> Result<Counted, NotNow> {
        let subjects: Vec<_> = self.network(by).map(|network| (of(network), self.rules.address)).into_iter().collect();
        if subjects.is_empty() {
            return Ok(Counted { counted: Vec::new(), _turns: Vec::new() });
        }
        self.turn_away_blocked(&subjects).await?;
        let counted = self.reserve(subjects, None, by).await?;
        Ok(Counted { counted, _turns: Vec::new() })
    }

    /// Counts one password reset mail to a user, against that user alone: asking for it is no guess, and was counted against
    /// the network when it was asked for.
    pub async fn count_reset_mail(&self, user: &UserId, by: &Initiator) -> Result<(), NotNow> {
        let subject = GuessSubject::ResetRequests(user.clone());
        self.reserve(vec![(subject, self.rules.reset_requests)], Some(user), by).await.map(|_| ())
    }

    /// Whoever keeps knocking must keep neither the writers busy nor those who compute hashes.
    async fn turn_away_blocked(&self, subjects: &[(GuessSubject, LockoutPolicy)]) -> Result<(), NotNow> {
        let now = self.clock.now();
        match self.guesses.longest_block(subjects, now).await? {
            Some(blocked) => Err(NotNow::Blocked(Duration::from_secs(blocked.retry_after(now)))),
            None => Ok(()),
        }
    }

    /// Takes back a guess that was right, where nothing else is written in the same transaction.
    pub async fn forgive(&self, counted: &Counted) -> Result<(), StoreError> {
        self.guesses.forgive(&counted.forgiven()).await
    }

    /// Takes back a guess that was never made, because we could not. That this may fail too only makes the owner wait.
    pub async fn give_back(&self, counted: &Counted) {
        let _ = self.guesses.forgive(&counted.unmade()).await;
    }

    async fn reserve(
        &self,
        subjects: Vec<(GuessSubject, LockoutPolicy)>,
        user: Option<&UserId>,
        by: &Initiator,
    ) -> Result<Vec<One>, NotNow> {
        let now = self.clock.now();
        let reserved = match self.guesses.reserve(&subjects, now).await? {
            Ok(reserved) => reserved,
            Err(blocked) => return Err(NotNow::Blocked(Duration::from_secs(blocked.retry_after(now)))),
        };
        self.tell_locks(&subjects, &reserved, user, by).await?;
        let one = |((subject, policy), reserved): (_, Reserved)| One { subject, policy, place: reserved.place };
        Ok(subjects.into_iter().zip(reserved).map(one).collect())
    }

    /// Told once, by the guess that caused it; those that are turned away write nothing.
    async fn tell_locks(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        reserved: &[Reserved],
        user: Option<&UserId>,
        by: &Initiator,
    ) -> Result<(), StoreError> {
        for ((subject, _), reserved) in subjects.iter().zip(reserved) {
            if reserved.lockout.blocked_until.is_none() {
                continue;
            }
            let mut event = self.auditor.done(by, AuditAction::Lock).saying(subject.kind());
            event.user = user.cloned();
            self.auditor.append(&event).await?;
        }
        Ok(())
    }

    fn network(&self, by: &Initiator) -> Option<ClientNetwork> {
        let address: IpAddr = by.address.parse().ok()?;
        ClientNetwork::of(address, &self.rules.shared)
    }
}
