//! The built binary, as a stranger meets it: started with arguments, spoken to over sockets, stopped by signals.
//!
//! One file per situation. To add a test: make a [`harness::Place`], start or run something in it, look at what it
//! printed, answered and left on disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod accounts;
mod administration;
mod audit;
mod bad_start;
mod commands;
mod compose;
mod crash;
mod documents;
mod fleet;
mod harness;
mod import;
mod keys;
mod logs;
mod machines;
mod mail;
mod password_reset;
mod postgres;
mod quickstart;
mod redis;
#[path = "../redis/server.rs"]
#[allow(dead_code, reason = "what only the tests of Redis itself need")]
mod redis_server;
mod reloading;
mod second_factors;
#[path = "../redis/sentinel_set.rs"]
#[allow(dead_code, reason = "what only the tests of Redis itself need")]
mod sentinel_set;
mod signals;
mod third_party;
mod tls;
mod upgrading;
mod users;
