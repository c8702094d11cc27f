//! One process from start to drain. [`assemble`] is the only place where who-gets-whom is written.

pub mod assemble;
pub mod explain;
pub mod forgetting;
pub mod ground;
pub mod run;
pub mod signals;
pub mod start_error;
