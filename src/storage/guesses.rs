//! How often was guessed at whom. In a store of record, because neither a restart nor another node may refill a budget.

use async_trait::async_trait;

use super::Result;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::{Blocked, Lockout, LockoutPolicy, Place};

/// A guess that was counted and turned out to be none, or right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgiveness {
    pub subject: GuessSubject,
    pub extent: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that was counted: the owner has come.
    All,
    /// The one guess: what others did from the same network stays counted.
    One(LockoutPolicy, Place),
}

/// A guess that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// As it is with this guess in it.
    pub lockout: Lockout,
    pub place: Place,
}

#[async_trait]
pub trait Guesses: Send + Sync {
    /// The longest block of these subjects, without counting and without a write. There may be one all the same by the time
    /// that a guess is counted.
    async fn longest_block(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        now: Timestamp,
    ) -> Result<Option<Blocked>>;

    /// Counts one guess against each subject *before* it is made, in a transaction of its own; what was counted is in the
    /// order of the subjects. When one of them is blocked nothing is counted, and the longest block is told.
    async fn reserve(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        now: Timestamp,
    ) -> Result<std::result::Result<Vec<Reserved>, Blocked>>;

    /// What is known of a subject, without counting.
    async fn find(&self, subject: &GuessSubject) -> Result<Option<Lockout>>;

    /// Takes guesses back that were right.
    async fn forgive(&self, forgiven: &[Forgiveness]) -> Result<()>;

    /// Forgets all that was counted against these, as an act of its own, in one transaction. `false` when there was nothing
    /// to forget; nothing is written then.
    async fn unlock(&self, subjects: &[GuessSubject], change: &Change) -> Result<bool>;

    /// Those that are blocked at `now`, at most `limit`, the longest block first.
    async fn blocked(&self, now: Timestamp, limit: u32) -> Result<Vec<(GuessSubject, Lockout)>>;

    /// Deletes at most `limit` that were last guessed at before `before`; how many there were.
    async fn delete_idle(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
