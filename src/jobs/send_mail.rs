//! Sends what waits in the outbox.
//!
//! An entry is claimed for a while, opened, carried and taken out. Whatever fails for now is put off, later each time, until
//! nobody needs it any more. All that one claim brought goes out side by side, so that one slow recipient keeps no other
//! waiting, and well within the lease, so that no other node sends it at the same moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::clock::Clock;
use crate::domain::mail::{AfterFailure, OutboxEntry, readable_error};
use crate::domain::random::{self, Random};
use crate::identity::outgoing::{Outgoing, PrepareError, Prepared};
use crate::storage::mail_carrier::{CarryError, MailCarrier};
use crate::storage::outbox::Outbox;
use crate::storage::{Result, StoreError};

/// At once, and so also connections to a mail server.
const BATCH: u32 = 8;
/// What a node that dies holds back for as long.
const LEASE: Duration = Duration::from_secs(300);
/// Whatever a carrier's own patience is, it has no more than this.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone)]
pub struct SendMail {
    pub outbox: Arc<dyn Outbox>,
    pub outgoing: Arc<dyn Outgoing>,
    pub carrier: Arc<dyn MailCarrier>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

/// What became of the entries of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u32,
    pub replaced: u32,
    pub dropped: u32,
    pub put_off: u32,
    pub given_up: u32,
    /// Because no way to send mail is configured.
    pub unsendable: u32,
}

enum Fate {
    Sent,
    Replaced,
    Dropped,
    PutOff,
    GivenUp,
    Unsendable,
}

/// Why an entry was not sent.
enum Failure {
    Temporary(String),
    Permanent(String),
}

impl SendMail {
    /// Everything whose time has come. A store that fails over one entry does not keep the others; it is told at the end.
    pub async fn run_once(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut failure = None;
        loop {
            let entries = self.outbox.claim(self.clock.now(), LEASE, BATCH).await?;
            let full = entries.len() >= BATCH as usize;
            let before = tally.replaced + tally.dropped;
            let mut tasks = JoinSet::new();
            for entry in entries {
                let job = self.clone();
                tasks.spawn(async move { job.handle(&entry).await });
            }
            while let Some(done) = tasks.join_next().await {
                match done {
                    Ok(Ok(fate)) => tally.count(&fate),
                    Ok(Err(error)) => failure = Some(error),
                    Err(error) => failure = Some(StoreError::Unavailable(format!("a mail was not handled: {error}"))),
                }
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            // What took the place of a request is due at once, whoever put it there.
            if !full && tally.replaced + tally.dropped == before {
                return Ok(tally);
            }
        }
    }

    async fn handle(&self, entry: &OutboxEntry) -> Result<Fate> {
        if entry.is_expired(self.clock.now()) {
            let reason = entry.last_error.as_deref().unwrap_or("its time is over");
            return self.give_up(entry, reason).await;
        }
        let failure = match self.outgoing.prepare(entry).await {
            Ok(Prepared::Send(message)) => {
                let carried = self.carrier.carry(&message, &entry.id, entry.created_at);
                match tokio::time::timeout(PATIENCE, carried).await {
                    Ok(Ok(())) => {
                        self.outbox.done(&entry.id).await?;
                        tracing::info!(id = %entry.id, kind = entry.kind.as_str(), "a mail was sent");
                        return Ok(Fate::Sent);
                    }
                    Ok(Err(CarryError::NoTransport)) => return self.drop_unsendable(entry).await,
                    Ok(Err(CarryError::Temporary(reason))) => Failure::Temporary(reason),
                    Ok(Err(CarryError::Permanent(reason))) => Failure::Permanent(reason),
                    Err(_) => Failure::Temporary("it was not carried in time".to_owned()),
                }
            }
            Ok(Prepared::Replace(next)) => {
                self.outbox.replace(&entry.id, &next).await?;
                return Ok(Fate::Replaced);
            }
            Ok(Prepared::Drop) => {
                self.outbox.done(&entry.id).await?;
                return Ok(Fate::Dropped);
            }
            Err(PrepareError::Temporary(reason)) => Failure::Temporary(reason),
            Err(PrepareError::Permanent(reason)) => Failure::Permanent(reason),
        };
        match failure {
            Failure::Temporary(reason) => self.put_off(entry, &readable_error(&reason)).await,
            Failure::Permanent(reason) => self.give_up(entry, &readable_error(&reason)).await,
        }
    }

    async fn put_off(&self, entry: &OutboxEntry, reason: &str) -> Result<Fate> {
        let drawn = u32::from_be_bytes(random::bytes(self.random.as_ref()));
        match entry.after_failure(self.clock.now(), drawn) {
            AfterFailure::GiveUp => self.give_up(entry, reason).await,
            AfterFailure::RetryAt(at) => {
                self.outbox.retry(&entry.id, at, reason).await?;
                let failures = entry.attempts.saturating_add(1);
                tracing::warn!(
                    id = %entry.id, kind = entry.kind.as_str(), failures, reason, again = at.rfc3339(),
                    "a mail was not sent yet"
                );
                Ok(Fate::PutOff)
            }
        }
    }

    /// Not kept for later: links are over by the time that somebody configures a way.
    async fn drop_unsendable(&self, entry: &OutboxEntry) -> Result<Fate> {
        self.outbox.give_up(&entry.id).await?;
        tracing::warn!(
            id = %entry.id, kind = entry.kind.as_str(), setting = "mail.transport",
            "a mail was dropped: no way to send mail is configured"
        );
        Ok(Fate::Unsendable)
    }

    async fn give_up(&self, entry: &OutboxEntry, reason: &str) -> Result<Fate> {
        self.outbox.give_up(&entry.id).await?;
        tracing::warn!(
            id = %entry.id, kind = entry.kind.as_str(), failures = entry.attempts, reason,
            "a mail was given up and will not be sent"
        );
        Ok(Fate::GivenUp)
    }
}

impl Tally {
    fn count(&mut self, fate: &Fate) {
        let count = match fate {
            Fate::Sent => &mut self.sent,
            Fate::Replaced => &mut self.replaced,
            Fate::Dropped => &mut self.dropped,
            Fate::PutOff => &mut self.put_off,
            Fate::GivenUp => &mut self.given_up,
            Fate::Unsendable => &mut self.unsendable,
        };
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
