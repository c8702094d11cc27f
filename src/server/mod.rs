//! One process from start to drain. [`assemble`] is the only place where who-gets-whom is written.

pub mod assemble;
pub mod explain;
pub mod ground;
pub mod key_reload;
pub mod keyrings;
pub mod mail;
pub mod rotation;
pub mod run;
pub mod schedule;
pub mod signals;
pub mod start_error;
pub mod workers;
