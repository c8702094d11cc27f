//! One set of statements for SQLite and PostgreSQL, over the `Any` driver of sqlx.
//!
//! One file per noun: a private row, one statement per step, the domain type at the end. Only `pool` knows which
//! database it is. Statements keep to what both understand: `$1` placeholders, `ON CONFLICT DO NOTHING`, `RETURNING`,
//! window functions, BIGINT and TEXT.
//!
//! Locks are taken in one order, so that PostgreSQL finds no deadlock: users, sessions or keys, and the epoch of the
//! invalidations last.

mod answer;
mod api_keys;
mod invalidations;
mod migration;
mod outbox;
mod pool;
mod schema;
mod sessions;
mod signing_keys;
mod users;

pub use api_keys::SqlApiKeys;
pub use invalidations::SqlInvalidations;
pub use migration::{migrate, pending};
pub use outbox::SqlOutbox;
pub use pool::{OpenError, Pool, open};
pub use sessions::SqlSessions;
pub use signing_keys::SqlSigningKeys;
pub use users::SqlUsers;
