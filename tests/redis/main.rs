//! Redis as the gateway uses it, with a real server that is killed, stopped, filled up and restarted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../mail/server.rs"]
#[allow(dead_code, reason = "only its certificates are of use here")]
mod certificates;
mod cluster;
mod cluster_set;
mod distance;
mod limits;
mod pool;
mod sentinel;
mod sentinel_set;
mod server;
mod signing_in;

use server as redis_server;
