//! One set of statements for SQLite and PostgreSQL, over the `Any` driver of sqlx.
//!
//! One file per noun: a private row, one statement per step, the domain type at the end. Only `pool` knows which
//! database it is. Statements keep to what both understand: `$1` placeholders, `ON CONFLICT DO NOTHING`, `RETURNING`,
//! window functions, BIGINT and TEXT.
//!
//! Locks are taken in one order, so that PostgreSQL finds no deadlock: users, what belongs to them (challenges, resets,
//! second factors), keys, sessions, guesses, the audit, mail, and the epoch of the invalidations last.

mod answer;
mod api_keys;
mod audit;
mod catalogue;
mod challenges;
mod changing;
mod copy;
mod guesses;
mod imports;
mod insertion;
mod invalidations;
mod like;
mod migration;
mod open_error;
mod outbox;
mod password_resets;
mod pool;
mod quotas;
mod recovery_codes;
mod schema;
mod second_factors;
mod sessions;
mod sign_ins;
mod signing_keys;
mod silence;
mod slow_keys;
mod user_ending;
mod user_lock;
mod user_password;
mod users;

pub use api_keys::SqlApiKeys;
pub use audit::SqlAuditTrail;
pub use challenges::SqlChallenges;
pub use copy::{CopiedTable, CopyError, copy};
pub use guesses::SqlGuesses;
pub use imports::SqlImports;
pub use invalidations::SqlInvalidations;
pub use migration::{Version, migrate, pending, versions};
pub use open_error::OpenError;
pub use outbox::SqlOutbox;
pub use password_resets::SqlPasswordResets;
pub use pool::{DEFAULT_CONNECTIONS, Pool, open, open_with};
pub use quotas::SqlQuotas;
pub use second_factors::SqlSecondFactors;
pub use sessions::SqlSessions;
pub use sign_ins::SqlSignIns;
pub use signing_keys::SqlSigningKeys;
pub use slow_keys::SqlSlowKeys;
pub use users::SqlUsers;
