//! One reading of the configuration, as requests meet it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

use super::body::BodyLimits;
use super::identity_headers::IdentityHeaders;
use super::record::Recorder;
use super::sanitise::Sanitiser;
use super::upstreams::Upstreams;
use crate::access::gatekeeper::Gatekeeper;
use crate::access::request_limits::RequestLimits;
use crate::api::router::Api;
use crate::routing::table::RouteTable;

/// All that depends on the configuration. A request holds on to the one that it began under, so that it is not judged by
/// one and forwarded by another.
pub struct Regime {
    pub sanitiser: Sanitiser,
    pub table: Arc<RouteTable>,
    pub gatekeeper: Arc<Gatekeeper>,
    pub limits: RequestLimits,
    pub api: Api,
    pub identity: Arc<IdentityHeaders>,
    pub upstreams: Upstreams,
    pub recorder: Recorder,
    pub body_limits: BodyLimits,
    /// How long a connection may wait for its next request, in seconds.
    pub idle_timeout: u64,
    /// `Strict-Transport-Security` of our own answers.
    pub hsts: Option<HeaderValue>,
}

/// The regime that requests begin under. Replaced as a whole.
pub type InForce = Arc<ArcSwap<Regime>>;
