//! The lock of everything that belongs to a user.

use sqlx::AnyConnection;

use crate::domain::user::UserId;

/// Comes first in the order of locks, and is held until the transaction is over. `false` when there is no such user. Written
/// as an update because SQLite knows no other lock of a row.
pub(super) async fn lock_user(connection: &mut AnyConnection, user: &UserId) -> sqlx::Result<bool> {
    let statement = sqlx::query("UPDATE users SET id = id WHERE id = $1").bind(user.as_str());
    Ok(statement.execute(connection).await?.rows_affected() == 1)
}
