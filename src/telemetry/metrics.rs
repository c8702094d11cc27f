//! Prometheus metrics. Every label value comes from a closed set: a route's name from the config, or an enum here. No
//! path, host, user, key or address is ever a label, so hostile requests cannot grow the number of series.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Encoder, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use super::cache_metrics::CacheMetrics;
use super::limit_metrics::LimitMetrics;
use super::registrar::Registrar;
use crate::domain::clock_step::StepDirection;
use crate::domain::denial::Denial;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    Sent,
    /// It failed for now.
    PutOff,
    GivenUp,
    /// No way to send mail is configured.
    Dropped,
}

impl MailOutcome {
    const ALL: [Self; 4] = [Self::Sent, Self::PutOff, Self::GivenUp, Self::Dropped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::PutOff => "put_off",
            Self::GivenUp => "given_up",
            Self::Dropped => "dropped",
        }
    }
}

/// How one request ended.
#[derive(Clone, Copy, Debug)]
pub struct RequestOutcome<'a> {
    /// The route's name, or `none`.
    pub route: &'a str,
    pub method: &'a str,
    pub status: u16,
    /// `None` when it was answered by the upstream or by an endpoint in the ordinary way.
    pub denial: Option<Denial>,
    pub duration: Duration,
}

/// The series that nearly every request adds to, found once.
struct RouteSeries {
    duration: Histogram,
    /// Ordinary answers of class 2xx, by method as in [`METHODS`].
    good: Vec<IntCounter>,
}

pub struct Metrics {
    registry: Registry,
    routes: ArcSwap<HashMap<String, RouteSeries>>,
    requests: IntCounterVec,
    duration: HistogramVec,
    pub in_flight: IntGauge,
    pub config_reload_success: IntGauge,
    pub config_reload_timestamp: IntGauge,
    pub config_generation: IntGauge,
    pub config_checksum: IntGauge,
    clock_steps: IntCounterVec,
    pub caches: CacheMetrics,
    pub hashing_waiting: IntGauge,
    pub invalidation_epoch: IntGauge,
    pub revocation_bound_seconds: Gauge,
    pub revocation_propagation: Histogram,
    pub access_log_dropped: IntCounter,
    pub audit_log_dropped: IntCounter,
    pub panics: IntCounter,
    pub store_up: IntGauge,
    mail: IntCounterVec,
    pub mail_waiting: IntGauge,
    pub limits: LimitMetrics,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let register = Registrar::new(&registry);
        let mail = register.counters("portcullis_mail_total", "Attempts to send a mail by outcome.", &["outcome"])?;
        for outcome in MailOutcome::ALL {
            // There from the start, so that the first failure is seen as a rise.
            mail.with_label_values(&[outcome.as_str()]);
        }
        let clock_steps = register.counters(
            "portcullis_clock_steps_total",
            "Steps of the system clock of more than five minutes, by direction.",
            &["direction"],
        )?;
        for direction in [StepDirection::Forward, StepDirection::Back] {
            clock_steps.with_label_values(&[direction.as_str()]);
        }
        Ok(Self {
            routes: ArcSwap::default(),
            requests: register.counters(
                "portcullis_requests_total",
                "Requests by route, method, status class, reason and whose fault it was.",
                &["route", "method", "status", "reason", "fault"],
            )?,
            duration: register.histograms(
                "portcullis_request_duration_seconds",
                "From the request's head to the end of its answer, by route.",
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
                &["route"],
            )?,
            in_flight: register
                .gauge("portcullis_requests_in_flight", "Requests that have arrived and are not answered yet.")?,
            config_reload_success: register.gauge(
                "portcullis_config_last_reload_success",
                "1 when the configuration was taken over the last time it was read, else 0.",
            )?,
            config_reload_timestamp: register.gauge(
                "portcullis_config_last_reload_timestamp_seconds",
                "When the configuration in force was taken over, in seconds since 1970.",
            )?,
            config_generation: register.gauge(
                "portcullis_config_generation",
                "How many configurations this process has had, the one it started with included.",
            )?,
            config_checksum: register.gauge(
                "portcullis_config_checksum",
                "CRC-32 of the configuration file in force: the same on all nodes that run on the same file.",
            )?,
            clock_steps,
            caches: CacheMetrics::register(register)?,
            hashing_waiting: register
                .gauge("portcullis_hashing_waiting", "Passwords that wait to be hashed or are being hashed.")?,
            invalidation_epoch: register
                .gauge("portcullis_invalidation_epoch", "The newest invalidation that this node has applied.")?,
            revocation_bound_seconds: register.fractional_gauge(
                "portcullis_revocation_bound_seconds",
                "The longest time for which a revocation can go unnoticed here, as configured.",
            )?,
            revocation_propagation: register.histogram(
                "portcullis_revocation_propagation_seconds",
                "From a change that another process made to its being applied here; the clocks of both count.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            )?,
            access_log_dropped: register.counter(
                "portcullis_access_log_dropped_total",
                "Access-log lines dropped because their reader did not keep up.",
            )?,
            audit_log_dropped: register.counter(
                "portcullis_audit_log_dropped_total",
                "Audit-log lines dropped because their reader did not keep up; the store has them.",
            )?,
            panics: register.counter("portcullis_panics_total", "Requests that ended in a caught panic.")?,
            store_up: register
                .gauge("portcullis_store_up", "1 when the store answered the last time it was asked, else 0.")?,
            mail,
            mail_waiting: register
                .gauge("portcullis_mail_waiting", "Mail in the outbox of all nodes, requests for it included.")?,
            limits: LimitMetrics::register(register)?,
            registry,
        })
    }

