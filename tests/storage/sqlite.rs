//! What is promised of a SQLite file, beside the contract.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::backends::sql::{
    OpenError, Pool, SqlApiKeys, SqlAuditTrail, SqlChallenges, SqlGuesses, SqlImports, SqlInvalidations, SqlOutbox,
    SqlPasswordResets, SqlQuotas, SqlSecondFactors, SqlSessions, SqlSignIns, SqlSigningKeys, SqlSlowKeys, SqlUsers,
    migrate, open, pending,
};
use portcullis::domain::invalidation::Epoch;
use portcullis::domain::mail::OutboxEntry;
use portcullis::domain::session::SessionEnd;
use portcullis::domain::signing_key::{KeyUse, SigningAlgorithm};
use portcullis::domain::user::PasswordHash;
use portcullis::storage::StoreError;
use portcullis::storage::outbox::Outbox as _;
use portcullis::storage::users::Insert;
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

use crate::api_keys::api_key;
use crate::outbox::mail;
use crate::sessions::session;
use crate::signing_keys::signing_key;
use crate::users::{insert as insert_user, setting, user};
use crate::{World, at, change};

pub async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    World { keep: Box::new(dir), ..world_on(pool) }
}

pub fn world_on(pool: Pool) -> World {
    World {
        users: Arc::new(SqlUsers::new(pool.clone())),
        sessions: Arc::new(SqlSessions::new(pool.clone())),
        api_keys: Arc::new(SqlApiKeys::new(pool.clone())),
        signing_keys: Arc::new(SqlSigningKeys::new(pool.clone())),
        invalidations: Arc::new(SqlInvalidations::new(pool.clone())),
        imports: Arc::new(SqlImports::new(pool.clone())),
        slow_keys: Arc::new(SqlSlowKeys::new(pool.clone())),
        outbox: Arc::new(SqlOutbox::new(pool.clone())),
        second_factors: Arc::new(SqlSecondFactors::new(pool.clone())),
        challenges: Arc::new(SqlChallenges::new(pool.clone())),
        sign_ins: Arc::new(SqlSignIns::new(pool.clone())),
        guesses: Arc::new(SqlGuesses::new(pool.clone())),
        audit: Arc::new(SqlAuditTrail::new(pool.clone())),
        password_resets: Arc::new(SqlPasswordResets::new(pool.clone())),
        quotas: Arc::new(SqlQuotas::new(pool.clone())),
        keep: Box::new(pool),
    }
}

/// Two processes' worth of stores on one file.
pub async fn nodes() -> [World; 2] {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let node = async |dir: Arc<TempDir>| {
        let pool = open(&url(&dir), true).await.unwrap();
        migrate(&pool).await.unwrap();
        World { keep: Box::new(dir), ..world_on(pool) }
    };
    [node(Arc::clone(&dir)).await, node(dir).await]
}

fn url(dir: &TempDir) -> String {
    format!("sqlite://{}", file(dir).display())
}

fn file(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("portcullis.db")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn fails(url: &str, create: bool) -> OpenError {
    match open(url, create).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// A connection beside the pool, as an operator's tool has one.
async fn raw(dir: &TempDir) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&url(dir)).await.unwrap()
}

