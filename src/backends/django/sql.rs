//! A Django database, through sqlx.
//!
//! Every column is asked for as the bytes of its text, and no more of them than are ever looked at: databases disagree about
//! booleans, times and ids, SQLite keeps whatever was put into it, and one cell may be as large as all the rest.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::sync::Mutex;

use super::PAGE;
use crate::domain::foreign_row::{Cell, ForeignRow, LONGEST_CELL};
use crate::storage::installation::{ForeignTable, Installation, InstallationError, Rows};

/// What means itself in the path of a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

pub struct SqlInstallation {
    /// In one transaction from the first row to the last.
    connection: Arc<Mutex<AnyConnection>>,
    dialect: Dialect,
    place: Arc<str>,
}

impl SqlInstallation {
    pub async fn sqlite(path: &Path) -> Result<Self, InstallationError> {
        let place: Arc<str> = path.display().to_string().into();
        let unopened =
            |error: &sqlx::Error| InstallationError::Unopened { place: place.to_string(), cause: error.to_string() };
        let path = percent_encode(path.as_os_str().as_encoded_bytes(), PATH);
        sqlx::any::install_default_drivers();
        let begin = |mode| {
            let url = format!("sqlite://{path}?{mode}");
            async move {
                let mut connection = AnyConnection::connect(&url).await?;
                connection.execute("BEGIN").await?;
                connection.execute("SELECT COUNT(*) FROM sqlite_master").await?;
                Ok::<_, sqlx::Error>(connection)
            }
        };
        let connection = match begin("mode=ro").await {
            Ok(connection) => connection,
            // A copy in a directory that cannot be written, taken while its server was running.
            Err(first) => begin("mode=ro&immutable=true").await.map_err(|_| unopened(&first))?,
        };
        Ok(Self { connection: Arc::new(Mutex::new(connection)), dialect: Dialect::Sqlite, place })
    }

    pub async fn postgres(url: &str) -> Result<Self, InstallationError> {
        let place: Arc<str> = "the PostgreSQL database".into();
        let unopened =
            |error: sqlx::Error| InstallationError::Unopened { place: place.to_string(), cause: error.to_string() };
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(url).await.map_err(unopened)?;
        for statement in
            ["SET TIME ZONE 'UTC'", "SET DateStyle = 'ISO'", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        {
            connection.execute(statement).await.map_err(unopened)?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), dialect: Dialect::Postgres, place })
    }

    /// Names and declared types; none when there is no such table.
    async fn columns(&self, table: &str) -> sqlx::Result<Vec<(String, String)>> {
        let text = match self.dialect {
            Dialect::Sqlite => "SELECT CAST(name AS TEXT), CAST(type AS TEXT) FROM pragma_table_info($1)",
            Dialect::Postgres => {
                "SELECT CAST(attname AS TEXT), format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = to_regclass(CAST($1 AS TEXT)) AND attnum > 0 AND NOT attisdropped"
            }
        };
        // Where it is asked for as in a statement, whoever may not read it is told so instead of finding none.
        let table = if self.dialect == Dialect::Postgres { quoted(table) } else { table.to_owned() };
        let mut connection = self.connection.lock().await;
        sqlx::query_as(text).bind(table).fetch_all(&mut *connection).await
    }
}

#[async_trait]
impl Installation for SqlInstallation {
    async fn open(&self, table: &ForeignTable) -> Result<Option<Box<dyn Rows>>, InstallationError> {
        let there = self.columns(&table.name).await.map_err(|error| unread(&self.place, &error))?;
        if there.is_empty() {
            return Ok(None);
        }
        let declared = |name: &String| there.iter().find(|(there, _)| there == name).map(|(_, kind)| kind);
        let columns: Vec<Column> = table
            .columns
            .iter()
            .filter_map(|name| {
                // How Django keeps a UUID where the database has no such type.
                let is_uuid = declared(name)?.eq_ignore_ascii_case("char(32)");
                Some(Column { name: name.clone(), is_uuid })
            })
            .collect();
        let rows = SqlRows {
            connection: Arc::clone(&self.connection),
            dialect: self.dialect,
            place: Arc::clone(&self.place),
            table: table.name.clone(),
            columns,
            position: Position::Start,
        };
        Ok(Some(Box::new(rows)))
    }
}

