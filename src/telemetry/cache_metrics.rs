//! What caches tell.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::registrar::Registrar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheName {
    Users,
    Sessions,
    ApiKeys,
    Tokens,
}

impl CacheName {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::ApiKeys => "api_keys",
            Self::Tokens => "tokens",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    Hit,
    Miss,
    /// The store did not answer; what was known is served for a bounded time.
    Stale,
    Failed,
}

impl CacheOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

pub struct CacheMetrics {
    lookups: IntCounterVec,
    bytes: IntGaugeVec,
}

impl CacheMetrics {
    pub(super) fn register(register: Registrar<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            lookups: register.counters(
                "portcullis_cache_lookups_total",
                "Cache look-ups by cache and outcome.",
                &["cache", "outcome"],
            )?,
            bytes: register.gauges("portcullis_cache_bytes", "Estimated bytes held, by cache.", &["cache"])?,
        })
    }

    pub fn lookup(&self, cache: CacheName, outcome: CacheOutcome) {
        if let Ok(counter) = self.lookups.get_metric_with_label_values(&[cache.as_str(), outcome.as_str()]) {
            counter.inc();
        }
    }

    pub fn holds(&self, cache: CacheName, bytes: u64) {
        if let Ok(gauge) = self.bytes.get_metric_with_label_values(&[cache.as_str()]) {
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
}
