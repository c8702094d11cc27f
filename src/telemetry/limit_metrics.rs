//! What limits of requests and connections tell.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::registrar::Registrar;
use crate::domain::rate_limit::LimitName;

pub struct LimitMetrics {
    exceeded: IntCounterVec,
    counters: IntGaugeVec,
    pub local: IntGauge,
    pub connections: IntGauge,
    connections_refused: IntCounterVec,
}

impl LimitMetrics {
    pub(super) fn register(register: Registrar<'_>) -> prometheus::Result<Self> {
        let exceeded =
            register.counters("portcullis_limited_total", "Requests refused by a limit, by limit.", &["limit"])?;
        for limit in LimitName::ALL {
            // There from the start, so that the first refusal is seen as a rise.
            exceeded.with_label_values(&[limit.as_str()]);
        }
        Ok(Self {
            exceeded,
            counters: register.gauges(
                "portcullis_limit_counters",
                "Parties whose requests are counted, by table.",
                &["table"],
            )?,
            local: register.gauge(
                "portcullis_limits_local",
                "1 when shared limits are counted by this node alone, because the shared counters did not answer, else 0.",
            )?,
            connections: register.gauge("portcullis_connections", "Connections of clients.")?,
            connections_refused: register.counters(
                "portcullis_connections_refused_total",
                "Connections closed because there were too many, in all or from one client network.",
                &["limit"],
            )?,
        })
    }

    pub fn exceeded(&self, limit: LimitName) {
        if let Ok(counter) = self.exceeded.get_metric_with_label_values(&[limit.as_str()]) {
            counter.inc();
        }
    }

    pub fn count(&self, addresses: usize, callers: usize) {
        for (table, count) in [("addresses", addresses), ("callers", callers)] {
            if let Ok(gauge) = self.counters.get_metric_with_label_values(&[table]) {
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// Since the start.
    pub fn connections_refused(&self, in_all: u64, per_network: u64) {
        for (limit, count) in [("in_all", in_all), ("network", per_network)] {
            if let Ok(counter) = self.connections_refused.get_metric_with_label_values(&[limit]) {
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
    }
}
