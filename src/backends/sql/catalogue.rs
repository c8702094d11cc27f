//! What tables a database has, as it says itself: whoever walks all of them forgets none.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::pool::Pool;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub is_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Text,
}

const NAMES: [&str; 2] = [
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations' \
     AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> '_sqlx_migrations' \
     AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
     AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid \
     AND deptype = 'e')",
];

const COLUMNS: [&str; 2] = [
    "SELECT name, type, CASE WHEN pk > 0 THEN 1 ELSE 0 END FROM pragma_table_info($1) ORDER BY cid",
    "SELECT attname::text, upper(format_type(atttypid, atttypmod)), \
     CASE WHEN EXISTS (SELECT 1 FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)) \
     THEN 1::bigint ELSE 0::bigint END \
     FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
];

const REFERENCES: [&str; 2] = [
    "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)",
    "SELECT DISTINCT relname::text FROM pg_constraint JOIN pg_class ON pg_class.oid = confrelid \
     WHERE contype = 'f' AND conrelid = to_regclass(quote_ident($1))",
];

/// All tables, each after those that it refers to.
pub async fn tables(pool: &Pool, connection: &mut AnyConnection) -> sqlx::Result<Vec<Table>> {
    let in_dialect = |[sqlite, postgres]: [&'static str; 2]| pool.in_dialect(sqlite, postgres);
    let mut names: Vec<String> = sqlx::query_scalar(in_dialect(NAMES)).fetch_all(&mut *connection).await?;
    names.sort();
    let mut left = Vec::with_capacity(names.len());
    for name in names {
        let references: Vec<String> =
            sqlx::query_scalar(in_dialect(REFERENCES)).bind(name.clone()).fetch_all(&mut *connection).await?;
        let columns: Vec<(String, String, i64)> =
            sqlx::query_as(in_dialect(COLUMNS)).bind(name.clone()).fetch_all(&mut *connection).await?;
        let columns: sqlx::Result<Vec<Column>> = columns.into_iter().map(|column| to_column(&name, column)).collect();
        left.push((Table { columns: columns?, name }, references));
    }
    in_order(left)
}

fn to_column(table: &str, (name, kind, is_key): (String, String, i64)) -> sqlx::Result<Column> {
    let kind = match kind.as_str() {
        "BIGINT" => Kind::Integer,
        "TEXT" => Kind::Text,
        other => return Err(sqlx::Error::Protocol(format!("the column {table}.{name} has the type {other}"))),
    };
    Ok(Column { name, kind, is_key: is_key == 1 })
}

fn in_order(mut left: Vec<(Table, Vec<String>)>) -> sqlx::Result<Vec<Table>> {
    let (mut done, mut ordered) = (BTreeSet::new(), Vec::with_capacity(left.len()));
    while !left.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(table, references)| references.iter().all(|one| done.contains(one) || *one == table.name));
        if ready.is_empty() {
            return Err(sqlx::Error::Protocol("the tables refer to each other in a circle".to_owned()));
        }
        for (table, _) in ready {
            done.insert(table.name.clone());
            ordered.push(table);
        }
        left = waiting;
    }
    Ok(ordered)
}
