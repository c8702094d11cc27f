//! The thin binary: parse, run, choose the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use portcullis::cli::arguments::Arguments;
use portcullis::cli::dispatch;
use portcullis::cli::failure::Failure;
use portcullis::cli::output::complain;

// Requests allocate and free many small things on several threads; this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match dispatch::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Negative) => ExitCode::FAILURE,
        Err(failure) => {
            complain(&format!("{}\n", failure.to_string().trim_end()));
            ExitCode::FAILURE
        }
    }
}
