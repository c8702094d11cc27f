//! Portcullis: a reverse-proxy authentication gateway.
//!
//! The folders are floors and every import points down; `tests/layers.rs` holds them to it. From the ground up:
//! [`domain`] (words and rules), [`storage`] (the contract with whoever keeps our data), `routing`, `crypto`,
//! `telemetry`, `config`, `backends`, `cache`, `identity`, `access`, `api`, `jobs`, `edge`, `server`, `cli`.

pub mod backends;
pub mod domain;
pub mod storage;
