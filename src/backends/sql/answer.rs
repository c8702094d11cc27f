//! What the database answers, in the words of the contract.

use std::time::Duration;

use crate::storage::{Result, StoreError};

/// The longest that one call may take in all: for a connection, for a lock, for the disk. A request waits no longer.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// For an operator's command, which nobody's request waits for.
pub const PATIENT_DEADLINE: Duration = Duration::from_secs(30);

/// Gives the work its time and no more. Work that is cut off while it commits may still have been done: the caller
/// learns that the store did not answer, and that is all that is known.
pub async fn within_deadline<T>(
    deadline: Duration,
    table: &str,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(fault(table, &error)),
        Err(_) => Err(StoreError::Unavailable(format!("{table}: no answer within {} s", deadline.as_secs()))),
    }
}

/// Whether a name or a number that has to be unique is another's. Whoever is told so gives up the transaction: PostgreSQL
/// does nothing more in it.
pub fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

/// What PostgreSQL keeps no text with, so that nothing is found by it. It would call the question an error.
pub fn is_unheard_of(text: &str) -> bool {
    text.contains('\0')
}

/// A row that no version of this program writes.
pub fn corrupt(table: &str, id: &str, what: &str) -> StoreError {
    StoreError::Corrupt(format!("{table} {id}: {what}"))
}

fn fault(table: &str, error: &sqlx::Error) -> StoreError {
    match error {
        // The source of these quotes the value, and the value may be a password hash.
        sqlx::Error::ColumnDecode { index, .. } => {
            corrupt(table, "(a row)", &format!("column {index} has a foreign type"))
        }
        sqlx::Error::Decode(_) => corrupt(table, "(a row)", "a column is not valid text"),
        other => StoreError::Unavailable(format!("{table}: {other}")),
    }
}
