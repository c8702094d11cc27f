//! One process from start to drain. [`assemble`] is where who-gets-whom is written, and [`desks`] for the identity side.

pub mod assemble;
pub mod clock_job;
mod command_log;
pub mod control;
pub mod desks;
pub mod encryption;
pub mod explain;
pub mod foundation;
pub mod ground;
pub mod handover;
pub mod import;
pub mod key_reload;
pub mod keyrings;
pub mod live;
pub mod logs;
pub mod mail;
pub mod open_files;
pub mod reload;
pub mod rotation;
pub mod run;
pub mod schedule;
pub mod service_manager;
pub mod shared;
pub mod signals;
pub mod start_error;
pub mod store_copy;
pub mod workers;
