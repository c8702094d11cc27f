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
use super::turns::{Turn, Turns};
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::client_network::ClientNetwork;
use crate::domain::clock::Clock;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::LockoutPolicy;
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::guesses::{Extent, Forgiveness, Guesses};

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

/// A guess that was counted and may be made now.
#[derive(Debug)]
pub struct Counted {
    counted: Vec<(GuessSubject, LockoutPolicy)>,
    /// Kept until the guess has been judged.
    _turn: Turn,
}

impl Counted {
    /// What is taken back when the guess was right: all of the account's, for the owner has come, and this one of the
    /// network's. Knowing one account does not excuse guesses at others.
    pub fn forgiven(&self) -> Vec<Forgiveness> {
        let extent = |subject: &GuessSubject, policy| match subject {
            GuessSubject::Network(_) | GuessSubject::ResetNetwork(_) => Extent::One(policy),
            _ => Extent::All,
        };
        self.counted.iter().map(|(subject, policy)| forgiveness(subject, extent(subject, *policy))).collect()
    }

    /// What is taken back when no guess was made, through our own fault.
    fn unmade(&self) -> Vec<Forgiveness> {
        self.counted.iter().map(|(subject, policy)| forgiveness(subject, Extent::One(*policy))).collect()
    }
}

fn forgiveness(subject: &GuessSubject, extent: Extent) -> Forgiveness {
    Forgiveness { subject: subject.clone(), extent }
}

impl GuessGuard {
    pub fn new(guesses: Arc<dyn Guesses>, rules: GuessRules, auditor: Auditor, clock: Arc<dyn Clock>) -> Self {
        Self { guesses, rules, turns: Turns::default(), auditor, clock }
    }

    /// Counts one guess at `subject`, and at the network that it comes from. `user` is whom the audit tells about, if known.
    pub async fn count(&self, subject: GuessSubject, user: Option<&UserId>, by: &Initiator) -> Result<Counted, NotNow> {
        let turn = self.turn(&subject).await?;
        self.count_in_turn(turn, subject, user, by).await
    }

    /// Waits until it is the caller's turn at `subject`.
    pub async fn turn(&self, subject: &GuessSubject) -> Result<Turn, NotNow> {
        self.turns.take(&subject.to_string()).await.map_err(|_| NotNow::Crowded)
    }

    /// As [`GuessGuard::count`], for who has waited.
    pub async fn count_in_turn(
        &self,
        turn: Turn,
        subject: GuessSubject,
        user: Option<&UserId>,
        by: &Initiator,
    ) -> Result<Counted, NotNow> {
        let policy = match &subject {
            GuessSubject::Codes(_) => &self.rules.codes,
            GuessSubject::ResetRequests(_) => &self.rules.reset_requests,
            GuessSubject::Account(_) | GuessSubject::Name(_) => &self.rules.account,
            GuessSubject::Network(_) | GuessSubject::ResetNetwork(_) => &self.rules.address,
        };
        let mut subjects = vec![(subject, *policy)];
        if let Some(network) = self.network(by) {
            subjects.push((GuessSubject::Network(network), self.rules.address));
        }
        self.reserve(&subjects, user, by).await?;
        Ok(Counted { counted: subjects, _turn: turn })
    }

    /// Counts something that is not a guess at an account, against the network that it comes from alone.
    pub async fn count_network(
        &self,
        of: impl Fn(ClientNetwork) -> GuessSubject,
        by: &Initiator,
    ) -> Result<(), NotNow> {
        let Some(network) = self.network(by) else { return Ok(()) };
        self.reserve(&[(of(network), self.rules.address)], None, by).await
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
        subjects: &[(GuessSubject, LockoutPolicy)],
        user: Option<&UserId>,
        by: &Initiator,
    ) -> Result<(), NotNow> {
        let now = self.clock.now();
        let counted = match self.guesses.reserve(subjects, now).await? {
            Ok(counted) => counted,
            Err(blocked) => return Err(NotNow::Blocked(Duration::from_secs(blocked.retry_after(now)))),
        };
        // Told once, by the guess that caused it; those that are turned away write nothing.
        if counted.iter().any(|lockout| lockout.blocked_until.is_some()) {
            let mut event = self.auditor.done(by, AuditAction::Lock);
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
