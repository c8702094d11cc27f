//! The same installation where Django keeps it on PostgreSQL, taken over into either database.

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::{CODES, DEVICES, Journey, KEYS, OUTSTANDING, Successor, USERS, export, options};
use crate::harness::postgres::{Database, PostgresServer};

const CODE_DEVICES: &str = "otp_static_staticdevice";
const BLACKLISTED: &str = "token_blacklist_blacklistedtoken";

/// The export's database on PostgreSQL: every column of what is taken over, with the type that Django gives it there.
fn installation() -> Database<'static> {
    let database = PostgresServer::shared().database();
    let statements = tokio::runtime::Runtime::new().unwrap().block_on(async {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=ro", export("db.sqlite3").display());
        let mut sqlite = AnyConnection::connect(&url).await.unwrap();
        let mut statements = Vec::new();
        for table in [USERS, KEYS, DEVICES, CODE_DEVICES, CODES, OUTSTANDING, BLACKLISTED] {
            statements.push(of_table(&mut sqlite, table).await);
        }
        sqlite.close().await.unwrap();
        statements
    });
    for table in statements {
        database.sql(&table);
    }
    database
}

async fn of_table(sqlite: &mut AnyConnection, table: &str) -> String {
    let text = "SELECT CAST(name AS TEXT), CAST(type AS TEXT) FROM pragma_table_info($1)";
    let columns: Vec<(String, String)> = sqlx::query_as(text).bind(table).fetch_all(&mut *sqlite).await.unwrap();
    let definitions: Vec<String> =
        columns.iter().map(|(name, kind)| format!("\"{name}\" {}", type_of(kind, name))).collect();
    let values: Vec<String> = columns.iter().map(|(name, _)| format!("quote(CAST(\"{name}\" AS TEXT))")).collect();
    let rows = format!("SELECT {} FROM {table} ORDER BY rowid", values.join(" || ', ' || "));
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(rows)).fetch_all(sqlite).await.unwrap();
    assert!(!rows.is_empty(), "{table}");
    let mut statements = format!(
        "SET ROLE portcullis; SET TIME ZONE 'UTC'; CREATE TABLE {table} ({}, PRIMARY KEY (id));",
        definitions.join(", ")
    );
    for (row,) in rows {
        statements.push_str(&format!("INSERT INTO {table} VALUES ({row});"));
    }
    statements
}

fn type_of(sqlite: &str, column: &str) -> String {
    // SQLite tells some of them in capitals.
    match sqlite.to_lowercase().as_str() {
        "bool" => "boolean".to_owned(),
        "datetime" => "timestamp with time zone".to_owned(),
        "integer" | "integer unsigned" => "integer".to_owned(),
        "smallint" | "smallint unsigned" => "smallint".to_owned(),
        "bigint" => "bigint".to_owned(),
        "text" => "text".to_owned(),
        text if text.starts_with("varchar(") => text.to_owned(),
        other => panic!("{column}: {other}"),
    }
}

/// Into a file and into another database of PostgreSQL.
fn into_both(check: impl Fn(Journey)) {
    let (source, store) = (installation(), PostgresServer::shared().database());
    check(Journey { from: source.url(), storage: None });
    check(Journey { from: source.url(), storage: Some(store.url()) });
}

#[test]
fn every_password_of_it_is_known() {
    into_both(super::every_password);
}

#[test]
fn every_key_of_it_is_known() {
    into_both(super::every_key);
}

#[test]
fn every_device_of_it_shows_codes_that_hold() {
    into_both(super::every_device);
}

#[test]
fn every_backup_code_of_it_works_as_often_as_it_did() {
    into_both(super::every_backup_code);
}

#[test]
fn every_token_of_it_lives_on_or_stays_dead() {
    into_both(super::every_token);
}

#[test]
fn it_is_reported_as_the_one_on_sqlite_is_and_only_read() {
    let source = installation();
    let contents = |table: &str| source.sql(&format!("SELECT * FROM {table} ORDER BY id"));
    let before = [USERS, KEYS, DEVICES, CODES, OUTSTANDING].map(contents);
    let report = Successor::start("").import(&source.url(), &options());
    let sqlite = Successor::start("").import(export("db.sqlite3").to_str().unwrap(), &options());
    assert_eq!(report.tables, sqlite.tables);
    assert_eq!(report.rows, sqlite.rows);
    assert_eq!((report.password_formats, report.key_formats), (sqlite.password_formats, sqlite.key_formats));
    assert_eq!([USERS, KEYS, DEVICES, CODES, OUTSTANDING].map(contents), before);
}

#[test]
fn a_second_time_changes_nothing_from_wherever_it_comes() {
    let (source, store) = (installation(), PostgresServer::shared().database());
    let successor = Successor::of(Journey { from: source.url(), storage: Some(store.url()) }, "");
    for from in [source.url(), export("db.sqlite3").display().to_string()] {
        let report = successor.import(&from, &options());
        for table in [USERS, KEYS, DEVICES, CODES, OUTSTANDING] {
            let tally = super::tally(&report, table);
            assert_eq!((tally.added, tally.updated, tally.kept), (0, 0, 0), "{table}: {report:?}");
        }
        assert_eq!(super::tally(&report, USERS).unchanged, 45);
    }
}
