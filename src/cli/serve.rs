//! `serve`: until a signal, then drain.

use super::failure::Failure;
use crate::config::settings::Settings;
use crate::server::run::{Running, announce};
use crate::server::start_error::StartError;

pub fn run(settings: &Settings) -> Result<(), Failure> {
    let running = start(settings)?;
    wait_and_drain(running)
}

/// Starts, with diagnostics on.
pub fn start(settings: &Settings) -> Result<Running, StartError> {
    announce(settings);
    Running::start(settings)
}

pub fn wait_and_drain(running: Running) -> Result<(), Failure> {
    let signal = running.wait_for_signal()?;
    tracing::info!(signal, "draining");
    let complete = running.drain();
    tracing::info!(complete, "stopped");
    Ok(())
}
