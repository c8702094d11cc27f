//! What a handler knows beside the request itself.

use std::net::IpAddr;

use crate::access::permit::Permit;
use crate::identity::public_keys::PublicKeys;
use crate::identity::sessions::SessionDesk;

/// Put into the request's extensions by whoever calls the router.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The proof that the gatekeeper has let this request through.
    pub permit: Permit,
    /// Found through trusted proxies only.
    pub client: IpAddr,
    pub request_id: String,
}

/// What the handlers work with.
pub struct Services {
    pub sessions: SessionDesk,
    pub public_keys: PublicKeys,
}
