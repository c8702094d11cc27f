//! The hash's own bound: a process that does nothing but verify, on as many threads as the gateway hashes on.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::crypto::password::{self, Memory, Verdict};
use portcullis::domain::secret::Secret;

use crate::Result;
use crate::harness::process::{Cores, Process, own_time};
use crate::people::{COST, PASSWORD, stored_password};

/// The first argument of this program as that process.
pub const ARGUMENT: &str = "--hash-alone";

pub struct HashAlone {
    _process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

pub struct Turn {
    pub per_second: f64,
    /// Microseconds on a core for each hash.
    pub cpu: f64,
}

impl HashAlone {
    pub fn start(threads: usize, cores: &Cores) -> Result<Self> {
        let own = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
        let mut command = Command::new(own);
        command.arg(ARGUMENT).arg(threads.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("hash_alone", command, cores)?;
        let (orders, answers) = process.pipes().ok_or("hash_alone has no pipes")?;
        let mut started = Self { _process: process, orders, answers: BufReader::new(answers) };
        started.turn(Duration::from_millis(200))?;
        Ok(started)
    }

    /// Hashes for a while.
    pub fn turn(&mut self, lasting: Duration) -> Result<Turn> {
        let ordered = writeln!(self.orders, "{}", lasting.as_millis());
        ordered.map_err(|error| format!("hash_alone takes no orders: {error}"))?;
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        read.map_err(|error| format!("hash_alone does not answer: {error}"))?;
        let mut figures = line.split_whitespace().map_while(|figure| figure.parse().ok());
        let (per_second, cpu) = figures.next().zip(figures.next()).ok_or(format!("hash_alone answered {line:?}"))?;
        Ok(Turn { per_second, cpu })
    }
}

/// That process: takes a time in milliseconds from each line, and answers with a rate and the cost of one.
pub fn run(threads: usize) -> Result<()> {
    let stored = stored_password()?;
    let attempt = Secret::new(PASSWORD.to_owned());
    let work = |lasting: Duration| -> Result<Turn> {
        let mut memory = Memory::default();
        let (begin, cpu, mut done) = (Instant::now(), own_time()?, 0_usize);
        while begin.elapsed() < lasting {
            done += usize::from(password::verify(&attempt, &stored, COST, &mut memory) == Verdict::Right);
        }
        let per_second = done as f64 / begin.elapsed().as_secs_f64();
        Ok(Turn { per_second, cpu: (own_time()? - cpu) / done as f64 })
    };
    for line in std::io::stdin().lines() {
        let line = line.map_err(|error| format!("no orders: {error}"))?;
        let lasting = Duration::from_millis(line.parse().map_err(|_| format!("{line:?} is no order"))?);
        let turns = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(lasting))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?);
            joined.collect::<Result<Vec<Turn>>>()
        })?;
        let per_second: f64 = turns.iter().map(|turn| turn.per_second).sum();
        let cpu = turns.iter().map(|turn| turn.cpu).sum::<f64>() / turns.len() as f64;
        println!("{per_second} {cpu}");
    }
    Ok(())
}
