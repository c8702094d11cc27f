//! Words and rules: no I/O, no async. Everything above speaks in these types.

pub mod access_policy;
pub mod api_key;
pub mod backoff;
pub mod clock;
pub mod credential;
pub mod denial;
pub mod digest;
pub mod invalidation;
pub mod mail;
pub mod principal;
pub mod random;
pub mod reset_link;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signing_key;
pub mod strict_json;
pub mod token;
pub mod user;
