//! What is known about one request, as far as it has come.

use std::sync::Arc;

use http::HeaderValue;

use super::in_flight::Counted;
use super::request_id::RequestId;
use crate::access::arrival::Arrival;
use crate::access::permit::Permit;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::rate_limit::Allowance;
use crate::routing::route::Route;

/// How far a request has come. Headers can be written only from `Admitted`, which holds the permit.
#[derive(Debug)]
pub enum Progress {
    /// Read, not judged yet.
    Read,
    /// Sanitised and routed.
    Routed { arrival: Arrival, route: Arc<Route> },
    /// Let through.
    Admitted(Box<Admitted>),
}

#[derive(Debug)]
pub struct Admitted {
    pub arrival: Arrival,
    pub permit: Permit,
    /// The target as it is forwarded: path in normal form (cut, if the route says so) and query.
    pub target: Option<String>,
    pub forwarded: Forwarded,
}

/// What the upstream is told about where the request came from.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// `X-Real-IP`: the client's address.
    pub client: HeaderValue,
    /// `X-Forwarded-For`: trusted hops before us, then the peer.
    pub for_chain: HeaderValue,
    pub proto: HeaderValue,
    pub host: HeaderValue,
}

/// Pingora's context: one for each request.
#[derive(Debug)]
pub struct RequestContext {
    pub started_at: Timestamp,
    pub progress: Progress,
    pub denial: Option<Denial>,
    /// Of the limit that the client is closest to.
    pub allowance: Option<Allowance>,
    /// Of a request that was served here: whom it was about.
    pub about: Option<String>,
    /// Once the head was looked at.
    pub request_id: Option<RequestId>,
    /// The peer's address until the client's is known.
    pub client: Option<std::net::IpAddr>,
    pub connect_attempts: usize,
    /// The client's side of a connection that was about to become a tunnel.
    pub tunnel: Option<std::net::SocketAddr>,
    pub _counted: Counted,
}

impl RequestContext {
    pub fn new(started_at: Timestamp, counted: Counted) -> Self {
        Self {
            started_at,
            progress: Progress::Read,
            denial: None,
            allowance: None,
            about: None,
            request_id: None,
            client: None,
            connect_attempts: 0,
            tunnel: None,
            _counted: counted,
        }
    }

    /// For a log.
    pub fn request_name(&self) -> &str {
        self.request_id.as_ref().map_or("", RequestId::as_str)
    }

    pub fn arrival(&self) -> Option<&Arrival> {
        match &self.progress {
            Progress::Read => None,
            Progress::Routed { arrival, .. } => Some(arrival),
            Progress::Admitted(admitted) => Some(&admitted.arrival),
        }
    }

    pub fn route(&self) -> Option<&Arc<Route>> {
        match &self.progress {
            Progress::Read => None,
            Progress::Routed { route, .. } => Some(route),
            Progress::Admitted(admitted) => Some(admitted.permit.route()),
        }
    }

    pub fn admitted(&self) -> Option<&Admitted> {
        match &self.progress {
            Progress::Admitted(admitted) => Some(admitted),
            _ => None,
        }
    }
}
