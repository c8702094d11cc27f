//! The upstreams, and which of their servers is next.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};

use crate::domain::clock::{Clock, Timestamp};

/// How long a resolved name is used before it is resolved again.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// How long resolving may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    Fixed(SocketAddr),
    Named { host: String, port: u16 },
}

/// An upstream as it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSpec {
    pub name: Arc<str>,
    pub servers: Vec<ServerAddress>,
    /// The name the certificate must be for, when TLS is spoken.
    pub tls: Option<String>,
    /// Sent instead of the client's `Host`.
    pub host: Option<String>,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    pub idle_timeout: Duration,
}

pub struct Upstreams {
    by_name: HashMap<Arc<str>, Arc<Upstream>>,
    clock: Arc<dyn Clock>,
}

pub struct Upstream {
    spec: UpstreamSpec,
    host: Option<HeaderValue>,
    next: AtomicUsize,
    resolved: Mutex<HashMap<usize, (Timestamp, Vec<SocketAddr>)>>,
}

/// No server of the upstream can be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoServer;

impl Upstreams {
    /// Of those `before`, what is unchanged goes on with what it has resolved and whose turn it is.
    pub fn new(specs: Vec<UpstreamSpec>, clock: Arc<dyn Clock>, before: Option<&Self>) -> Self {
        let unchanged = |spec: &UpstreamSpec| {
            before.and_then(|before| before.by_name.get(&spec.name)).filter(|upstream| upstream.spec == *spec).cloned()
        };
        let by_name = specs
            .into_iter()
            .map(|spec| {
                let name = Arc::clone(&spec.name);
                let upstream = unchanged(&spec).unwrap_or_else(|| Arc::new(Upstream::new(spec)));
                (name, upstream)
            })
            .collect();
        Self { by_name, clock }
    }

    pub fn find(&self, name: &str) -> Option<&Upstream> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// The next server in turn.
    pub async fn next_peer(&self, upstream: &Upstream) -> Result<Box<HttpPeer>, NoServer> {
        let count = upstream.spec.servers.len();
        let turn = upstream.next.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(count).ok_or(NoServer)?;
        let address = match upstream.spec.servers.get(index).ok_or(NoServer)? {
            ServerAddress::Fixed(address) => *address,
            ServerAddress::Named { host, port } => self.resolve(upstream, index, host, *port, turn / count).await?,
        };
        Ok(Box::new(upstream.peer(address)))
    }

    async fn resolve(
        &self,
        upstream: &Upstream,
        index: usize,
        host: &str,
        port: u16,
        turn: usize,
    ) -> Result<SocketAddr, NoServer> {
        let pick = |addresses: &[SocketAddr]| {
            turn.checked_rem(addresses.len()).and_then(|at| addresses.get(at)).copied().ok_or(NoServer)
        };
        let now = self.clock.now();
        let known = upstream.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(&index).cloned();
        if let Some((at, addresses)) = &known
            && now.is_soon_after(*at, RESOLVED_FOR)
        {
            return pick(addresses);
        }
        let answer = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await;
        match answer {
            Ok(Ok(found)) => {
                let addresses: Vec<SocketAddr> = found.collect();
                let mut resolved = upstream.resolved.lock().unwrap_or_else(PoisonError::into_inner);
                resolved.insert(index, (now, addresses.clone()));
                pick(&addresses)
            }
            // A resolver that is down must not take a working upstream with it.
            _ => known.ok_or(NoServer).and_then(|(_, addresses)| pick(&addresses)),
        }
    }
}

impl Upstream {
    fn new(spec: UpstreamSpec) -> Self {
        let host = spec.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
        Self { spec, host, next: AtomicUsize::new(0), resolved: Mutex::default() }
    }

    pub const fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// How many servers there are to try.
    pub fn server_count(&self) -> usize {
        self.spec.servers.len()
    }

    fn peer(&self, address: SocketAddr) -> HttpPeer {
        let spec = &self.spec;
        let server_name = spec.tls.clone().unwrap_or_default();
        let mut peer = HttpPeer::new(address, spec.tls.is_some(), server_name);
        let options = &mut peer.options;
        options.connection_timeout = Some(spec.connect_timeout);
        options.total_connection_timeout = Some(spec.connect_timeout);
        options.read_timeout = Some(spec.read_timeout);
        options.write_timeout = Some(spec.write_timeout);
        options.idle_timeout = Some(spec.idle_timeout);
        // Hop-by-hop fields and those that `Connection` names go before our own are set; only WebSockets upgrade.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
        peer
    }
}
