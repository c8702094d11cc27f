//! Those who keep the contract of [`storage`](crate::storage).

pub mod django;
pub mod mail;
pub mod redis;
pub mod sql;
