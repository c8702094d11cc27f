//! The life of a request. Pingora is spoken here, and only here.

pub mod wire;
