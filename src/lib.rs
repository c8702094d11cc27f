//! Portcullis: a reverse-proxy authentication gateway.
//!
//! The folders are floors and every import points down; `tests/layers.rs` holds them to it. From the ground up:
//! [`domain`] (words and rules), [`storage`] (the contract with whoever keeps our data), `routing`, `crypto`,
//! `telemetry`, `config`, `backends`, `cache`, `identity`, `access`, `api`, `jobs`, `edge`, `server`, `cli`.

pub mod access;
pub mod api;
pub mod backends;
pub mod cache;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod edge;
pub mod identity;
pub mod jobs;
pub mod routing;
pub mod server;
pub mod storage;
pub mod telemetry;
