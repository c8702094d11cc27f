//! Tunnels, and whether what they were let in with still stands.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::regime::Regime;
use super::wire::{Ends, Tunnel, Tunnels};
use crate::access::arrival::Arrival;
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

    /// Before the upstream's agreement goes to the client.
    pub fn open(&self, ends: Ends, arrival: &Arrival, permit: &Permit) {
        let tunnel = Arc::downgrade(&self.tunnels.open(ends));
        let mut open = self.open.lock();
        open.push(Standing { tunnel, arrival: arrival.clone(), permit: permit.clone() });
    }

    /// After a connection has ended that may never have become a tunnel.
    pub fn forget(&self, ends: Ends) {
        self.tunnels.forget(ends);
    }

    /// Looks at each once, by the rules of today, of which the route may be another one than when it was opened. How many
    /// were closed.
    pub async fn run_once(&self, regime: &Regime) -> usize {
        let all = std::mem::take(&mut *self.open.lock());
        let mut closed = 0;
        let mut standing = Vec::with_capacity(all.len());
        for one in all {
            let Some(tunnel) = one.tunnel.upgrade() else { continue };
            // A store that does not answer for longer than its memory lasts is a no, as it is for a request.
            let Arrival { host, path, method, .. } = &one.arrival;
            let renewed = match regime.table.find(host.as_ref(), path, method) {
                Ok(route) => regime.gatekeeper.still_stands(&one.permit, &one.arrival, route).await.ok(),
                Err(_) => None,
            };
            match renewed {
                Some(permit) => standing.push(Standing { permit, ..one }),
                None => {
                    tunnel.close();
                    closed += 1;
                }
            }
        }
        self.open.lock().append(&mut standing);
        closed
    }
}
