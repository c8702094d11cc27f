//! What there is to tell where nodes share a memory and a bus.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::cache_metrics::CacheName;
use super::metrics::Metrics;

/// How a look-up in the shared memory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedOutcome {
    Hit,
    Miss,
    /// Older than a change that is known here, or than a record may be.
    Outdated,
    /// Not sealed by one of us for this place, or unreadable.
    Corrupt,
    /// No answer.
    Error,
}

impl SharedOutcome {
    const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Outdated, Self::Corrupt, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Outdated => "outdated",
            Self::Corrupt => "corrupt",
            Self::Error => "error",
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    Sent,
    NotSent,
    Applied,
    /// The log had told of it before.
    Known,
    /// Not made by a node of this installation.
    Rejected,
}

impl MessageOutcome {
    const ALL: [Self; 5] = [Self::Sent, Self::NotSent, Self::Applied, Self::Known, Self::Rejected];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotSent => "not_sent",
            Self::Applied => "applied",
            Self::Known => "known",
            Self::Rejected => "rejected",
        }
    }
}

pub struct SharedMetrics {
    lookups: IntCounterVec,
    not_written: IntCounterVec,
    messages: IntCounterVec,
    pub bus_connected: IntGauge,
    pub redis_up: IntGauge,
    pub circuit_open: IntGauge,
    pub limit_values_rejected: IntCounter,
}

impl SharedMetrics {
    /// Among the metrics from here on. Without Redis there are none of these, so that no alarm stands on a zero.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let register = metrics.registrar();
        let lookups = register.counters(
            "portcullis_shared_cache_lookups_total",
            "Look-ups in the cache that nodes share, by cache and outcome.",
            &["cache", "outcome"],
        )?;
        let not_written = register.counters(
            "portcullis_shared_cache_not_written_total",
            "Records that the shared cache did not take.",
            &["cache"],
        )?;
        let messages = register.counters(
            "portcullis_bus_messages_total",
            "Messages about invalidations by outcome.",
            &["outcome"],
        )?;
        // There from the start, so that the first of its kind is seen as a rise.
        for cache in [CacheName::Users, CacheName::Sessions, CacheName::ApiKeys] {
            for outcome in SharedOutcome::ALL {
                lookups.with_label_values(&[cache.as_str(), outcome.as_str()]);
            }
            not_written.with_label_values(&[cache.as_str()]);
        }
        for outcome in MessageOutcome::ALL {
            messages.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self {
            lookups,
            not_written,
            messages,
            limit_values_rejected: register.counter(
                "portcullis_limit_values_rejected_total",
                "Values under the names of limits that no node has written, and that were thrown away.",
            )?,
            bus_connected: register
                .gauge("portcullis_bus_connected", "1 while invalidations of other nodes are heard, else 0.")?,
            redis_up: register
                .gauge("portcullis_redis_up", "1 when Redis answered the last time it was asked, else 0.")?,
            circuit_open: register.gauge(
                "portcullis_redis_circuit_open",
                "1 while Redis is not asked because it did not answer, else 0.",
            )?,
        })
    }

    pub fn lookup(&self, cache: CacheName, outcome: SharedOutcome) {
        self.lookups.with_label_values(&[cache.as_str(), outcome.as_str()]).inc();
    }

    pub fn not_written(&self, cache: CacheName) {
        self.not_written.with_label_values(&[cache.as_str()]).inc();
    }

    pub fn message(&self, outcome: MessageOutcome) {
        self.messages.with_label_values(&[outcome.as_str()]).inc();
    }
}
