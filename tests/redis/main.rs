//! Redis as the gateway uses it, with a real server that is killed, stopped, filled up and restarted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod limits;
mod pool;
mod server;
