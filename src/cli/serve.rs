//! `serve`: until a signal, then drain.

use super::failure::Failure;
use crate::config::settings::Settings;
use crate::server::run::{Running, warn, watch};
use crate::server::signals::Signals;
use crate::server::start_error::StartError;

pub fn run(settings: &Settings) -> Result<(), Failure> {
    let signals = Signals::catch()?;
    let running = start(settings)?;
    wait_and_drain(running, signals);
    Ok(())
}

/// Starts, with diagnostics on.
pub fn start(settings: &Settings) -> Result<Running, StartError> {
    watch(settings);
    let running = Running::start(settings)?;
    warn(settings);
    tracing::info!(http = %running.http(), ops = %running.ops(), "serving");
    Ok(running)
}

pub fn wait_and_drain(running: Running, signals: Signals) {
    let signal = signals.wait();
    tracing::info!(signal, "draining");
    let complete = running.drain();
    tracing::info!(complete, "stopped");
}
