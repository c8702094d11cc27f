//! Sign-ins per second against the hash's own bound.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::Arguments;
use crate::figures::{median, verdict};
use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::harness::process::{self, Cores, Process};
use crate::hash_alone::HashAlone;
use crate::people::PASSWORD;
use crate::requests::{sign_in, unexpected};
use crate::{THREADS, USERS};

/// Before a turn counts: long enough for the longest queue to have formed.
const SETTLE: Duration = Duration::from_millis(800);
const AIM: f64 = 0.9;
/// Less of its cores than this, and the bound was that of somebody else's work.
const BUSY_ENOUGH: f64 = 0.95;

struct Turn {
    per_second: f64,
    /// CPU time for each sign-in, in microseconds: of the threads that hash, and of all the others.
    hashing: f64,
    beside_the_hash: f64,
}

pub fn measure(gateway: &Gateway, process: &Process, cores: &Cores, arguments: &Arguments) -> Result<()> {
    let mut alone = HashAlone::start(THREADS, cores)?;
    let loads = [4, 32];
    let mut bounds = Vec::new();
    let mut turns: [Vec<Turn>; 2] = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => bounds.push(alone.turn(arguments.turn)?),
                at => {
                    if let (Some(load), Some(turns)) = (loads.get(at - 1), turns.get_mut(at - 1)) {
                        turns.push(closed_loop(gateway, process.id(), *load, arguments.turn)?);
                    }
                }
            }
        }
    }
    let per_second = median(bounds.iter().map(|bound| bound.per_second));
    println!(
        "hash alone, {THREADS} threads     {per_second:8.1} per second, {:.0} us of CPU",
        median(bounds.iter().map(|b| b.cpu))
    );
    for (load, turns) in loads.iter().zip(&turns) {
        let pairs = || turns.iter().zip(&bounds);
        let ratio = median(pairs().map(|(turn, bound)| turn.per_second / bound.per_second));
        let share = median(pairs().map(|(turn, bound)| bound.cpu / (turn.hashing + turn.beside_the_hash)));
        println!(
            "sign-ins, {load:2} at a time     {:8.1} per second, {:.0} us of CPU and {:.0} us beside the hash",
            median(turns.iter().map(|turn| turn.per_second)),
            median(turns.iter().map(|turn| turn.hashing)),
            median(turns.iter().map(|turn| turn.beside_the_hash)),
        );
        println!(
            "    of the hash alone     {:8.1} % (aim 90 %: {}); by CPU time {:.1} %",
            ratio * 100.0,
            verdict(ratio >= AIM),
            share * 100.0,
        );
    }
    let busy =
        median(bounds.iter().map(|bound| bound.per_second * bound.cpu / 1e6)) / cores.count().min(THREADS) as f64;
    if busy < BUSY_ENOUGH {
        println!("NOT TO BE RELIED ON: the hash alone had {:.0} % of its cores. What else is running?", busy * 100.0);
    }
    Ok(())
}

/// Signs in over `load` connections, on each as soon as it is answered.
fn closed_loop(gateway: &Gateway, pid: u32, load: usize, lasting: Duration) -> Result<Turn> {
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let send = |index: usize| -> Result<()> {
        let mut connection = Connection::open(gateway.address)?;
        // Nobody is two people's turn at once, as long as there are more users than connections.
        for user in (index..USERS).step_by(load).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let answer = connection.exchange(&sign_in(&format!("user-{user}"), PASSWORD, user))?;
            if answer.status != 200 {
                return Err(unexpected(&answer));
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let watch = || Ok::<_, String>((process::cpu_time(pid)?, done.load(Ordering::Relaxed), Instant::now()));
    thread::scope(|scope| {
        let send = &send;
        let threads: Vec<_> = (0..load).map(|index| scope.spawn(move || send(index))).collect();
        thread::sleep(SETTLE);
        let before = watch();
        thread::sleep(lasting);
        let after = watch();
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread of the load panicked".to_owned())??;
        }
        let (before, mut after) = (before?, after?);
        let sign_ins = (after.1 - before.1) as f64;
        let all = process::spent(&before.0, &after.0) as f64;
        for thread in process::threads_named(pid, "hashing-")? {
            after.0.remove(&thread);
        }
        let others = process::spent(&before.0, &after.0) as f64;
        Ok(Turn {
            per_second: sign_ins / after.2.duration_since(before.2).as_secs_f64(),
            hashing: (all - others) / 1000.0 / sign_ins,
            beside_the_hash: others / 1000.0 / sign_ins,
        })
    })
}