    /// Makes the common series of these routes ready. What is not made ready is counted all the same, at the cost of
    /// looking its series up.
    pub fn prepare_routes<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut routes = HashMap::new();
        for name in names {
            let good =
                METHODS.iter().map(|method| self.requests.with_label_values(&[name, method, "2xx", "ok", "none"]));
            let series = RouteSeries { duration: self.duration.with_label_values(&[name]), good: good.collect() };
            routes.insert(name.to_owned(), series);
        }
        self.routes.store(Arc::new(routes));
    }

    pub fn request(&self, outcome: &RequestOutcome<'_>) {
        let routes = self.routes.load();
        let ready = routes.get(outcome.route);
        if let (Some(series), None, 200..=299) = (ready, outcome.denial, outcome.status)
            && let Some(counter) = METHODS.iter().position(|m| *m == outcome.method).and_then(|at| series.good.get(at))
        {
            counter.inc();
            series.duration.observe(outcome.duration.as_secs_f64());
            return;
        }
        let reason = outcome.denial.map_or("ok", Denial::reason);
        let fault = outcome.denial.map_or("none", |denial| denial.fault().as_str());
        let labels = [outcome.route, method_class(outcome.method), status_class(outcome.status), reason, fault];
        if let Ok(counter) = self.requests.get_metric_with_label_values(&labels) {
            counter.inc();
        }
        if let Ok(histogram) = self.duration.get_metric_with_label_values(&[outcome.route]) {
            histogram.observe(outcome.duration.as_secs_f64());
        }
    }

    pub fn clock_step(&self, direction: StepDirection) {
        if let Ok(counter) = self.clock_steps.get_metric_with_label_values(&[direction.as_str()]) {
            counter.inc();
        }
    }

    pub fn mail(&self, outcome: MailOutcome, count: u32) {
        if let Ok(counter) = self.mail.get_metric_with_label_values(&[outcome.as_str()]) {
            counter.inc_by(u64::from(count));
        }
    }

    /// For those who have something to tell only in some installations.
    pub(super) const fn registrar(&self) -> Registrar<'_> {
        Registrar::new(&self.registry)
    }

    /// The text exposition format.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Only a writer can fail, and this one is memory.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        out
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

fn method_class(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or("other")
}

const fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_in_their_sets() {
        let metrics = Metrics::new().unwrap();
        for n in 0..10_000 {
            metrics.request(&RequestOutcome {
                route: "none",
                method: &format!("M{n}"),
                status: 400 + n % 300,
                denial: Some(Denial::BadRequest),
                duration: Duration::from_millis(1),
            });
        }
        let text = String::from_utf8(metrics.render()).unwrap();
        let series = text.lines().filter(|line| line.starts_with("portcullis_requests_total")).count();
        assert!(series <= 3, "{text}");
    }
}
