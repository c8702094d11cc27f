use std::net::SocketAddr;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::harness::load::{self, Requests};
use crate::harness::{Result, process};
use crate::report::{Cost, Row};

/// One kind of request to one of the processes.
pub struct Subject {
    pub name: String,
    pub address: SocketAddr,
    pub pid: u32,
    pub requests: Requests,
}

/// How much is sent: `count` requests in each burst.
#[derive(Clone, Copy)]
pub struct Load {
    pub rounds: usize,
    pub count: usize,
    pub connections: usize,
}

impl Load {
    /// Every connection sends the same number, so a burst is a multiple of them.
    pub fn new(arguments: &Arguments, rounds: usize, count: usize) -> Self {
        let connections = arguments.connections;
        Self { rounds, count: count.div_ceil(connections) * connections, connections }
    }

    /// That of all sections but `request`.
    pub fn lesser(arguments: &Arguments) -> Self {
        Self::new(arguments, arguments.fewer_rounds(), arguments.requests)
    }
}

/// Bursts in turn.
pub fn alternate(subjects: &[Subject], load: Load) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = subjects.iter().map(|subject| Row::new(&subject.name)).collect();
    for round in 0..load.rounds {
        take_turns(subjects, &mut rows, round, load)?;
    }
    Ok(rows)
}

/// Each round starts elsewhere, so that nobody always runs behind the same neighbour.
pub fn take_turns(subjects: &[Subject], rows: &mut [Row], round: usize, load: Load) -> Result<()> {
    for turn in 0..subjects.len() {
        let at = (round + turn) % subjects.len();
        if let (Some(subject), Some(row)) = (subjects.get(at), rows.get_mut(at)) {
            row.costs.push(subject.burst(load).map_err(|problem| format!("{}: {problem}", subject.name))?);
        }
    }
    Ok(())
}

impl Subject {
    /// CPU time of the process for each request, in microseconds, and how busy it kept its core.
    fn burst(&self, load: Load) -> Result<Cost> {
        let watch = || Ok((process::cpu_time(self.pid)?, Instant::now()));
        let (before, after) = load::burst(self.address, &self.requests, load.connections, load.count, watch)?;
        let nanoseconds = process::spent(&before.0, &after.0);
        let elapsed = after.1.duration_since(before.1);
        Ok(Cost {
            microseconds: nanoseconds as f64 / 1000.0 / load.count as f64,
            busy: nanoseconds as f64 / elapsed.as_nanos() as f64,
            per_second: load.count as f64 / elapsed.as_secs_f64(),
        })
    }
}
