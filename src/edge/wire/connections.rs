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

#[derive(Debug)]
pub struct Connections {
    most: usize,
    most_per_network: usize,
    /// Proxies that speak for many clients. They count only in all.
    exempt: Vec<IpNet>,
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

impl Connections {
    pub fn new(most: usize, most_per_network: usize, exempt: Vec<IpNet>) -> Self {
        Self {
            most,
            most_per_network,
            exempt,
            open: AtomicUsize::new(0),
            networks: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            refused_in_all: AtomicU64::new(0),
            refused_per_network: AtomicU64::new(0),
        }
    }

    /// `None`: there is no room for one more. A connection whose other end is not known counts in all.
    pub fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused_in_all.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        // From here on, dropping it gives its place back.
        let mut place = Place { connections: Arc::clone(self), network: None };
        let peer = peer.map(|peer| peer.to_canonical());
        if let Some(peer) = peer.filter(|peer| !self.exempt.iter().any(|network| network.contains(peer))) {
            let network = ClientNetwork::around(peer);
            let mut networks = self.shard(network)?.lock();
            let count = networks.entry(network).or_default();
            if *count >= self.most_per_network {
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

    fn connections(most: usize, per_network: usize, exempt: &[&str]) -> Arc<Connections> {
        let exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
        Arc::new(Connections::new(most, per_network, exempt))
    }

    fn entered(connections: &Arc<Connections>, peer: &str, tries: usize) -> Vec<Place> {
        (0..tries).filter_map(|_| connections.enter(Some(peer.parse().unwrap()))).collect()
    }

    #[test]
    fn each_network_has_its_own_bound_and_all_have_one() {
        let connections = connections(8, 3, &[]);
        let (a, b, c) = ("192.0.2.1", "2001:db8::1", "192.0.2.2");
        let held = entered(&connections, a, 9);
        assert_eq!((held.len(), entered(&connections, "::ffff:192.0.2.1", 9).len()), (3, 0));
        let others = entered(&connections, b, 9);
        assert_eq!((others.len(), entered(&connections, "2001:db8::ffff", 9).len()), (3, 0));
        assert_eq!(entered(&connections, c, 9).len(), 2, "there is no more room in all");
        assert_eq!((connections.open(), connections.refused()), (6, (7, 30)));
        drop(held);
        assert_eq!(entered(&connections, a, 9).len(), 3);
        drop(others);
        assert_eq!(connections.open(), 0);
        assert!(connections.networks.iter().all(|shard| shard.lock().is_empty()), "nothing is kept of who has left");
    }

    #[test]
    fn a_trusted_proxy_counts_only_in_all() {
        let connections = connections(5, 1, &["10.0.0.0/8"]);
        assert_eq!(entered(&connections, "10.1.2.3", 9).len(), 5);
        assert_eq!(entered(&connections, "::ffff:10.1.2.3", 9).len(), 5);
        assert_eq!(connections.enter(None).into_iter().count(), 1);
    }
}
