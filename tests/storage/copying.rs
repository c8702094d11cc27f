//! What is promised of copying one database into another, whichever they are.

use std::time::Duration;

use portcullis::backends::sql::{CopiedTable, CopyError, Pool, copy, migrate, open};
use portcullis::domain::audit::AuditAction;
use portcullis::domain::signing_key::{KeyUse, SigningAlgorithm};
use portcullis::domain::user::User;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

use crate::api_keys::api_key;
use crate::challenges::challenge;
use crate::guesses::{POLICY, account};
use crate::outbox::mail;
use crate::postgres_server::{Database, PostgresServer};
use crate::second_factors::enrolled;
use crate::sessions::session;
use crate::signing_keys::signing_key;
use crate::sqlite::world_on;
use crate::users::{insert as insert_user, user};
use crate::{World, at, change, change_of, odd_texts};

/// A file and a server's database, both empty.
struct Both {
    dir: TempDir,
    database: Database<'static>,
}

impl Both {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), database: PostgresServer::shared().database() }
    }

    async fn file(&self, name: &str) -> Pool {
        open(&format!("sqlite://{}/{name}.db", self.dir.path().display()), true).await.unwrap()
    }

    async fn server(&self) -> Pool {
        open(&self.database.url(), false).await.unwrap()
    }

    /// A filled file.
    async fn filled(&self) -> (Pool, World) {
        let pool = self.file("filled").await;
        migrate(&pool).await.unwrap();
        let world = world_on(pool.clone());
        fill(&world).await;
        (pool, world)
    }

    async fn execute_in(&self, name: &str, statement: &'static str) {
        let url = format!("sqlite://{}/{name}.db", self.dir.path().display());
        AnyConnection::connect(&url).await.unwrap().execute(statement).await.unwrap();
    }
}

async fn fill(world: &World) {
    let (anna, _) = enrolled(world, "anna").await;
    for (number, text) in odd_texts().into_iter().enumerate() {
        let odd = User { first_name: text, ..user(&format!("odd{number}")) };
        world.users.insert(&odd, &change()).await.unwrap();
    }
    // More than a page, and names that another language would sort otherwise.
    for number in 0..450 {
        let name = format!("{}{number}", ["a", "B", "_", "Ä", "ä", "-", "🦀"][number % 7]);
        world.users.insert(&user(&name), &change_of(AuditAction::UserCreate, 1)).await.unwrap();
    }
    world.sessions.insert(&session("s", &anna.id)).await.unwrap();
    world.api_keys.insert(&api_key(1), &change()).await.unwrap();
    world.signing_keys.insert_first(&signing_key("k", KeyUse::Tokens, SigningAlgorithm::Es256)).await.unwrap();
    world.challenges.insert(&challenge("c", &anna.id), &[]).await.unwrap();
    let reset = portcullis::domain::password_reset::PasswordReset {
        digest: portcullis::domain::digest::Digest([1; 32]),
        user_id: anna.id.clone(),
        created_at: at(0),
        expires_at: at(60),
    };
    world.password_resets.replace(&reset, &change()).await.unwrap();
    world.guesses.reserve(&[(account("anna"), POLICY)], at(0)).await.unwrap().unwrap();
    world.outbox.enqueue(&mail("m", at(0))).await.unwrap();
    world.users.set_active(&anna.id, true, at(2), &change()).await.unwrap();
}

fn digests(tables: &[CopiedTable]) -> Vec<(&str, u64, &str)> {
    tables.iter().map(|table| (table.name.as_str(), table.rows, table.digest.as_str())).collect()
}

