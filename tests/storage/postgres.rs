//! What is promised of a PostgreSQL database, beside the contract.

use std::sync::Arc;
use std::time::Duration;

use portcullis::backends::sql::{OpenError, SqlOutbox, migrate, open, open_with, pending, versions};
use portcullis::domain::audit::{Actor, AuditQuery};
use portcullis::domain::invalidation::Epoch;
use portcullis::domain::user::{User, UserId, UserQuery};
use portcullis::storage::StoreError;
use portcullis::storage::outbox::Outbox as _;
use sqlx::{AnyConnection, Connection, Executor};
use tokio::sync::OnceCell;

use crate::api_keys::api_key;
use crate::outbox::mail;
use crate::postgres_server::{Database, PostgresServer};
use crate::sessions::session;
use crate::sqlite::world_on;
use crate::users::{insert as insert_user, user};
use crate::{World, at, change};

/// A database with the present schema to copy.
const TEMPLATE: &str = "migrated";

static MIGRATED: OnceCell<()> = OnceCell::const_new();

pub async fn database() -> Database<'static> {
    let server = PostgresServer::shared();
    MIGRATED
        .get_or_init(|| async {
            server.sql("postgres", &format!("CREATE DATABASE {TEMPLATE} OWNER portcullis"));
            let pool = open(&server.url(TEMPLATE), false).await.unwrap();
            migrate(&pool).await.unwrap();
            pool.close().await;
        })
        .await;
    server.database_like(TEMPLATE)
}

pub async fn world() -> World {
    let database = database().await;
    let pool = open(&database.url(), false).await.unwrap();
    World { keep: Box::new(database), ..world_on(pool) }
}

pub async fn nodes() -> [World; 2] {
    let database = Arc::new(database().await);
    let node = async |database: Arc<Database<'static>>| {
        let pool = open(&database.url(), false).await.unwrap();
        World { keep: Box::new(database), ..world_on(pool) }
    };
    [node(Arc::clone(&database)).await, node(database).await]
}

async fn fails(url: &str) -> OpenError {
    match open(url, true).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => {
            let said = format!("{error} {error:?}");
            for secret in ["hunter2", "w?rd", "w%3Frd", "postgres://"] {
                assert!(!said.replace("postgres://<role>", "").contains(secret), "{said}");
            }
            error
        }
    }
}

#[tokio::test]
async fn whoever_cannot_be_reached_or_does_not_let_us_in_is_named() {
    let server = PostgresServer::shared();
    let nobody = fails("postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable").await;
    assert!(matches!(nobody, OpenError::Unreachable { .. }), "{nobody}");
    assert!(nobody.to_string().contains("db at 127.0.0.1:1"), "{nobody}");
    let wrong = format!("postgres://portcullis:hunter2@127.0.0.1:{}/postgres?sslmode=disable", server.port());
    let wrong = fails(&wrong).await;
    assert!(matches!(wrong, OpenError::NotLetIn { .. }), "{wrong}");
    let missing = fails(&server.url("nowhere")).await;
    assert!(matches!(missing, OpenError::NoDatabase { .. }), "{missing}");
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    let unprotected = fails(&server.url("postgres").replace("sslmode=disable", "sslmode=verify-full")).await;
    assert!(matches!(unprotected, OpenError::Unreachable { .. }), "{unprotected}");
}

#[tokio::test]
async fn a_url_that_may_show_a_part_of_a_password_is_refused() {
    for url in [
        "postgres://u:hunter2/x@host/db",
        "postgres://u:12/hunter2@host/db",
        "postgres://u:12#hunter2@host/db",
        "postgres://u:12?hunter2@host/db",
        "postgres://u@host/db?pasword=hunter2",
        "postgres://u@host/db?sslmode=hunter2",
        "postgres://u@host/db?port=hunter2",
        "postgres://u@[hunter2/db",
    ] {
        let error = fails(url).await;
        assert!(matches!(error, OpenError::Url | OpenError::Option | OpenError::SslMode), "{url}: {error}");
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let database = PostgresServer::shared().database();
    database.sql("CREATE TABLE notes (text TEXT)");
    assert!(matches!(fails(&database.url()).await, OpenError::Foreign { .. }));
    database.sql("DROP TABLE notes; CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.notes (text TEXT)");
    assert!(
        pending(&open(&database.url(), false).await.unwrap()).await.unwrap() > 0,
        "another schema is another place"
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = database().await;
    let pool = open(&database.url(), false).await.unwrap();
    database.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, '\\x00', 0)",
    );
    assert!(matches!(migrate(&pool).await, Err(OpenError::Newer { version: 9999, .. })));
    assert!(matches!(fails(&database.url()).await, OpenError::Newer { version: 9999, .. }));
}

