//! Redis, which remembers for all nodes what may be lost at any time.
//!
//! Nobody waits long for it: a call has a deadline, and after some failures in a row there are no calls, until a trial in
//! the background has succeeded.

mod bus;
mod limits;
mod memory;
mod pool;
mod server;

pub use bus::RedisBus;
pub use limits::RedisBudgets;
pub use memory::RedisMemory;
pub use pool::{Connection, RedisPool, Unavailable};
pub use server::{RedisServer, RefusedByRedis};
