//! The life of a request. Pingora is spoken here, and in `server`.
//!
//! Read [`gateway`] first: its phases are the list of what happens to a request, in order.

pub mod body;
pub mod context;
pub mod echo;
pub mod gateway;
pub mod head_fields;
pub mod identity_headers;
pub mod in_flight;
pub mod ops;
pub mod rate_headers;
pub mod record;
pub mod regime;
pub mod request_id;
pub mod reserved;
pub mod respond;
pub mod sanitise;
pub mod standing;
pub mod upstreams;
pub mod wire;
