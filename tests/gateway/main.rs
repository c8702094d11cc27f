//! The gateway as its neighbours see it: real sockets, a real database, a real upstream that echoes what it received.
//!
//! One file per noun and one per danger. To add a test: start a [`harness::World`], ask, look at the reply and at what
//! the upstream saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod harness;
mod logout;
mod proxying;
mod routes;
