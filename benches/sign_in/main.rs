//! What signing in costs, and what it costs the others: Portcullis against the hash alone, with and without a flood,
//! alternating in one run. `README.md` beside this folder says what is measured and how.

// A program that measures reads the clock, prints what it found, and asks nobody for the time.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod commits;
mod figures;
mod flood;
#[path = "../harness/mod.rs"]
mod harness;
mod hash_alone;
mod people;
mod rate;
mod refresh;
mod requests;
mod timing;

use std::process::ExitCode;
use std::time::Duration;

use arguments::Arguments;
use harness::gateway::Gateway;
use harness::process::{Cores, Process};
use harness::{Result, upstream};
use mimalloc::MiMalloc;
use people::{COST, Kind, People};
use serde_json::json;

/// As the gateway has it: the hash allocates its memory anew each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Hashing threads, which is the gateway's default on one processor and on two.
const THREADS: usize = 1;
/// For each of the caches: small, so that the ceiling of the memory is near.
const CACHE_MIB: u64 = 4;
/// Those who know their password.
const USERS: usize = 64;
/// Those whom the flood guesses at.
const VICTIMS: usize = 32;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let ended = match arguments.next().as_deref() {
        Some(hash_alone::ARGUMENT) => {
            let threads = arguments.next().and_then(|threads| threads.parse().ok());
            hash_alone::run(threads.unwrap_or(THREADS))
        }
        _ => bench(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sign_in: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    // `cargo test --all-targets` runs benchmarks too, without this argument, and unoptimised figures help nobody.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("sign_in: nothing is measured; `make bench` does that");
        return Ok(());
    }
    let arguments = Arguments::read(std::env::args().skip(1))?;
    // Both before this thread is moved, and sees the core that it is moved to only.
    let (one, two) = (Cores::choose(1)?, Cores::choose(2)?);
    one.work()?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let gateway = prepare(folder.path(), &arguments)?;

    println!("On one core");
    let process = serve(&gateway, &one)?;
    let idle = process.resident_kib()?;
    if arguments.wants("rate") {
        rate::measure(&gateway, &process, &one, &arguments)?;
    }
    if arguments.wants("refresh") {
        refresh::measure(&gateway, &process)?;
    }
    if arguments.wants("timing") {
        timing::measure(&gateway, &arguments)?;
    }
    if arguments.wants("flood") {
        flood::measure(&gateway, &process, idle, &arguments)?;
    }
    process.stop()?;

    println!("\nOn two cores{}", if two.are_shared() { ", of which the load takes its part" } else { "" });
    two.work()?;
    let process = serve(&gateway, &two)?;
    let idle = process.resident_kib()?;
    if arguments.wants("rate") {
        rate::measure(&gateway, &process, &two, &arguments)?;
    }
    if arguments.wants("flood") {
        flood::measure(&gateway, &process, idle, &arguments)?;
    }
    process.stop()
}

fn prepare(folder: &std::path::Path, arguments: &Arguments) -> Result<Gateway> {
    let passwords = json!({
        "threads": THREADS,
        "memory": format!("{}KiB", COST.memory_kib),
        "iterations": COST.iterations,
        "parallelism": COST.parallelism,
    });
    let further = [
        ("passwords", passwords),
        ("cache", json!({ "size": format!("{CACHE_MIB}MiB") })),
        // The load says who its clients are, as a proxy in front does.
        ("trusted_proxies", json!(["127.0.0.0/8"])),
    ];
    let gateway = Gateway::prepare(folder, upstream::start()?, &further)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let people = People::open(&gateway.database).await?;
        people.make("user", USERS, Kind::Active).await?;
        people.make("victim", VICTIMS, Kind::Active).await?;
        timing::prepare(&people, arguments).await?;
        people.close().await;
        Ok(gateway)
    })
}

fn serve(gateway: &Gateway, cores: &Cores) -> Result<Process> {
    let mut process = gateway.serve(cores)?;
    process.answers(gateway.address, &request("/public/hello", ""))?;
    // What a start leaves behind settles before memory is read.
    std::thread::sleep(Duration::from_secs(2));
    Ok(process)
}

fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: sign_in\r\nAccept: */*\r\n{fields}\r\n").into_bytes()
}

/// A request that is forwarded for somebody who has signed in.
fn proxied(token: &str) -> Vec<u8> {
    request("/guarded/hello", &format!("Authorization: Bearer {token}\r\n"))
}
