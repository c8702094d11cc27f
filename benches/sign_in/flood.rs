//! Proxied requests beside a flood of sign-ins, and the memory that it takes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::figures::{median, quantile, verdict};
use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::harness::load::{Steady, steady};
use crate::harness::process::Process;
use crate::people::{COST, PASSWORD};
use crate::requests::sign_in;
use crate::{CACHE_MIB, Result, THREADS, USERS, VICTIMS, proxied};

/// More than may wait to be hashed, so that some are always turned away.
const CONNECTIONS: usize = 128;
/// Until the first one is turned away.
const PATIENCE: Duration = Duration::from_secs(20);
const AIM: f64 = 1.5;
/// The niceness of whoever gets the processor only when nobody else wants it.
const LAST: i32 = 19;

/// What a connection of a client may hold: a head and a body at their limits, 32 and 64 KiB.
const CONNECTION_KIB: u64 = 96;
/// SQLite's default page cache, for the writer and four readers.
const PAGES_KIB: u64 = 5 * 2000;
const CACHES: u64 = 4;

pub fn measure(gateway: &Gateway, process: &Process, idle_kib: u64, arguments: &Arguments) -> Result<()> {
    let request = proxied(&gateway.sign_in()?);
    let sent = AtomicUsize::new(0);
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    let mut answers = BTreeMap::new();
    let before = process.resident_kib()?;
    process.forget_peak()?;
    let calm = || steady(gateway.address, &request, arguments.rate, arguments.turn);
    for round in 0..arguments.rounds {
        if round % 2 == 0 {
            quiet.push(calm()?);
        }
        flooded.push(beside(gateway, arguments.flood, &sent, &mut answers, calm)?);
        if round % 2 != 0 {
            quiet.push(calm()?);
        }
    }
    let peak = process.peak_kib()?;
    thread::sleep(Duration::from_secs(2));
    let after = process.resident_kib()?;

    let at = |turns: &[Steady], share: f64| median(turns.iter().map(|turn| quantile(&turn.latencies, share)));
    let refused = |turns: &[Steady]| turns.iter().map(|turn| turn.refused).sum::<usize>();
    for (name, turns) in [("proxied, quiet", &quiet), ("proxied, in the flood", &flooded)] {
        println!(
            "{name:24}  p50 {:7.3} ms  p99 {:7.3} ms  {} refused",
            at(turns, 0.5),
            at(turns, 0.99),
            refused(turns)
        );
    }
    let ratio = |share: f64| {
        let pairs = flooded.iter().zip(&quiet);
        median(pairs.map(|(flooded, quiet)| quantile(&flooded.latencies, share) / quantile(&quiet.latencies, share)))
    };
    let least =
        |turns: &[Steady]| turns.iter().map(|turn| quantile(&turn.latencies, 0.99)).fold(f64::INFINITY, f64::min);
    let p99 = ratio(0.99);
    println!(
        "flood over quiet          p50 {:7.2}     p99 {p99:7.2} (least over least {:.2})  (aim 1.5 and none refused: {})",
        ratio(0.5),
        least(&flooded) / least(&quiet),
        verdict(p99 <= AIM && refused(&flooded) == 0)
    );
    println!("sign-ins of the flood by status: {answers:?}, {} per second offered", arguments.flood);

    let ceiling = idle_kib
        + THREADS as u64 * u64::from(COST.memory_kib)
        + CACHES * CACHE_MIB * 1024
        + CONNECTIONS as u64 * CONNECTION_KIB
        + PAGES_KIB;
    println!(
        "resident: idle {idle_kib} KiB, before {before}, at most {peak}, after {after}; ceiling {ceiling}: {}",
        verdict(peak <= ceiling)
    );
    Ok(())
}

/// Does something beside a flood that has turned somebody away already, which is when it is at its worst.
fn beside<T>(
    gateway: &Gateway,
    rate: usize,
    sent: &AtomicUsize,
    answers: &mut BTreeMap<u16, usize>,
    work: impl Fn() -> Result<T>,
) -> Result<T> {
    let (stop, full) = (AtomicBool::new(false), AtomicBool::new(false));
    let counted = Mutex::new(answers);
    let interval = Duration::from_secs_f64(CONNECTIONS as f64 / rate as f64);
    let send = |index: usize| -> Result<()> {
        // The flood comes from elsewhere: its senders must not keep those from the processor who send and answer what is
        // measured.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LAST);
        let mut connection = Connection::open(gateway.address)?;
        thread::sleep(interval.mul_f64(index as f64 / CONNECTIONS as f64));
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let answer = connection.exchange(&attempt(sent.fetch_add(1, Ordering::Relaxed)))?;
            if answer.status == 503 {
                full.store(true, Ordering::Relaxed);
            }
            if let Ok(mut counted) = counted.lock() {
                *counted.entry(answer.status).or_insert(0) += 1;
            }
            thread::sleep(interval.saturating_sub(begin.elapsed()));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let send = &send;
        let threads: Vec<_> = (0..CONNECTIONS).map(|index| scope.spawn(move || send(index))).collect();
        let begin = Instant::now();
        while !full.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        let done = work();
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread of the flood panicked".to_owned())??;
        }
        if !full.load(Ordering::Relaxed) {
            return Err("the flood filled no queue: give a higher --flood".to_owned());
        }
        done
    })
}

/// Half of them at names that nobody has, a quarter at users whose accounts are soon blocked, a quarter rightly; each from
/// another address.
fn attempt(number: usize) -> Vec<u8> {
    match number % 4 {
        0 => sign_in(&format!("victim-{}", number / 4 % VICTIMS), "not the password", number),
        1 => sign_in(&format!("user-{}", number / 4 % USERS), PASSWORD, number),
        _ => sign_in(&format!("nobody-{number}"), "not the password", number),
    }
}
