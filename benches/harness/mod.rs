//! What the benchmarks have in common: the gateway as a process on cores of its own, an upstream behind it, and clients.

// Each benchmark is a crate of its own and uses what it needs.
#![allow(dead_code)]

pub mod connection;
pub mod gateway;
pub mod load;
pub mod open_files;
pub mod process;
pub mod redis;
pub mod upstream;

/// Sentences for whoever runs this; nobody handles them any further.
pub type Result<T> = std::result::Result<T, String>;
