//! What can an operator say? One file per noun; `main` parses, runs and chooses the exit code.

pub mod arguments;
pub mod audit;
pub mod check;
pub mod control;
pub mod credentials;
pub mod desk;
pub mod dispatch;
pub mod duration;
pub mod failure;
pub mod import;
pub mod keys;
pub mod lockouts;
pub mod migrate;
pub mod moment;
pub mod output;
pub mod quickstart;
pub mod secrets;
pub mod serve;
pub mod signing_keys;
pub mod store;
pub mod store_address;
pub mod users;
