//! What do we serve ourselves? An ordinary axum router, called in process. No Pingora here, and no SQL.
//!
//! To add an endpoint: write its handler and its description in the file of its noun, and add one line to [`endpoints::all`],
//! from which the route table, the router and the OpenAPI document are built, so that nothing is served under a requirement
//! meant for another path, and nothing without a description.

pub mod answer;
pub mod audit;
pub mod body;
pub mod charset;
pub mod context;
pub mod docs;
pub mod endpoint;
pub mod endpoints;
pub mod factor_fields;
pub mod fields;
pub mod key_fields;
pub mod keys;
pub mod leaked_keys;
pub mod lockouts;
pub mod me;
pub mod negotiation;
pub mod object_id;
pub mod openapi;
pub mod operation;
pub mod paging;
pub mod passwords;
pub mod qr_code;
pub mod refusal;
pub mod router;
pub mod schema;
pub mod second_factors;
pub mod sessions;
pub mod sign_in;
pub mod tokens;
pub mod user_accounts;
pub mod user_sessions;
pub mod users;
pub mod well_known;
