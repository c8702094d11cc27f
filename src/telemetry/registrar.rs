//! New series, made and registered in one step.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    Result,
};

#[derive(Clone, Copy)]
pub struct Registrar<'a>(&'a Registry);

/// The plural forms are by label.
impl<'a> Registrar<'a> {
    pub const fn new(registry: &'a Registry) -> Self {
        Self(registry)
    }

    pub fn counter(self, name: &str, help: &str) -> Result<IntCounter> {
        self.registered(IntCounter::new(name, help)?)
    }

    pub fn counters(self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub fn gauge(self, name: &str, help: &str) -> Result<IntGauge> {
        self.registered(IntGauge::new(name, help)?)
    }

    pub fn gauges(self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub fn fractional_gauge(self, name: &str, help: &str) -> Result<Gauge> {
        self.registered(Gauge::new(name, help)?)
    }

    pub fn histogram(self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram> {
        self.registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub fn histograms(self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec> {
        self.registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    fn registered<C: Collector + Clone + 'static>(self, series: C) -> Result<C> {
        self.0.register(Box::new(series.clone()))?;
        Ok(series)
    }
}
