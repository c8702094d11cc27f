//! Another installation's data, to be taken over: read, and never written.

use async_trait::async_trait;

use crate::domain::foreign_row::ForeignRow;

/// Why it cannot be read on. Never holds a URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error("--from is not understood: write sqlite:///path/db.sqlite3, postgres://…, or the path of a dump in JSON")]
    Source,
    #[error("{place} cannot be opened: {cause}")]
    Unopened { place: String, cause: String },
    #[error("{place} cannot be read: {cause}")]
    Unread { place: String, cause: String },
}

/// A table, and the columns that are asked for.
#[derive(Clone, Debug)]
pub struct ForeignTable {
    pub name: String,
    pub columns: Vec<String>,
}

#[async_trait]
pub trait Installation: Send + Sync {
    /// The rows of a table, or `None` when there is no such table. Columns that it does not have are missing from them.
    /// All tables are read as of one moment.
    async fn open(&self, table: &ForeignTable) -> Result<Option<Box<dyn Rows>>, InstallationError>;
}

#[async_trait]
pub trait Rows: Send {
    /// The next few; none at the end.
    async fn next(&mut self) -> Result<Vec<ForeignRow>, InstallationError>;
}
