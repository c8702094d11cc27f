//! How many connections there may be: in all, and from one client network.
//!
//! Beyond either the newest is closed before a byte of it is read. Who is connected stays so, and an address that opens
//! connections without end keeps nobody else out.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ipnet::IpNet;
use parking_lot::Mutex;

use crate::domain::client_network::ClientNetwork;

const SHARDS: usize = 16;

/// How many there may be.
#[derive(Clone, Debug)]
pub struct ConnectionBounds {
    pub most: usize,
    pub most_per_network: usize,
    /// Proxies that speak for many clients. They count only in all.
    pub exempt: Vec<IpNet>,
}

/// Those of the process.
#[derive(Debug)]
pub struct Connections {
    open: AtomicUsize,
    /// Networks with a connection, and how many each has.
    networks: Vec<Mutex<HashMap<ClientNetwork, usize>>>,
    hasher: RandomState,
    refused_in_all: AtomicU64,
    refused_per_network: AtomicU64,
}

/// One connection; counted until it is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    network: Option<ClientNetwork>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            networks: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            refused_in_all: AtomicU64::new(0),
            refused_per_network: AtomicU64::new(0),
        }
    }
}

impl Connections {
    /// `None`: there is no room for one more. A connection whose other end is not known counts in all.
    pub fn enter(self: &Arc<Self>, bounds: &ConnectionBounds, peer: Option<IpAddr>) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= bounds.most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused_in_all.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        // From here on, dropping it gives its place back.
        let mut place = Place { connections: Arc::clone(self), network: None };
        let peer = peer.map(|peer| peer.to_canonical());
        if let Some(peer) = peer.filter(|peer| !bounds.exempt.iter().any(|network| network.contains(peer))) {
            let network = ClientNetwork::around(peer);
            let mut networks = self.shard(network)?.lock();
            let count = networks.entry(network).or_default();
            if *count >= bounds.most_per_network {
                drop(networks);
                self.refused_per_network.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            *count += 1;
            place.network = Some(network);
        }
        Some(place)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Closed because of all there are, and because of those from one network.
    pub fn refused(&self) -> (u64, u64) {
        (self.refused_in_all.load(Ordering::Relaxed), self.refused_per_network.load(Ordering::Relaxed))
    }

    fn shard(&self, network: ClientNetwork) -> Option<&Mutex<HashMap<ClientNetwork, usize>>> {
        let at = usize::try_from(self.hasher.hash_one(network) % SHARDS as u64).unwrap_or(0);
        self.networks.get(at)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = self.network else { return };
        let Some(shard) = self.connections.shard(network) else { return };
        let mut networks = shard.lock();
        if let Some(count) = networks.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(most: usize, most_per_network: usize, exempt: &[&str]) -> ConnectionBounds {
        let exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
        ConnectionBounds { most, most_per_network, exempt }
    }

    fn entered(connections: &Arc<Connections>, bounds: &ConnectionBounds, peer: &str, tries: usize) -> Vec<Place> {
        (0..tries).filter_map(|_| connections.enter(bounds, Some(peer.parse().unwrap()))).collect()
    }

    #[test]
    fn each_network_has_its_own_bound_and_all_have_one() {
        let connections = Arc::new(Connections::default());
        let bounds = bounds(8, 3, &[]);
        let entered = |peer: &str| entered(&connections, &bounds, peer, 9);
        let held = entered("192.0.2.1");
        assert_eq!((held.len(), entered("::ffff:192.0.2.1").len()), (3, 0));
        let others = entered("2001:db8::1");
        assert_eq!((others.len(), entered("2001:db8::ffff").len()), (3, 0));
        assert_eq!(entered("192.0.2.2").len(), 2, "there is no more room in all");
        assert_eq!((connections.open(), connections.refused()), (6, (7, 30)));
        drop(held);
        assert_eq!(entered("192.0.2.1").len(), 3);
        drop(others);
        assert_eq!(connections.open(), 0);
        assert!(connections.networks.iter().all(|shard| shard.lock().is_empty()), "nothing is kept of who has left");
    }

    #[test]
    fn a_trusted_proxy_counts_only_in_all() {
        let connections = Arc::new(Connections::default());
        let bounds = bounds(5, 1, &["10.0.0.0/8"]);
        assert_eq!(entered(&connections, &bounds, "10.1.2.3", 9).len(), 5);
        assert_eq!(entered(&connections, &bounds, "::ffff:10.1.2.3", 9).len(), 5);
        assert_eq!(connections.enter(&bounds, None).into_iter().count(), 1);
    }
}
