//! The threads that proxy: each with a runtime of its own, so that a connection stays on the core it was accepted on.
//!
//! Pingora has such a runtime too, but keeps it in a global by thread id. Ids are used again, so a second gateway in one
//! process (as in a test) would hand its connections to the dead threads of the first.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pingora_core::apps::ServerApp;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::edge::wire::Transport;

/// How long what is left on a worker gets when it is told to quit.
const FAREWELL: Duration = Duration::from_millis(500);

/// Where clients come in.
pub struct Entrance<'a> {
    pub address: SocketAddr,
    pub socket: &'a TcpListener,
    pub transport: Transport,
}

pub struct Workers {
    quit: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads that accept at each of the `entrances` and serve with what `app` gives each of them for what
    /// is spoken there. They stop accepting when `stop` turns true, and end when the workers are dropped.
    pub fn start<A: ServerApp + Send + Sync + 'static>(
        count: usize,
        entrances: &[Entrance<'_>],
        stop: &watch::Receiver<bool>,
        app: impl Fn(Transport) -> A,
    ) -> io::Result<Self> {
        let (quit, quitting) = watch::channel(false);
        let mut workers = Self { quit, threads: Vec::new() };
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let mut quitting = quitting.clone();
            for Entrance { address, socket, transport } in entrances {
                runtime.spawn(accept("edge", app(*transport), *address, socket.try_clone()?, stop.clone()));
            }
            let thread = std::thread::Builder::new().name(format!("edge-{index}")).spawn(move || {
                runtime.block_on(async move {
                    // An error means that the sender is gone, and that is the same word.
                    let _ = quitting.changed().await;
                });
                runtime.shutdown_timeout(FAREWELL);
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let _ = self.quit.send(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Accepts connections on the runtime it is called on, until `stop` turns true.
pub async fn accept<A: ServerApp + Send + Sync + 'static>(
    name: &str,
    app: A,
    address: SocketAddr,
    socket: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let mut service = Service::new(name.to_owned(), app);
    service.add_tcp(&address.to_string());
    service.start_service(Some(inherited(address, socket)), stop, 1).await;
}

/// A bound socket, as Pingora looks for one that a predecessor left.
fn inherited(address: SocketAddr, socket: TcpListener) -> ListenFds {
    let mut fds = Fds::new();
    fds.add(address.to_string(), socket.into_raw_fd());
    Arc::new(parking_lot::Mutex::new(fds))
}
