//! What nodes call out to each other when they have changed something, so that nobody has to wait for the log to be read.
//!
//! A message only makes its hearers forget, and read the log, which alone says how far everything is applied. One that
//! nobody with a master key of this installation has made does nothing at all, and one that is played back is about what
//! the log has told already.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::epochs::Epochs;
use super::records::FORMAT;
use super::{Forget, Forgetters};
use crate::crypto::shared_seal::SharedSeal;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};
use crate::storage::invalidations::Heed;
use crate::storage::shared_memory::{Bus, Hear};
use crate::telemetry::shared_metrics::{MessageOutcome, SharedMetrics};

/// More are left to the log.
const MOST_CHANGES: usize = 100;
const MOST_BYTES: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    node: String,
    changes: Vec<(i64, String, String, Option<i64>)>,
}

/// What both sides of a channel must agree on.
#[derive(Clone)]
pub struct Channel {
    seal: SharedSeal,
    name: Arc<str>,
    /// Of this process.
    node: Arc<str>,
    metrics: Arc<SharedMetrics>,
}

impl Channel {
    pub fn new(prefix: &str, seal: SharedSeal, node: &str, metrics: Arc<SharedMetrics>) -> Self {
        let name = format!("{prefix}:{FORMAT}:invalidations").into();
        Self { seal, name, node: node.into(), metrics }
    }

    /// What it is called on the bus.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, changes: &[Logged]) -> Option<Vec<u8>> {
        let written = |change: &Logged| {
            let (kind, subject) = change.what.to_parts();
            let written_at = change.written_at.map(Timestamp::as_micros);
            (change.epoch.0, kind.to_owned(), subject.to_owned(), written_at)
        };
        let changes = changes.iter().rev().take(MOST_CHANGES).map(written).collect();
        let plain = serde_json::to_vec(&Message { node: self.node.to_string(), changes }).ok()?;
        self.seal.seal(&self.name, &plain)
    }

    fn read(&self, message: &[u8]) -> Option<Message> {
        if message.len() > MOST_BYTES {
            return None;
        }
        serde_json::from_slice(self.seal.open(&self.name, message)?.expose()).ok()
    }
}

/// Forgets what this process has changed, and calls it out.
pub struct Announcer {
    pub forgetters: Arc<Forgetters>,
    pub channel: Channel,
    pub bus: Arc<dyn Bus>,
    pub runtime: Handle,
}

impl Heed for Announcer {
    fn heed(&self, change: &Logged) {
        self.forgetters.heed(change);
    }

    fn committed(&self, changes: &[Logged]) {
        let Some(message) = self.channel.write(changes) else { return };
        let (bus, metrics) = (Arc::clone(&self.bus), Arc::clone(&self.channel.metrics));
        self.runtime.spawn(async move {
            let outcome = match bus.publish(message).await {
                Ok(()) => MessageOutcome::Sent,
                Err(_) => MessageOutcome::NotSent,
            };
            metrics.message(outcome);
        });
    }
}

/// Does what messages of other nodes ask for.
pub struct Listener {
    pub forgetters: Arc<Forgetters>,
    pub epochs: Arc<Epochs>,
    pub channel: Channel,
    /// Has the log read.
    pub wake: Arc<Notify>,
}

impl Listener {
    fn apply(&self, message: &[u8]) -> MessageOutcome {
        let Some(message) = self.channel.read(message) else { return MessageOutcome::Rejected };
        let applied = self.epochs.caught_up();
        let mut news = false;
        for (epoch, kind, subject, written_at) in message.changes {
            let epoch = Epoch(epoch);
            if applied.is_some_and(|applied| epoch <= applied) {
                continue;
            }
            news = true;
            // What this version does not know, the log will tell it to forget everything for.
            if message.node != *self.channel.node
                && let Some(what) = Invalidation::from_parts(&kind, &subject)
            {
                let written_at = written_at.map(Timestamp::from_micros);
                self.forgetters.forget(&Logged { epoch, what, written_at });
            }
        }
        if !news {
            return MessageOutcome::Known;
        }
        self.wake.notify_one();
        MessageOutcome::Applied
    }
}

impl Hear for Listener {
    fn heard(&self, message: &[u8]) {
        self.channel.metrics.message(self.apply(message));
    }

    fn connected(&self) {
        self.channel.metrics.bus_connected.set(1);
        // What was called out meanwhile is in the log.
        self.wake.notify_one();
    }

    fn disconnected(&self) {
        self.channel.metrics.bus_connected.set(0);
    }
}

#[cfg(test)]
#[path = "announcement/tests.rs"]
mod tests;
