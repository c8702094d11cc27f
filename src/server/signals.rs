//! What a running process is told: signals, and questions at its door. Signals are noticed from before the first socket
//! opens: whoever is told that the process is ready may stop it at once, and must not kill it by that.

use std::future::Future;
use std::io;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::control::{Call, Door};

pub struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user2: Signal,
    door: Option<Door>,
}

pub enum Event {
    /// With the signal's name.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    Upgrade,
    Call(Call),
}

impl Signals {
    /// From here on the signals wait until they are asked for.
    pub fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let caught = runtime.block_on(async {
            Ok::<_, io::Error>((
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::user_defined2())?,
            ))
        });
        let (terminate, interrupt, hang_up, user2) = caught?;
        Ok(Self { runtime, terminate, interrupt, hang_up, user2, door: None })
    }

    /// From here on questions are heard, too.
    pub fn open_door(&mut self, path: &Path, predecessor: bool) -> io::Result<()> {
        let opened = self.runtime.block_on(async { Door::open(path, predecessor) });
        self.door = Some(opened?);
        Ok(())
    }

    /// Waits for what comes next, or has come already.
    pub fn wait(&mut self) -> Event {
        let Self { runtime, terminate, interrupt, hang_up, user2, door } = self;
        runtime.block_on(async {
            let call = async {
                match door {
                    Some(door) => door.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = terminate.recv() => Event::Stop("SIGTERM"),
                _ = interrupt.recv() => Event::Stop("SIGINT"),
                _ = hang_up.recv() => Event::Reload,
                _ = user2.recv() => Event::Upgrade,
                call = call => Event::Call(call),
            }
        })
    }

    /// Runs something to its end, or until the process is to stop: then says by which signal.
    pub fn run<T>(&mut self, future: impl Future<Output = T>) -> Result<T, &'static str> {
        let Self { runtime, terminate, interrupt, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                done = future => Ok(done),
                _ = terminate.recv() => Err("SIGTERM"),
                _ = interrupt.recv() => Err("SIGINT"),
            }
        })
    }
}
