//! Tunnels, and whether what they were let in with still stands.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::wire::{Tunnel, Tunnels};
use crate::access::arrival::Arrival;
use crate::access::gatekeeper::Gatekeeper;
use crate::access::permit::Permit;

/// Held weakly: a tunnel is over when its connection is.
struct Standing {
    tunnel: Weak<Tunnel>,
    arrival: Arrival,
    permit: Permit,
}

/// Closes tunnels of callers who would not be let in any more. A token that has run out by itself closes nothing: it opened
/// the door once, and what ends a session is asked about the session.
pub struct StandingTunnels {
    tunnels: Arc<Tunnels>,
    open: Mutex<Vec<Standing>>,
}

impl StandingTunnels {
    pub fn new(tunnels: Arc<Tunnels>) -> Self {
        Self { tunnels, open: Mutex::new(Vec::new()) }
    }

    /// Before the upstream's agreement goes to the client at `peer`. Nobody's tunnel needs no watch.
    pub fn open(&self, peer: SocketAddr, arrival: &Arrival, permit: &Permit) {
        if permit.principal().is_none() {
            return;
        }
        let tunnel = Arc::downgrade(&self.tunnels.open(peer));
        let mut open = self.open.lock();
        open.push(Standing { tunnel, arrival: arrival.clone(), permit: permit.clone() });
    }

    /// After a connection has ended that may never have become a tunnel.
    pub fn forget(&self, peer: SocketAddr) {
        self.tunnels.forget(peer);
    }

    /// Looks at each once, by the rules of today. How many were closed.
    pub async fn run_once(&self, gatekeeper: &Gatekeeper) -> usize {
        let all = std::mem::take(&mut *self.open.lock());
        let mut closed = 0;
        let mut standing = Vec::with_capacity(all.len());
        for one in all {
            let Some(tunnel) = one.tunnel.upgrade() else { continue };
            // A store that does not answer for longer than its memory lasts is a no, as it is for a request.
            match gatekeeper.still_stands(&one.permit, &one.arrival).await {
                Ok(()) => standing.push(one),
                Err(_) => {
                    tunnel.close();
                    closed += 1;
                }
            }
        }
        self.open.lock().append(&mut standing);
        closed
    }
}
