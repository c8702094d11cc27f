//! What a request costs: Portcullis against a bare Pingora proxy and against HAProxy, alternating in one run, and whether
//! that grows with what there is. `README.md` beside this folder says what is measured and how.

// A program that measures reads the clock, prints what it found, and asks nobody for the time.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod first_sight;
mod haproxy;
#[path = "../harness/mod.rs"]
mod harness;
mod idle;
mod issuer;
mod keys;
mod report;
mod request;
mod routes;
mod shared_keys;
mod signer;
mod stage;
mod store;
mod subject;

use std::process::ExitCode;

use arguments::Arguments;
use harness::process::Cores;
use harness::{Result, upstream};
use stage::Stage;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks too, without this argument, and unoptimised figures help nobody.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("cost: nothing is measured; `make bench` does that");
        return ExitCode::SUCCESS;
    }
    match Arguments::read(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cost: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let cores = Cores::choose(1)?;
    // The load and the upstream run on threads of this process, and those inherit the core.
    cores.work()?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let stage = Stage { arguments, cores, upstream: upstream::start()?, place: folder.path().to_owned() };
    let sections: [fn(&Stage) -> Result<bool>; 5] =
        [request::measure, first_sight::measure, keys::measure, routes::measure, idle::measure];
    let mut measured = false;
    for section in sections {
        measured |= section(&stage)?;
    }
    if measured { Ok(()) } else { Err("there is no row of that name".to_owned()) }
}
