//! Which route? Paths are normalised first; only a [`NormalPath`](normal_path::NormalPath) can be matched.

pub mod client_address;
pub mod host;
pub mod normal_path;
pub mod pattern;
pub mod route;
pub mod table;