#[tokio::test]
async fn the_file_and_its_directory_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some/where/p.db");
    let pool = open(&format!("sqlite://{}", path.display()), true).await.unwrap();
    assert!(pending(&pool).await.unwrap() > 0);
    migrate(&pool).await.unwrap();
    assert_eq!(pending(&pool).await.unwrap(), 0);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["p.db", "p.db-wal", "p.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn paths_mean_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a b.db", "50%25.db", "x/../y#z.db", "ünï🦀.db"] {
        fs::create_dir_all(dir.path().join("x")).unwrap();
        let path = dir.path().join(name);
        open(&format!("sqlite://{}", path.display()), true).await.unwrap().close().await;
        assert!(path.exists(), "{name}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
}

#[tokio::test]
async fn data_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    insert_user(&world_on(pool.clone()), "anna").await;
    pool.close().await;

    let pool = open(&url(&dir), false).await.unwrap();
    assert_eq!(pending(&pool).await.unwrap(), 0);
    migrate(&pool).await.unwrap();
    assert_eq!(world_on(pool).users.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_missing_file_is_not_made_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let error = fails(&url(&dir), false).await;
    assert!(matches!(error, OpenError::Missing { .. }));
    assert!(error.to_string().contains("portcullis.db"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn garbage_is_refused_and_left_as_it_is() {
    let mut torn = b"SQLite format 3\0".to_vec();
    torn.extend([0xA5; 5000]);
    for garbage in [b"hello".to_vec(), b"not a database\n".repeat(1000), torn] {
        for create in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(file(&dir), &garbage).unwrap();
            let error = fails(&url(&dir), create).await;
            assert!(matches!(error, OpenError::Unreadable { .. }), "{error}");
            assert!(error.to_string().contains("portcullis.db"));
            assert_eq!(fs::read(file(&dir)).unwrap(), garbage);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no side files");
        }
    }
}

#[tokio::test]
async fn a_cut_off_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    pool.close().await;
    let half = fs::read(file(&dir)).unwrap()[..8192].to_vec();
    fs::write(file(&dir), &half).unwrap();
    let error = fails(&url(&dir), true).await;
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error}");
    assert_eq!(fs::read(file(&dir)).unwrap(), half);
}

#[tokio::test]
async fn a_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = fails(&format!("sqlite://{}", dir.path().display()), true).await;
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(file(&dir), b"").unwrap();
    raw(&dir).await.execute("CREATE TABLE notes (text TEXT)").await.unwrap();
    let before = fs::read(file(&dir)).unwrap();
    assert!(matches!(fails(&url(&dir), true).await, OpenError::Foreign { .. }));
    assert_eq!(fs::read(file(&dir)).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    raw(&dir)
        .await
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'later', TRUE, x'00', 0)",
        )
        .await
        .unwrap();
    assert!(matches!(migrate(&pool).await, Err(OpenError::Newer { version: 9999, .. })));
    assert!(matches!(fails(&url(&dir), false).await, OpenError::Newer { version: 9999, .. }));
}

