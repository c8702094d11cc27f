//! What do we serve ourselves? An ordinary axum router, called in process. No Pingora here, and no SQL.
//!
//! To add an endpoint: write its handler in the file of its noun, and add one line to [`endpoints::all`], which builds
//! both the route table and the router, so that nothing is served under a requirement meant for another path.

pub mod answer;
pub mod body;
pub mod context;
pub mod endpoints;
pub mod fields;
pub mod me;
pub mod negotiation;
pub mod qr_code;
pub mod refusal;
pub mod router;
pub mod tokens;
pub mod well_known;
