//! `serve`: until a signal, then drain. On the way the configuration may be read again, and another process may take over.

use std::path::{Path, PathBuf};

use super::arguments::Serve;
use super::failure::Failure;
use crate::config::environment::ProcessEnvironment;
use crate::config::fault::Faults;
use crate::config::settings::Settings;
use crate::server::control::{self, Answer, Call, Question};
use crate::server::ground::Nature;
use crate::server::handover::{Predecessor, Sockets, Successor};
use crate::server::run::{Running, warn, watch};
use crate::server::service_manager;
use crate::server::signals::{Event, Signals};
use crate::server::start_error::StartError;

pub fn run(path: &Path, options: &Serve) -> Result<(), Failure> {
    // Before anything is replaced: afterwards it is the path of a file that is no more.
    let binary = std::env::current_exe()?;
    let mut signals = Signals::catch()?;
    let (predecessor, sockets) = if options.take_over {
        let (predecessor, sockets) = Predecessor::receive().map_err(|error| StartError::Handover(error.to_string()))?;
        (Some(predecessor), Some(sockets))
    } else {
        (None, None)
    };
    let running = match begin(path, &mut signals, sockets) {
        Ok(running) => running,
        Err(failure) => {
            if let Some(predecessor) = predecessor {
                predecessor.tell_failed(&failure.to_string());
            }
            return Err(failure);
        }
    };
    if let Some(predecessor) = predecessor {
        // A predecessor that is gone takes no requests any more either.
        let _ = predecessor.tell_ready();
    }
    service_manager::ready();
    attend(running, signals, &Origin { path, binary });
    Ok(())
}

fn begin(path: &Path, signals: &mut Signals, sockets: Option<Sockets>) -> Result<Running, Failure> {
    let settings = read(path)?;
    let follows = sockets.is_some();
    watch(&settings);
    let running = Running::start_on(&settings, &Nature::real(), sockets)?;
    say_started(&settings, &running);
    if let Some(path) = control::path(&settings.listen, &settings.storage)
        && let Err(error) = signals.open_door(&path, follows)
    {
        let path = path.display();
        tracing::warn!(%path, %error, "commands do not reach this process here, and signals do");
    }
    Ok(running)
}

/// Starts, with diagnostics on, what takes no commands.
pub fn start(settings: &Settings) -> Result<Running, StartError> {
    watch(settings);
    let running = Running::start(settings)?;
    say_started(settings, &running);
    Ok(running)
}

fn say_started(settings: &Settings, running: &Running) {
    warn(settings);
    let https = running.https().map(tracing::field::display);
    tracing::info!(http = %running.http(), https, ops = %running.ops(), pid = std::process::id(), "serving");
}

fn read(path: &Path) -> Result<Settings, Faults> {
    crate::config::load(path, &ProcessEnvironment)
}

/// For what takes no commands: any signal ends it.
pub fn wait_and_drain(running: Running, mut signals: Signals) {
    let signal = match signals.wait() {
        Event::Stop(signal) => signal,
        Event::Reload => "SIGHUP",
        Event::Upgrade | Event::Call(_) => "SIGUSR2",
    };
    drain(running, signal);
}

fn drain(running: Running, signal: &str) {
    tracing::info!(signal, "draining");
    service_manager::stopping();
    let complete = running.drain();
    tracing::info!(complete, "stopped");
}

/// Where this process comes from, and a successor would.
struct Origin<'a> {
    /// The configuration.
    path: &'a Path,
    binary: PathBuf,
}

/// Does what it is told, until it is told to stop or another process has taken over.
fn attend(running: Running, mut signals: Signals, origin: &Origin<'_>) {
    loop {
        let (question, call) = match signals.wait() {
            Event::Stop(signal) => return drain(running, signal),
            Event::Reload => (Question::Reload, None),
            Event::Upgrade => (Question::Upgrade { binary: None }, None),
            Event::Call(call) => (call.question.clone(), Some(call)),
        };
        match question {
            Question::Reload => {
                let answer = reload(&running, origin.path);
                reply(&mut signals, call, &answer);
            }
            Question::Upgrade { binary } => {
                let binary = binary.as_deref().unwrap_or(&origin.binary);
                let stopped = match upgrade(&running, &mut signals, binary, origin.path) {
                    Ok(successor) => {
                        let line = format!("process {successor} serves, and process {} ends", std::process::id());
                        reply(&mut signals, call, &Answer { done: true, lines: vec![line] });
                        return hand_over(running, successor);
                    }
                    Err(NotUpgraded::Stopped(signal)) => Some(signal),
                    Err(NotUpgraded::Failed(reason)) => {
                        tracing::error!(%reason, "the new process did not take over; this one goes on");
                        let lines = reason.lines().map(str::to_owned).collect();
                        reply(&mut signals, call, &Answer { done: false, lines });
                        None
                    }
                };
                if let Some(signal) = stopped {
                    return drain(running, signal);
                }
            }
        }
    }
}

fn reply(signals: &mut Signals, call: Option<Call>, answer: &Answer) {
    if let Some(call) = call {
        let _ = signals.run(call.answer(answer));
    }
}

fn reload(running: &Running, path: &Path) -> Answer {
    match running.reload(read(path)) {
        Ok(()) => {
            let line = format!("{} is in force", path.display());
            Answer { done: true, lines: vec![line] }
        }
        Err(refused) => Answer { done: false, lines: refused.0 },
    }
}

enum NotUpgraded {
    Failed(String),
    /// By the signal of this name.
    Stopped(&'static str),
}

/// Starts a successor, and waits until it serves. Its process id.
fn upgrade(running: &Running, signals: &mut Signals, binary: &Path, path: &Path) -> Result<u32, NotUpgraded> {
    let failed = |reason: String| NotUpgraded::Failed(reason);
    if std::process::id() == 1 {
        let reason = "this is the first process of its container, which ends with it; start a new container instead";
        return Err(failed(reason.to_owned()));
    }
    let sockets = running.sockets().ok_or_else(|| failed("it has stopped listening".to_owned()))?;
    let arguments = ["serve".as_ref(), "--take-over".as_ref(), "--config".as_ref(), path.as_os_str()];
    let shown = binary.display();
    tracing::info!(binary = %shown, "starting the process that is to take over");
    let mut successor = Successor::start(binary, arguments, sockets)
        .map_err(|error| failed(format!("{shown} cannot be started: {error}")))?;
    match signals.run(successor.wait()) {
        Ok(Ok(())) => Ok(successor.id()),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(signal) => {
            successor.give_up();
            Err(NotUpgraded::Stopped(signal))
        }
    }
}

fn hand_over(running: Running, successor: u32) {
    service_manager::handed_over(successor);
    tracing::info!(successor, "another process has taken over; what is under way here is finished");
    let complete = running.hand_over();
    tracing::info!(complete, "stopped");
}