#[tokio::test]
async fn other_urls_are_refused_without_repeating_them() {
    for url in [
        "mysql://user:hunter2@host/db",
        "user:hunter2@host",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://hunter2.db?mode=memory",
        "",
    ] {
        let error = fails(url, true).await;
        assert!(matches!(error, OpenError::Url), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

/// Two processes: the server, and an operator at the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let start = |url: String| async move {
        let pool = open(&url, true).await.unwrap();
        migrate(&pool).await.unwrap();
        world_on(pool)
    };
    let (one, two) = tokio::join!(tokio::spawn(start(url(&dir))), tokio::spawn(start(url(&dir))));
    let (one, two) = (Arc::new(one.unwrap()), Arc::new(two.unwrap()));

    let anna = insert_user(&one, "anna").await;
    assert!(two.users.find_by_username("anna").await.unwrap().is_some());
    assert_eq!(two.users.insert(&user("anna"), &change()).await.unwrap(), Insert::Taken);

    // Both write without a pause; neither may shut the other out.
    let mut tasks = Vec::new();
    for (lane, world) in [&one, &two, &one, &two].into_iter().enumerate() {
        let (world, anna) = (Arc::clone(world), anna.clone());
        tasks.push(tokio::spawn(async move {
            for turn in 0..50 {
                let session = session(&format!("{lane}-{turn}"), &anna.id);
                world.sessions.insert(&session).await.unwrap();
                assert!(world.sessions.rotate(&session.id, 0, at(1)).await.unwrap());
                assert!(world.sessions.end(&session.id, SessionEnd::Logout, at(2), &change()).await.unwrap());
                assert!(world.sessions.find(&session.id).await.unwrap().unwrap().ended.is_some());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for world in [&one, &two] {
        assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(200));
        assert_eq!(world.invalidated_after(Epoch(0)).await.len(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_at_once() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let url = url(&dir);
                tokio::spawn(async move { migrate(&open(&url, true).await.unwrap()).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_elsewhere_costs_two_seconds_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    let world = world_on(pool);
    let anna = insert_user(&world, "anna").await;
    let mut other = raw(&dir).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let bert = user("bert");
    // More than one, so that one also waits for the connection.
    let both = async {
        let ours = change();
        tokio::join!(world.users.insert(&bert, &ours), world.users.set_active(&anna.id, false, at(1), &ours))
    };
    let (one, two) = tokio::time::timeout(Duration::from_millis(2500), both).await.expect("an answer in time");
    assert!(matches!(one, Err(StoreError::Unavailable(_))), "{one:?}");
    assert!(matches!(two, Err(StoreError::Unavailable(_))), "{two:?}");
    assert!(world.users.find(&anna.id).await.unwrap().unwrap().is_active, "readers do not wait for the writer");

    other.execute("ROLLBACK").await.unwrap();
    let whole_again = async {
        while world.users.set_active(&anna.id, false, at(2), &change()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), whole_again).await.expect("service is whole again");
}

/// When the entry in the log cannot be written, the change has not happened either.
#[tokio::test]
async fn a_change_and_its_invalidation_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    let world = world_on(pool);
    let anna = insert_user(&world, "anna").await;
    let (session, key) = (session("s1", &anna.id), api_key(1));
    world.sessions.insert(&session).await.unwrap();
    world.api_keys.insert(&key, &change()).await.unwrap();
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON invalidations BEGIN SELECT RAISE(ABORT, 'broken'); END";
    raw(&dir).await.execute(broken).await.unwrap();

    let first = signing_key("kid", KeyUse::Tokens, SigningAlgorithm::Es256);
    let new = PasswordHash::new("new".to_owned());
    assert!(world.users.set_active(&anna.id, false, at(1), &change()).await.is_err());
    assert!(world.users.set_password(&setting(&anna.id, &new, at(1)), &change()).await.is_err());
    assert!(world.users.upgrade_password(&anna.id, &anna.password, &new).await.is_err());
    assert!(world.sessions.end(&session.id, SessionEnd::Logout, at(1), &change()).await.is_err());
    assert!(world.api_keys.insert(&api_key(2), &change()).await.is_err());
    assert!(world.api_keys.revoke(&key.id, "lost", at(1), &change()).await.is_err());
    assert!(world.signing_keys.insert_first(&first).await.is_err());

    let found = world.users.find(&anna.id).await.unwrap().unwrap();
    assert!(found.is_active && found.password.text() == anna.password.text());
    assert!(world.sessions.find(&session.id).await.unwrap().unwrap().ended.is_none());
    assert!(world.api_keys.find(&api_key(2).id).await.unwrap().is_none());
    assert!(world.api_keys.find(&key.id).await.unwrap().unwrap().revoked.is_none());
    assert!(world.signing_keys.list().await.unwrap().is_empty());
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(1));
}

#[tokio::test]
async fn what_no_version_writes_is_corrupt_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    let world = world_on(pool);
    let anna = insert_user(&world, "anna").await;
    world.sessions.insert(&session("s1", &anna.id)).await.unwrap();
    world.api_keys.insert(&api_key(1), &change()).await.unwrap();
    let mut other = raw(&dir).await;
    other.execute("UPDATE users SET scopes = 'hunter2 ä'").await.unwrap();
    other.execute("UPDATE sessions SET ended_at = 1, end_reason = 'hunter2'").await.unwrap();
    other.execute("UPDATE api_keys SET digest = 'hunter2'").await.unwrap();
    other.execute("UPDATE invalidations SET kind = 'later'").await.unwrap();

    let named = |error: StoreError, table: &str, id: &str| {
        let StoreError::Corrupt(text) = error else { panic!("{error}") };
        assert!(text.contains(table) && text.contains(id) && !text.contains("hunter2"), "{text}");
    };
    named(world.users.find(&anna.id).await.unwrap_err(), "users", "id-of-anna");
    named(world.sessions.find(&session("s1", &anna.id).id).await.unwrap_err(), "sessions", "s1");
    named(world.api_keys.find(&api_key(1).id).await.unwrap_err(), "api_keys", "key-1");
    let logged = world.invalidations.after(Epoch(0), 10).await.unwrap();
    assert!(matches!(logged.as_slice(), [entry] if entry.epoch == Epoch(1) && entry.what.is_none()), "{logged:?}");

    other.execute("UPDATE users SET scopes = '', created_at = 'hunter2'").await.unwrap();
    named(world.users.find(&anna.id).await.unwrap_err(), "users", "created_at");
}

#[tokio::test]
async fn mail_of_another_version_is_left_to_it_until_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let pool = open(&url(&dir), true).await.unwrap();
    migrate(&pool).await.unwrap();
    let outbox = SqlOutbox::new(pool);
    for id in ["a", "b", "c"] {
        outbox.enqueue(&mail(id, at(0))).await.unwrap();
    }
    let mut other = raw(&dir).await;
    other.execute("UPDATE outbox SET kind = 'later' WHERE id = 'a'").await.unwrap();
    other.execute("UPDATE outbox SET sealed = 'hunter2 ä' WHERE id = 'b'").await.unwrap();
    let lease = Duration::from_secs(60);
    let ids = |found: Vec<OutboxEntry>| found.into_iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(outbox.claim(at(0), lease, 9).await.unwrap()), ["c"], "it does not hold up the others");
    assert_eq!(outbox.count().await.unwrap(), 3);
    assert_eq!(ids(outbox.claim(at(30 * 60), lease, 9).await.unwrap()), ["c"]);
    assert_eq!(outbox.count().await.unwrap(), 1);
}
