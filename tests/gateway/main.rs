//! The gateway as its neighbours see it: real sockets, a real database, a real upstream that echoes what it received.
//!
//! One file per noun and one per danger. To add a test: start a [`harness::World`], ask, look at the reply and at what
//! the upstream saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod administration_key_limits;
mod administration_keys;
mod administration_users;
mod api_keys;
mod audit;
mod bad_input;
mod clock_steps;
#[path = "../redis/cluster_set.rs"]
#[allow(dead_code, reason = "what only the tests of Redis itself need")]
mod cluster_set;
mod contract_bodies;
mod contract_common;
mod contract_tokens;
mod contract_validation;
mod credentials;
#[path = "../redis/distance.rs"]
mod distance;
mod draining;
mod forwarding;
mod grants;
mod guessing;
mod guessing_codes;
mod harness;
mod hosts;
mod identity_headers;
mod imported;
mod key_limits;
mod key_rotation;
mod key_usage;
mod leaked_keys;
mod limits;
mod lockouts;
mod logout;
mod master_keys;
mod native_tokens;
mod notices;
mod openapi;
mod password_change;
mod password_reset;
mod passwords;
mod paths;
mod proxying;
mod recording;
#[path = "../redis/server.rs"]
#[allow(dead_code, reason = "what only the tests of Redis itself need")]
mod redis_server;
mod reset_mail;
mod routes;
mod second_factor_changes;
mod second_factor_imported;
mod second_factor_required;
mod second_factor_setup;
mod second_factor_sign_in;
#[path = "../redis/sentinel_set.rs"]
#[allow(dead_code, reason = "what only the tests of Redis itself need")]
mod sentinel_set;
mod session_management;
mod sessions;
mod shared;
mod shared_failover;
mod shared_limits;
mod signing;
#[path = "../mail/server.rs"]
#[allow(dead_code, reason = "what only the tests of mail itself need")]
mod smtp_server;
mod store_down;
mod store_outages;
mod streaming;
mod tls;
mod tls_handshakes;
mod upstream_failures;
mod websocket;
mod websocket_reload;
mod wire;
