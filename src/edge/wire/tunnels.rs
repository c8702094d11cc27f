//! Connections that have left HTTP, and the way to close them from outside.
//!
//! A request is judged once, and a tunnel may go on for hours after that. Whoever let it in opens it here before the
//! upstream's agreement is written; the stream finds it by its peer when it switches, and ends when it is closed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub struct Tunnel {
    closed: AtomicBool,
    /// Of the stream's reader, which is what waits while nobody says anything.
    reader: Mutex<Option<Waker>>,
}

impl Tunnel {
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(reader) = self.reader.lock().take() {
            reader.wake();
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closed or not, and whom to wake when it is.
    pub fn watch(&self, reader: &Waker) -> bool {
        *self.reader.lock() = Some(reader.clone());
        self.is_closed()
    }
}

/// The tunnels of a process, by the client's side of their connection.
#[derive(Debug, Default)]
pub struct Tunnels(Mutex<HashMap<SocketAddr, Arc<Tunnel>>>);

impl Tunnels {
    pub fn open(&self, peer: SocketAddr) -> Arc<Tunnel> {
        let tunnel = Arc::new(Tunnel::default());
        self.0.lock().insert(peer, Arc::clone(&tunnel));
        tunnel
    }

    /// Takes the tunnel out: from here on the stream alone keeps it alive.
    pub fn enter(&self, peer: SocketAddr) -> Option<Arc<Tunnel>> {
        self.0.lock().remove(&peer)
    }

    /// Forgets what was opened and never entered, because the upstream's agreement could not be written.
    pub fn forget(&self, peer: SocketAddr) {
        self.0.lock().remove(&peer);
    }
}
