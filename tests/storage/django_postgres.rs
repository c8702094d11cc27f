//! A Django installation on PostgreSQL is read as the same one on SQLite is.

use portcullis::backends::django;
use portcullis::domain::foreign_row::{Cell, ForeignRow};
use portcullis::domain::secret::Secret;
use portcullis::storage::installation::{ForeignTable, Installation};

use crate::postgres_server::PostgresServer;

/// As Django makes them, with the columns that are taken over.
const TABLES: [(&str, &str); 4] = [
    (
        "auth_user",
        "id integer PRIMARY KEY, username varchar(150), password varchar(128), email varchar(254), is_active boolean, \
         is_superuser boolean, last_login timestamp with time zone, date_joined timestamp with time zone",
    ),
    (
        "rest_framework_api_key_apikey",
        "id varchar(150) PRIMARY KEY, prefix varchar(8), hashed_key varchar(150), name varchar(50), \
         created timestamp with time zone, revoked boolean, expiry_date timestamp with time zone",
    ),
    (
        "otp_totp_totpdevice",
        "id integer PRIMARY KEY, user_id integer, key varchar(80), step smallint, t0 bigint, digits smallint, \
         last_t bigint, confirmed boolean, created_at timestamp with time zone",
    ),
    (
        "token_blacklist_outstandingtoken",
        "id bigint PRIMARY KEY, user_id integer, jti varchar(255), created_at timestamp with time zone, \
         expires_at timestamp with time zone",
    ),
];

async fn all(source: &dyn Installation, name: &str, columns: &[String]) -> Vec<ForeignRow> {
    let table = ForeignTable { name: name.to_owned(), columns: columns.to_vec() };
    let mut rows = source.open(&table).await.unwrap().unwrap();
    let mut found = Vec::new();
    loop {
        let page = rows.next().await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

fn literal(cell: Option<&Cell>) -> String {
    match cell {
        None | Some(Cell::Null) => "NULL".to_owned(),
        Some(Cell::Text(text)) => format!("'{}'", text.replace('\'', "''")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_what_it_is_on_sqlite() {
    let database = PostgresServer::shared().database();
    let export = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/imported/export/db.sqlite3");
    let sqlite = django::open(&Secret::new(export.to_owned())).await.unwrap();
    let columns_of = |definition: &str| -> Vec<(String, String)> {
        let columns = definition.split(", ").map(|column| column.split_once(' ').unwrap());
        columns.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    };
    for (name, definition) in TABLES {
        let columns: Vec<String> = columns_of(definition).into_iter().map(|(name, _)| name).collect();
        let mut statements = format!("SET ROLE portcullis; SET TIME ZONE 'UTC'; CREATE TABLE {name} ({definition});");
        for row in all(sqlite.as_ref(), name, &columns).await {
            let values: Vec<String> = columns.iter().map(|column| literal(row.cell(column))).collect();
            statements.push_str(&format!("INSERT INTO {name} VALUES ({});", values.join(", ")));
        }
        database.sql(&statements);
    }
    database.sql(
        "SET ROLE portcullis; CREATE TABLE many (id uuid PRIMARY KEY, text text); INSERT INTO many \
         SELECT gen_random_uuid(), repeat('x', i) FROM generate_series(1, 5000) AS i",
    );

    let postgres = django::open(&Secret::new(database.url())).await.unwrap();
    for (name, definition) in TABLES {
        let columns = columns_of(definition);
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let (mut there, mut here) =
            (all(sqlite.as_ref(), name, &names).await, all(postgres.as_ref(), name, &names).await);
        let id = |row: &ForeignRow| row.text("id").unwrap().unwrap().to_owned();
        there.sort_by_key(id);
        here.sort_by_key(id);
        assert_eq!((there.is_empty(), there.len()), (false, here.len()), "{name}");
        for (there, here) in there.iter().zip(&here) {
            for (column, kind) in &columns {
                match kind.as_str() {
                    "boolean" => assert_eq!(there.flag(column).unwrap(), here.flag(column).unwrap(), "{name}.{column}"),
                    "timestamp with time zone" => {
                        assert_eq!(there.time(column).unwrap(), here.time(column).unwrap(), "{name}.{column}");
                    }
                    _ => assert_eq!(there.cell(column), here.cell(column), "{name}.{column}"),
                }
            }
        }
    }
    // Page by page, as text, and no more of it than is looked at.
    let many = all(postgres.as_ref(), "many", &["id".to_owned(), "text".to_owned(), "none".to_owned()]).await;
    assert_eq!(many.len(), 5000);
    assert_eq!(many.iter().filter(|row| row.cell("text") == Some(&Cell::TooLong)).count(), 5000 - 4096);
    assert!(many.iter().all(|row| row.text("id").unwrap().unwrap().len() == 36 && row.cell("none").is_none()));
    let nothing = ForeignTable { name: "nothing".to_owned(), columns: vec!["id".to_owned()] };
    assert!(postgres.open(&nothing).await.unwrap().is_none());
}