fn copied(tables: &[CopiedTable]) -> u64 {
    tables.iter().map(|table| table.copied).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_and_comes_back_the_same() {
    let both = Both::new();
    let (file, world) = both.filled().await;
    let server = both.server().await;
    let there = copy(&file, &server).await.unwrap();
    assert!(there.iter().all(|table| table.copied == table.rows), "{there:?}");

    // No table is forgotten, in either.
    let mut names: Vec<&str> = there.iter().map(|table| table.name.as_str()).collect();
    names.sort_unstable();
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename COLLATE \"C\") FROM pg_tables \
                  WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'";
    assert_eq!(both.database.sql(tables), names.join(" "));
    let mut raw = AnyConnection::connect(&format!("sqlite://{}/filled.db", both.dir.path().display())).await.unwrap();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations' \
                  AND name NOT LIKE 'sqlite%' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut raw).await.unwrap();
    assert_eq!(tables, names);
    for table in &there {
        let count = format!("SELECT COUNT(*) FROM {}", table.name);
        assert_eq!(both.database.sql(&count), table.rows.to_string(), "{}", table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut raw).await.unwrap();
        assert_eq!(u64::try_from(count).unwrap(), table.rows);
    }
    for name in ["users", "sessions", "second_factors", "recovery_codes", "challenges", "guesses", "audit", "outbox"] {
        assert!(there.iter().any(|table| table.name == name && table.rows > 0), "{name} was not filled");
    }

    let world_there = world_on(server.clone());
    assert_eq!(world_there.invalidations.newest().await.unwrap(), world.invalidations.newest().await.unwrap());
    let anna = world_there.users.find_by_username("anna").await.unwrap().unwrap();
    assert!(anna.has_second_factor);

    let other = both.file("other").await;
    let back = copy(&server, &other).await.unwrap();
    assert_eq!(digests(&back), digests(&there));
    assert_eq!(copied(&back), copied(&there));
    // From each kind to its like.
    let another = PostgresServer::shared().database();
    let like = copy(&server, &open(&another.url(), false).await.unwrap()).await.unwrap();
    assert_eq!(digests(&like), digests(&there));
    assert_eq!(digests(&copy(&file, &both.file("third").await).await.unwrap()), digests(&there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_verifies_and_brings_what_is_missing() {
    let both = Both::new();
    let (file, world) = both.filled().await;
    let server = both.server().await;
    let first = copy(&file, &server).await.unwrap();
    let again = copy(&file, &server).await.unwrap();
    assert_eq!((copied(&again), digests(&again)), (0, digests(&first)));

    for name in ["0 before all", "later", "zzz"] {
        insert_user(&world, name).await;
    }
    both.database.sql("DELETE FROM outbox; DELETE FROM users WHERE username LIKE 'B%'");
    let more = copy(&file, &server).await.unwrap();
    let of = |name: &str| more.iter().find(|table| table.name == name).unwrap().copied;
    assert_eq!((of("outbox"), of("audit"), of("users")), (1, 3, 3 + 65));
    assert_eq!(copied(&copy(&file, &server).await.unwrap()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_data_is_not_touched() {
    let both = Both::new();
    let (file, _) = both.filled().await;
    let server = both.server().await;
    migrate(&server).await.unwrap();
    let theirs = world_on(server.clone());
    insert_user(&theirs, "somebody else").await;
    let error = copy(&file, &server).await.unwrap_err();
    let CopyError::OtherData { what, .. } = &error else { panic!("{error}") };
    assert!(what.contains("users: 1 row(s) that are not in the source") && what.contains("audit: 1 row(s)"), "{what}");
    assert_eq!(theirs.users.count().await.unwrap(), 1, "nothing was changed");

    both.database.sql("DELETE FROM users; DELETE FROM audit");
    copy(&file, &server).await.unwrap();
    both.database.sql("UPDATE users SET first_name = 'Hunter2' WHERE username IN ('a0', 'anna'); DELETE FROM outbox");
    let error = copy(&file, &server).await.unwrap_err().to_string();
    assert!(error.contains("users: 2 row(s) that differ from the source") && !error.contains("Hunter2"), "{error}");
    assert_eq!(both.database.sql("SELECT COUNT(*) FROM outbox"), "0", "nothing was changed");
    // The same the other way.
    let error = copy(&server, &file).await.unwrap_err().to_string();
    assert!(error.contains("users: 2 row(s) that differ") && error.contains("outbox: 1 row(s)"), "{error}");
}

#[tokio::test]
async fn an_old_schema_is_no_source() {
    let both = Both::new();
    let (file, _) = both.filled().await;
    both.execute_in(
        "filled",
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
    )
    .await;
    let error = copy(&file, &both.server().await).await.unwrap_err();
    assert!(matches!(error, CopyError::Outdated { pending: 1, .. }), "{error}");
    assert_eq!(both.database.sql("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

/// PostgreSQL has no place for it, and no version of ours has stored it.
#[tokio::test]
async fn what_cannot_be_kept_stops_the_copy() {
    let both = Both::new();
    let (file, _) = both.filled().await;
    both.execute_in("filled", "UPDATE users SET last_name = 'hunter2' || char(0) WHERE username = 'anna'").await;
    let error = copy(&file, &both.server().await).await.unwrap_err().to_string();
    assert!(error.contains("users") && !error.contains("hunter2"), "{error}");
    assert_eq!(both.database.sql("SELECT COUNT(*) FROM users"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_at_once_are_one_after_the_other() {
    let both = Both::new();
    let (file, _) = both.filled().await;
    let (one, two) = (both.server().await, both.server().await);
    let copies = async { tokio::join!(copy(&file, &one), copy(&file, &two)) };
    let (first, second) = tokio::time::timeout(Duration::from_secs(60), copies).await.unwrap();
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(digests(&first), digests(&second));
    assert_eq!(copied(&first).min(copied(&second)), 0);
}
