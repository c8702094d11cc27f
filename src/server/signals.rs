//! SIGTERM and SIGINT, noticed from before the first socket opens: whoever is told that the process is ready may stop it
//! at once, and must not kill it by that.

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals wait until they are asked for.
    pub fn catch() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let caught = runtime.block_on(async {
            Ok::<_, std::io::Error>((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
        });
        let (terminate, interrupt) = caught?;
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for one of them, or for one that has come already.
    pub fn wait(mut self) -> &'static str {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        })
    }
}
