//! The contract with whoever keeps our data: traits only.
//!
//! To add a stored noun: write its trait here, one file; implement it in `backends/sql`; describe what any backend
//! must do in `tests/storage`; and, when reads are hot, decorate it in `cache` (those reads return an `Arc`, so that a
//! cache hands out what it holds without copying it).
//!
//! Three rules hold for all of them. *Not found* is a case, not an error: look-ups return `Option`. A change that
//! other nodes must hear of writes its [`Invalidation`](crate::domain::invalidation::Invalidation) in the same
//! transaction as the change. And what an audit must tell, with the mail that is due because of it, comes as a
//! [`Change`](crate::domain::change::Change), which is written in that transaction too, and only if there is a change.
//!
//! Beside the stores stand whoever takes our mail out of the house, [`mail_carrier`], and what nodes share and may lose at
//! any time: [`shared_memory`], and the counts in [`budgets`].
//!
//! What is looked for (names, ids, addresses) has at most 2000 bytes, as indexes take no more; other text has no bound here.
//! No text holds a NUL: whoever takes it in refuses that, and nothing is found by it.

pub mod api_keys;
pub mod audit;
pub mod budgets;
pub mod challenges;
pub mod guesses;
pub mod imports;
pub mod installation;
pub mod invalidations;
pub mod mail_carrier;
pub mod outbox;
pub mod password_resets;
pub mod quotas;
pub mod second_factors;
pub mod sessions;
pub mod shared_memory;
pub mod sign_ins;
pub mod signing_keys;
pub mod slow_keys;
pub mod users;

/// The store could not answer. What it was asked is unknown, so nobody may be let in or refused because of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;
