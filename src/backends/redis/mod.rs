//! Redis, which remembers for all nodes what may be lost at any time.
//!
//! Nobody waits long for it: a call has a deadline, and after some failures in a row there are no calls, until a trial in
//! the background has succeeded.

mod bus;
mod cluster;
mod connection;
mod limits;
mod lines;
mod memory;
mod miss;
mod origin;
mod pool;
mod sentinels;
mod server;

pub use bus::RedisBus;
pub use connection::Connection;
pub use limits::RedisBudgets;
pub use memory::RedisMemory;
pub use miss::Unavailable;
pub use pool::RedisPool;
pub use server::{RedisServer, RefusedByRedis};
