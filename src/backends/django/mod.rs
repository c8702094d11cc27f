//! The data of a Django installation, where it lies: in SQLite, in PostgreSQL, or in what `manage.py dumpdata` has printed.

mod dump;
mod sql;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use self::dump::Dump;
use self::sql::SqlInstallation;
use crate::domain::secret::Secret;
use crate::storage::installation::{Installation, InstallationError};

/// What every SQLite database begins with.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Rows that are read at a time.
const PAGE: usize = 500;

/// Opens what `from` names: `sqlite://<path>`, `postgres://…`, or the path of a dump or of an SQLite database.
pub async fn open(from: &Secret<String>) -> Result<Box<dyn Installation>, InstallationError> {
    let from = from.expose().as_str();
    match from.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Box::new(SqlInstallation::sqlite(Path::new(path)).await?)),
        Some(("postgres" | "postgresql", _)) => Ok(Box::new(SqlInstallation::postgres(from).await?)),
        None if !from.is_empty() => {
            let path = Path::new(from);
            if is_sqlite(path)? {
                return Ok(Box::new(SqlInstallation::sqlite(path).await?));
            }
            Ok(Box::new(Dump::new(path)))
        }
        _ => Err(InstallationError::Source),
    }
}

fn is_sqlite(path: &Path) -> Result<bool, InstallationError> {
    let unopened = |error: std::io::Error| InstallationError::Unopened {
        place: path.display().to_string(),
        cause: error.to_string(),
    };
    let mut head = Vec::new();
    File::open(path).map_err(unopened)?.take(16).read_to_end(&mut head).map_err(unopened)?;
    Ok(head == SQLITE_MAGIC)
}