struct Column {
    name: String,
    is_uuid: bool,
}

enum Position {
    Start,
    After(i64),
    End,
}

struct SqlRows {
    connection: Arc<Mutex<AnyConnection>>,
    dialect: Dialect,
    place: Arc<str>,
    table: String,
    columns: Vec<Column>,
    position: Position,
}

#[async_trait]
impl Rows for SqlRows {
    async fn next(&mut self) -> Result<Vec<ForeignRow>, InstallationError> {
        let rows = match self.dialect {
            Dialect::Sqlite => self.next_of_sqlite().await,
            Dialect::Postgres => self.next_of_postgres().await,
        };
        rows.map_err(|error| unread(&self.place, &error))
    }
}

impl SqlRows {
    async fn next_of_sqlite(&mut self) -> sqlx::Result<Vec<ForeignRow>> {
        let after = match self.position {
            Position::Start => i64::MIN,
            Position::After(rowid) => rowid,
            Position::End => return Ok(Vec::new()),
        };
        let text = format!(
            "SELECT CAST(rowid AS INTEGER), {} FROM {} WHERE rowid > $1 ORDER BY rowid LIMIT {PAGE}",
            self.cells(|column| format!("CAST(substr({column}, 1, {}) AS BLOB)", LONGEST_CELL + 1)),
            quoted(&self.table)
        );
        let mut connection = self.connection.lock().await;
        let found = sqlx::query(AssertSqlSafe(text)).bind(after).fetch_all(&mut *connection).await?;
        drop(connection);
        self.position = match found.last() {
            Some(last) => Position::After(last.try_get(0)?),
            None => Position::End,
        };
        found.iter().map(|row| self.read(row, 1)).collect()
    }

    /// By a cursor: there is nothing in every table that rows could be counted on by.
    async fn next_of_postgres(&mut self) -> sqlx::Result<Vec<ForeignRow>> {
        let connection = Arc::clone(&self.connection);
        let mut connection = connection.lock().await;
        if matches!(self.position, Position::End) {
            return Ok(Vec::new());
        }
        if matches!(self.position, Position::Start) {
            let cells = self
                .cells(|column| format!("convert_to(substr(CAST({column} AS TEXT), 1, {}), 'UTF8')", LONGEST_CELL + 1));
            let text = format!("DECLARE portcullis NO SCROLL CURSOR FOR SELECT {cells} FROM {}", quoted(&self.table));
            connection.execute(sqlx::query(AssertSqlSafe(text))).await?;
            self.position = Position::After(0);
        }
        let text = format!("FETCH FORWARD {PAGE} FROM portcullis");
        // Not kept prepared: the next cursor of this name has other columns.
        let fetch = sqlx::query(AssertSqlSafe(text)).persistent(false);
        let found = fetch.fetch_all(&mut *connection).await?;
        if found.is_empty() {
            connection.execute("CLOSE portcullis").await?;
            self.position = Position::End;
        }
        found.iter().map(|row| self.read(row, 0)).collect()
    }

    fn cells(&self, cell: impl Fn(&str) -> String) -> String {
        self.columns.iter().map(|column| cell(&quoted(&column.name))).collect::<Vec<_>>().join(", ")
    }

    fn read(&self, row: &AnyRow, first: usize) -> sqlx::Result<ForeignRow> {
        let cells = self.columns.iter().enumerate().map(|(index, column)| {
            let bytes: Option<Vec<u8>> = row.try_get(first + index)?;
            let cell = bytes.map_or(Cell::Null, Cell::of_bytes);
            Ok((column.name.clone(), if column.is_uuid { with_hyphens(cell) } else { cell }))
        });
        Ok(ForeignRow::new(cells.collect::<sqlx::Result<_>>()?))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// As tokens and other databases write it.
fn with_hyphens(cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) => match uuid::Uuid::try_parse(&text) {
            Ok(id) => Cell::Text(id.hyphenated().to_string()),
            Err(_) => Cell::Text(text),
        },
        other => other,
    }
}

fn unread(place: &str, error: &sqlx::Error) -> InstallationError {
    InstallationError::Unread { place: place.to_owned(), cause: error.to_string() }
}
