//! What a request costs: Portcullis against a bare Pingora proxy, alternating in one run. `README.md` beside this folder
//! says what is measured and how.

// A program that measures reads the clock, prints what it found, and asks nobody for the time.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
#[path = "../harness/mod.rs"]
mod harness;
mod report;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use arguments::Arguments;
use harness::gateway::{self, Gateway};
use harness::process::{self, Cores, Process};
use harness::{Result, load, upstream};
use report::Row;

const STARTS: usize = 5;
const LATENCY_SECONDS: u64 = 3;

/// One kind of request to one of the processes.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    request: Vec<u8>,
}

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks too, without this argument, and unoptimised figures help nobody.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("cost: nothing is measured; `make bench` does that");
        return ExitCode::SUCCESS;
    }
    match Arguments::read(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cost: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let cores = Cores::choose(1)?;
    // The load and the upstream run on threads of this process, and those inherit the core.
    cores.work()?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let upstream = upstream::start()?;
    let bare = bare_proxy(&cores, upstream)?;
    let again = bare_proxy(&cores, upstream)?;

    let plain = request("/public/hello", "");
    let mut subjects = vec![
        Subject { name: "bare proxy", address: bare.1, pid: bare.0.id(), request: plain.clone() },
        Subject { name: "bare proxy, a second process", address: again.1, pid: again.0.id(), request: plain.clone() },
    ];
    let mut running = None;
    if !arguments.bare_only {
        let gateway = Gateway::prepare(folder.path(), upstream, &[])?;
        let process = time_starts(&gateway, &cores, &plain)?;
        println!("Portcullis, idle: {} KiB resident", process.resident_kib()?);
        let token = format!("Authorization: Bearer {}\r\n", gateway.sign_in()?);
        let key = format!("X-API-Key: {}\r\n", gateway.key);
        gateway.refuses(&request("/guarded/hello", ""))?;
        let mut add = |name, address, pid, request| subjects.push(Subject { name, address, pid, request });
        add("bare proxy, with the token", bare.1, bare.0.id(), request("/guarded/hello", &token));
        add("Portcullis, public route", gateway.address, process.id(), plain);
        add("Portcullis, JWT", gateway.address, process.id(), request("/guarded/hello", &token));
        add("Portcullis, API key", gateway.address, process.id(), request("/guarded/hello", &key));
        running = Some(process);
    }

    let mut rows: Vec<Row> = subjects.iter().map(|subject| Row::new(subject.name)).collect();
    for round in 0..arguments.rounds {
        // Each round starts elsewhere, so that nobody always runs behind the same neighbour.
        for turn in 0..subjects.len() {
            let at = (round + turn) % subjects.len();
            if let (Some(subject), Some(row)) = (subjects.get(at), rows.get_mut(at)) {
                row.costs.push(measure(subject, arguments)?);
            }
        }
    }
    for (subject, row) in subjects.iter().zip(&mut rows) {
        let lasting = Duration::from_secs(LATENCY_SECONDS);
        let steady = load::steady(subject.address, &subject.request, arguments.rate, lasting)
            .map_err(|problem| format!("{}: {problem}", subject.name))?;
        if steady.refused > 0 {
            return Err(format!("{}: {} requests were refused at a steady rate", subject.name, steady.refused));
        }
        row.latencies = steady.latencies;
    }
    report::print(&rows, arguments);
    if let Some(process) = running {
        println!("Portcullis, after the load: {} KiB resident", process.resident_kib()?);
    }
    Ok(())
}

/// CPU time of the process for each request, in microseconds, and how busy it kept its core.
fn measure(subject: &Subject, arguments: &Arguments) -> Result<report::Cost> {
    let about = |problem| format!("{}: {problem}", subject.name);
    let watch = || Ok((process::cpu_time(subject.pid)?, Instant::now()));
    let (before, after) =
        load::burst(subject.address, &subject.request, arguments.connections, arguments.requests, watch)
            .map_err(about)?;
    let nanoseconds = process::spent(&before.0, &after.0);
    let elapsed = after.1.duration_since(before.1);
    let requests = arguments.requests_in_burst() as f64;
    Ok(report::Cost {
        microseconds: nanoseconds as f64 / 1000.0 / requests,
        busy: nanoseconds as f64 / elapsed.as_nanos() as f64,
        per_second: requests / elapsed.as_secs_f64(),
    })
}

/// Starts the gateway a few times on the database that is already there, and leaves the last one running.
fn time_starts(gateway: &Gateway, cores: &Cores, request: &[u8]) -> Result<Process> {
    let mut times = Vec::new();
    loop {
        let begin = Instant::now();
        let mut process = gateway.serve(cores)?;
        process.answers(gateway.address, request)?;
        times.push(begin.elapsed());
        if times.len() == STARTS {
            times.sort_unstable();
            let at = |index: usize| times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
            println!(
                "Portcullis, from start to first answer: median {:.0} ms, from {:.0} to {:.0} ms in {STARTS} starts",
                at(STARTS / 2),
                at(0),
                at(STARTS - 1)
            );
            // What a start leaves behind settles before memory is read.
            std::thread::sleep(Duration::from_secs(2));
            return Ok(process);
        }
        process.stop()?;
    }
}

fn bare_proxy(cores: &Cores, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
    let path = example("bare_proxy")?;
    let address = process::free_address()?;
    let mut command = Command::new(path);
    command.arg(address.to_string()).arg(upstream.to_string());
    let mut process = Process::start("bare_proxy", command, cores)?;
    process.answers(address, &request("/", ""))?;
    Ok((process, address))
}

/// Examples are built into a folder beside the binary; `cargo bench` alone does not build them.
fn example(name: &str) -> Result<PathBuf> {
    let path = Path::new(gateway::BINARY).with_file_name("examples").join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing; `make bench` builds it first", path.display()))
}

fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cost\r\nAccept: */*\r\n{fields}\r\n").into_bytes()
}
