//! Connections that have left HTTP, and the way to close them from outside.
//!
//! A request is judged once, and a tunnel may go on for hours after that. Whoever let it in opens it here before the
//! upstream's agreement is written; the stream finds it by its ends when it switches, and ends when it is closed.

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

/// Both ends of a connection. A client may use one port of its own towards each socket that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    pub client: SocketAddr,
    pub here: SocketAddr,
}

/// The tunnels of a process.
#[derive(Debug, Default)]
pub struct Tunnels(Mutex<HashMap<Ends, Arc<Tunnel>>>);

impl Tunnels {
    pub fn open(&self, ends: Ends) -> Arc<Tunnel> {
        let tunnel = Arc::new(Tunnel::default());
        self.0.lock().insert(ends, Arc::clone(&tunnel));
        tunnel
    }

    /// Takes the tunnel out: from here on the stream alone keeps it alive.
    pub fn enter(&self, ends: Ends) -> Option<Arc<Tunnel>> {
        self.0.lock().remove(&ends)
    }

    /// Forgets what was opened and never entered, because the upstream's agreement could not be written.
    pub fn forget(&self, ends: Ends) {
        self.0.lock().remove(&ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_of_a_client_may_lead_to_two_tunnels() {
        let tunnels = Tunnels::default();
        let ends = |here: &str| Ends { client: "192.0.2.1:5000".parse().unwrap(), here: here.parse().unwrap() };
        let (plain, tls) = (ends("192.0.2.9:80"), ends("192.0.2.9:443"));
        let opened = [tunnels.open(plain), tunnels.open(tls)];
        opened[0].close();
        let entered = [tunnels.enter(plain).unwrap(), tunnels.enter(tls).unwrap()];
        assert_eq!(entered.map(|tunnel| tunnel.is_closed()), [true, false]);
        assert!(tunnels.enter(plain).is_none());
    }
}
