use std::time::Duration;

use crate::subject::Load;

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
    pub name: String,
    /// One for each round.
    pub costs: Vec<Cost>,
    /// Sorted; empty where none was measured.
    pub latencies: Vec<Duration>,
}

impl Row {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), costs: Vec::new(), latencies: Vec::new() }
    }

    fn microseconds(&self) -> impl Iterator<Item = f64> {
        self.costs.iter().map(|cost| cost.microseconds)
    }

    fn busy(&self) -> f64 {
        median(self.costs.iter().map(|cost| cost.busy))
    }

    /// Against the burst of the same round, so that what slows the whole machine for a while cancels out.
    pub fn times(&self, base: &Self) -> f64 {
        median(self.microseconds().zip(base.microseconds()).map(|(own, base)| own / base))
    }

    /// Microseconds more than another one, in the same way.
    pub fn beyond(&self, base: &Self) -> f64 {
        median(self.microseconds().zip(base.microseconds()).map(|(own, base)| own - base))
    }

    fn latency(&self, share: f64) -> f64 {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index).or(self.latencies.last()).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

pub fn find<'a>(rows: &'a [Row], name: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.name == name)
}

pub const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// Whether each row costs as much as the first one.
pub fn judge_growth(rows: &[Row], aim: f64) {
    let Some((base, others)) = rows.split_first() else { return };
    for row in others {
        let times = row.times(base);
        println!("{}: {times:.3} of {} (aim {aim}: {})", row.name, base.name, verdict(times <= aim));
    }
}

/// The first row is what the others are compared with.
pub fn print(rows: &[Row], load: Load) {
    let Some(base) = rows.first() else { return };
    let with_latencies = rows.iter().any(|row| !row.latencies.is_empty());
    println!();
    let against = if base.name == "bare proxy" { "times bare" } else { "times the first" };
    print!("{:44}{:^17}{against:^17}{:>8}{:>7}", "", "CPU us/request", "", "");
    println!("{}", if with_latencies { format!("{:^19}", "latency us") } else { String::new() });
    print!("{:44}{:>8}{:>8} {:>8}{:>8}", "", "median", "minimum", "median", "minimum");
    println!(" {:>9}{:>6}{}", "req/s", "busy", if with_latencies { "      p50      p99" } else { "" });
    for row in rows {
        let least = minimum(row.microseconds());
        print!(
            "{:44}{:8.2}{:8.2} {:8.3}{:8.3} {:9.0}{:5.0}%",
            row.name,
            median(row.microseconds()),
            least,
            row.times(base),
            least / minimum(base.microseconds()),
            median(row.costs.iter().map(|cost| cost.per_second)),
            row.busy() * 100.0,
        );
        if with_latencies {
            print!("{:9.0}{:9.0}", row.latency(0.5), row.latency(0.99));
        }
        println!();
    }
    println!("{} rounds, {} requests in each burst over {} connections", load.rounds, load.count, load.connections);
    let idle: Vec<&str> = rows.iter().filter(|row| row.busy() < BUSY_ENOUGH).map(|row| row.name.as_str()).collect();
    if !idle.is_empty() {
        println!(
            "NOT TO BE RELIED ON, because these were not kept busy: {}. Is something else running on this machine?",
            idle.join("; ")
        );
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn minimum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}
