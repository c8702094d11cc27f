use std::time::Duration;

use crate::arguments::Arguments;

/// Less of the core than this, and the proxy waited for the load, or for somebody else's work.
const BUSY_ENOUGH: f64 = 0.9;

pub struct Cost {
    /// CPU time for each request.
    pub microseconds: f64,
    /// The share of the core that the process used.
    pub busy: f64,
    pub per_second: f64,
}

pub struct Row {
    pub name: &'static str,
    /// One for each round.
    pub costs: Vec<Cost>,
    /// Sorted.
    pub latencies: Vec<Duration>,
}

impl Row {
    pub fn new(name: &'static str) -> Self {
        Self { name, costs: Vec::new(), latencies: Vec::new() }
    }

    fn microseconds(&self) -> impl Iterator<Item = f64> {
        self.costs.iter().map(|cost| cost.microseconds)
    }

    fn busy(&self) -> f64 {
        median(self.costs.iter().map(|cost| cost.busy))
    }

    /// Against the burst of the same round, so that what slows the whole machine for a while cancels out.
    fn ratios(&self, base: &Self) -> impl Iterator<Item = f64> {
        self.microseconds().zip(base.microseconds()).map(|(own, base)| own / base)
    }

    fn latency(&self, share: f64) -> f64 {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index).or(self.latencies.last()).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// The first row is what the others are compared with.
pub fn print(rows: &[Row], arguments: &Arguments) {
    let Some(base) = rows.first() else { return };
    println!();
    println!("{:32}{:^17}{:^17}{:>8}{:>7}{:^19}", "", "CPU us/request", "times bare", "", "", "latency us");
    println!(
        "{:32}{:>8}{:>8} {:>8}{:>8} {:>9}{:>6}{:>9}{:>9}",
        "", "median", "minimum", "median", "minimum", "req/s", "busy", "p50", "p99"
    );
    for row in rows {
        let least = minimum(row.microseconds());
        println!(
            "{:32}{:8.2}{:8.2} {:8.3}{:8.3} {:9.0}{:5.0}%{:9.0}{:9.0}",
            row.name,
            median(row.microseconds()),
            least,
            median(row.ratios(base)),
            least / minimum(base.microseconds()),
            median(row.costs.iter().map(|cost| cost.per_second)),
            row.busy() * 100.0,
            row.latency(0.5),
            row.latency(0.99),
        );
    }
    println!();
    if rows.iter().any(|row| row.busy() < BUSY_ENOUGH) {
        println!("NOT TO BE RELIED ON: a proxy was not kept busy. Is something else running on this machine?");
    }
    println!(
        "{} rounds, {} requests in each burst over {} connections; latency at {} requests per second",
        arguments.rounds,
        arguments.requests_in_burst(),
        arguments.connections,
        arguments.rate
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn minimum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}