#[tokio::test]
async fn a_role_that_may_make_nothing_changes_nothing() {
    let database = PostgresServer::shared().database();
    database.sql("REVOKE CREATE ON SCHEMA public FROM pg_database_owner");
    let pool = open(&database.url(), false).await.unwrap();
    let error = migrate(&pool).await.unwrap_err();
    assert!(matches!(error, OpenError::Migration { .. }) && error.to_string().contains("permission"), "{error}");
}

#[tokio::test]
async fn other_encodings_are_refused() {
    let server = PostgresServer::shared();
    server.sql(
        "postgres",
        "CREATE DATABASE latin OWNER portcullis TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
    );
    let error = fails(&server.url("latin")).await;
    assert!(matches!(error, OpenError::Encoding { .. }) && error.to_string().contains("LATIN1"), "{error}");
    server.sql("postgres", "DROP DATABASE latin WITH (FORCE)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_at_once() {
    for _ in 0..3 {
        let database = PostgresServer::shared().database();
        let start = |_| {
            let url = database.url();
            tokio::spawn(async move { migrate(&open_with(&url, true, 2).await.unwrap()).await.unwrap() })
        };
        let tasks: Vec<_> = (0..10).map(start).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let pool = open(&database.url(), false).await.unwrap();
        assert_eq!(pending(&pool).await.unwrap(), 0);
        let versions = versions(&pool).await.unwrap();
        assert!(versions.iter().all(|version| version.is_applied) && versions.len() >= 2);
        let made = database.sql("SELECT COUNT(*) FROM _sqlx_migrations");
        assert_eq!(made, versions.len().to_string());
    }
}

#[tokio::test]
async fn every_column_of_text_is_compared_by_bytes() {
    let database = database().await;
    let others = "SELECT string_agg(table_name || '.' || column_name, ' ') FROM information_schema.columns \
                  WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' \
                  AND table_name <> '_sqlx_migrations'";
    assert_eq!(database.sql(others), "");
    let types = "SELECT string_agg(DISTINCT data_type, ' ') FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
    assert_eq!(database.sql(types), "bigint text");

    // In the language of this server, a comes before B, and Ä folds to ä.
    let world = world_on(open(&database.url(), false).await.unwrap());
    for name in ["B", "a", "Ä", "_", "b"] {
        insert_user(&world, name).await;
    }
    let names = async |search: Option<&str>| -> Vec<String> {
        let query = UserQuery { search: search.map(str::to_owned), limit: 9, ..UserQuery::default() };
        world.users.list(&query).await.unwrap().into_iter().map(|user| user.username).collect()
    };
    assert_eq!(names(None).await, ["B", "_", "a", "b", "Ä"]);
    assert_eq!(names(Some("B")).await, ["B", "b"]);
    assert_eq!(names(Some("Ä")).await, ["Ä"]);
    assert_eq!(names(Some("ä")).await, [""; 0]);
}

/// Whatever the server, the URL or the role say.
#[tokio::test]
async fn every_connection_is_durable_and_has_deadlines() {
    let database = database().await;
    let weak = format!("ALTER ROLE portcullis IN DATABASE {} SET synchronous_commit = off", database.name);
    database.sql(&weak);
    let url = format!("{}&options=-c%20synchronous_commit%3Doff%20-c%20statement_timeout%3D0", database.url());
    let world = world_on(open(&url, false).await.unwrap());
    database.sql(
        "CREATE FUNCTION settings() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.email := concat_ws(' ', current_setting('synchronous_commit'), current_setting('statement_timeout'), \
         current_setting('transaction_isolation'), current_setting('idle_in_transaction_session_timeout')); \
         RETURN NEW; END $$; \
         CREATE TRIGGER settings BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION settings()",
    );
    insert_user(&world, "anna").await;
    let anna = world.users.find(&user("anna").id).await.unwrap().unwrap();
    assert_eq!(anna.email, "on 1800ms read committed 10s");
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_there() {
    let world = world().await;
    let odd = "a\0b".to_owned();
    assert!(world.users.find(&UserId(odd.clone())).await.unwrap().is_none());
    assert!(world.users.find_by_username(&odd).await.unwrap().is_none());
    assert!(world.users.find_by_email(&odd, 9).await.unwrap().is_empty());
    let query = UserQuery { search: Some(odd.clone()), limit: 9, ..UserQuery::default() };
    assert!(world.users.list(&query).await.unwrap().is_empty());
    assert!(world.sessions.find(&portcullis::domain::session::SessionId(odd.clone())).await.unwrap().is_none());
    assert!(world.api_keys.find(&portcullis::domain::api_key::ApiKeyId(odd.clone())).await.unwrap().is_none());
    assert!(world.api_keys.find_by_prefix(&odd).await.unwrap().is_none());
    let query = AuditQuery { actor: Some(Actor::User(UserId(odd))), limit: 9, ..AuditQuery::default() };
    assert!(world.audit.list(&query).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_elsewhere_costs_two_seconds_at_most() {
    let database = database().await;
    let world = world_on(open(&database.url(), false).await.unwrap());
    let anna = insert_user(&world, "anna").await;
    sqlx::any::install_default_drivers();
    let mut other = AnyConnection::connect(&database.url()).await.unwrap();
    other.execute("BEGIN; UPDATE invalidation_epoch SET epoch = epoch").await.unwrap();

    // More than there are connections for.
    let ours = change();
    let many = async {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (users, id, change) = (Arc::clone(&world.users), anna.id.clone(), ours.clone());
                tokio::spawn(async move { users.set_active(&id, false, at(1), &change).await })
            })
            .collect();
        for call in calls {
            let answer = call.await.unwrap();
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
    };
    tokio::time::timeout(Duration::from_millis(2500), many).await.expect("an answer in time");
    assert!(world.users.find(&anna.id).await.unwrap().unwrap().is_active, "readers do not wait for writers");

    other.execute("ROLLBACK").await.unwrap();
    let whole_again = async {
        while world.users.set_active(&anna.id, false, at(2), &change()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), whole_again).await.expect("service is whole again");
}

/// Whoever is cut off at any moment leaves nothing that another call would see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_cut_off_spoil_nothing() {
    let database = database().await;
    let world = Arc::new(world_on(open_with(&database.url(), false, 4).await.unwrap()));
    let users: Vec<User> = (0..4).map(|number| user(&format!("u{number}"))).collect();
    for user in &users {
        world.users.insert(user, &change()).await.unwrap();
    }
    let lanes: Vec<_> = (0..8)
        .map(|lane: usize| {
            let (world, users) = (Arc::clone(&world), users.clone());
            tokio::spawn(async move {
                for turn in 0..150_usize {
                    let user = &users[(lane + turn) % users.len()];
                    let patience = Duration::from_micros(u64::try_from((turn * 37 + lane * 101) % 3000).unwrap());
                    let ours = change();
                    let write = world.users.set_active(&user.id, turn % 2 == 0, at(1), &ours);
                    let _ = tokio::time::timeout(patience, write).await;
                    let read = world.users.find(&user.id);
                    if let Ok(found) = tokio::time::timeout(patience, read).await {
                        assert_eq!(found.unwrap().unwrap().username, user.username, "another's answer");
                    }
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    for user in &users {
        assert_eq!(world.users.find(&user.id).await.unwrap().unwrap().username, user.username);
        assert!(world.users.set_active(&user.id, true, at(2), &change()).await.unwrap());
    }
    let until = std::time::Instant::now() + Duration::from_secs(5);
    let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    while database.sql(open) != "0" {
        assert!(std::time::Instant::now() < until, "a transaction was left open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_no_version_writes_is_corrupt_and_named() {
    let database = database().await;
    let world = world_on(open(&database.url(), false).await.unwrap());
    let anna = insert_user(&world, "anna").await;
    world.sessions.insert(&session("s1", &anna.id)).await.unwrap();
    world.api_keys.insert(&api_key(1), &change()).await.unwrap();
    database.sql("UPDATE users SET scopes = 'hunter2 ä'");
    database.sql("UPDATE sessions SET ended_at = 1, end_reason = 'hunter2'");
    database.sql("UPDATE api_keys SET digest = 'hunter2'");
    database.sql("UPDATE invalidations SET kind = 'later'");
    let named = |error: StoreError, table: &str, id: &str| {
        let StoreError::Corrupt(text) = error else { panic!("{error}") };
        assert!(text.contains(table) && text.contains(id) && !text.contains("hunter2"), "{text}");
    };
    named(world.users.find(&anna.id).await.unwrap_err(), "users", "id-of-anna");
    named(world.sessions.find(&session("s1", &anna.id).id).await.unwrap_err(), "sessions", "s1");
    named(world.api_keys.find(&api_key(1).id).await.unwrap_err(), "api_keys", "key-1");
    let log = world.invalidations.after(Epoch(0), 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| (entry.epoch, entry.what.clone())).collect::<Vec<_>>(), [(Epoch(1), None)]);
    let outbox = SqlOutbox::new(open(&database.url(), false).await.unwrap());
    outbox.enqueue(&mail("a", at(0))).await.unwrap();
    assert_eq!(outbox.count().await.unwrap(), 1);
}
