//! The zlib C API under the name that `flate2` looks for; see `Cargo.toml` for the reason.

pub use libz_sys::*;
