//! A PostgreSQL server that is killed, hangs, comes back, or has no place left: no call waits longer than the deadline, each
//! says that it does not know, and all goes on by itself when the fault is over.

use std::time::{Duration, Instant};

use portcullis::backends::sql::{migrate, open};
use portcullis::domain::user::User;
use portcullis::storage::StoreError;
use sqlx::{AnyConnection, Connection};

use crate::postgres_server::PostgresServer;
use crate::sqlite::world_on;
use crate::users::insert as insert_user;
use crate::{World, at, change};

struct Outage {
    server: PostgresServer,
    world: World,
    anna: User,
}

impl Outage {
    async fn prepare() -> Self {
        let server = PostgresServer::start();
        server.sql("postgres", "CREATE DATABASE main OWNER portcullis");
        let pool = open(&server.url("main"), false).await.unwrap();
        migrate(&pool).await.unwrap();
        let world = world_on(pool);
        let anna = insert_user(&world, "anna").await;
        let outage = Self { server, world, anna };
        // Connections that were in use before.
        outage.works().await.unwrap();
        outage
    }

    async fn works(&self) -> Result<(), StoreError> {
        let (users, ours) = (&self.world.users, change());
        let (one, two, three, four) = tokio::join!(
            users.find(&self.anna.id),
            users.find_by_username("anna"),
            users.set_active(&self.anna.id, true, at(1), &ours),
            users.count(),
        );
        assert!(one?.is_some() && two?.is_some() && three?);
        assert_eq!(four?, 1);
        Ok(())
    }

    /// Reading and writing, several at once and again after that.
    async fn is_told_in_time(&self) {
        for _ in 0..2 {
            let (users, ours) = (&self.world.users, change());
            let since = Instant::now();
            let (one, two, three) = tokio::join!(
                users.find(&self.anna.id),
                users.count(),
                users.set_active(&self.anna.id, true, at(1), &ours)
            );
            assert!(since.elapsed() < Duration::from_millis(2400), "{:?}", since.elapsed());
            for error in [one.err(), two.err(), three.err()] {
                let Some(StoreError::Unavailable(said)) = error else { panic!("{error:?}") };
                assert!(!said.contains("w?rd") && !said.contains("postgres://"), "{said}");
            }
        }
    }

    async fn is_whole_again(&self) {
        let since = Instant::now();
        while let Err(error) = self.works().await {
            assert!(since.elapsed() < Duration::from_secs(5), "{error}");
        }
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        for _ in 0..20 {
            self.works().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again() {
    let outage = Outage::prepare().await;
    outage.server.kill();
    outage.is_told_in_time().await;
    assert!(outage.server.begin());
    outage.is_whole_again().await;
    // Between two calls, so that nobody sees it go.
    outage.server.end();
    assert!(outage.server.begin());
    outage.is_whole_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_and_woken() {
    let outage = Outage::prepare().await;
    for _ in 0..2 {
        outage.server.hang();
        outage.is_told_in_time().await;
        // Long enough for every connection to have been given up.
        outage.is_told_in_time().await;
        outage.server.go_on();
        outage.is_whole_again().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_place_for_us() {
    let outage = Outage::prepare().await;
    sqlx::any::install_default_drivers();
    // Everybody is thrown out, and others are faster.
    outage.server.sql("postgres", "ALTER ROLE portcullis CONNECTION LIMIT 0");
    outage
        .server
        .sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'portcullis'");
    outage.is_told_in_time().await;
    outage.server.sql("postgres", "ALTER ROLE portcullis CONNECTION LIMIT -1");
    outage.is_whole_again().await;

    let others = outage.server.url("postgres");
    let mut taken = Vec::new();
    while let Ok(connection) = AnyConnection::connect(&others).await {
        taken.push(connection);
    }
    assert!(taken.len() > 20);
    // What is connected goes on.
    outage.works().await.unwrap();
    outage.server.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'portcullis' AND datname = 'main'",
    );
    let until = Instant::now() + Duration::from_secs(5);
    while let Ok(connection) = AnyConnection::connect(&others).await {
        taken.push(connection);
        assert!(Instant::now() < until);
    }
    outage.is_told_in_time().await;
    drop(taken);
    outage.is_whole_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_password() {
    let outage = Outage::prepare().await;
    outage.server.sql("postgres", "ALTER ROLE portcullis PASSWORD 'another'");
    // Who is in stays in.
    outage.works().await.unwrap();
    outage
        .server
        .sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'portcullis'");
    outage.is_told_in_time().await;
    outage.server.sql("postgres", &format!("ALTER ROLE portcullis PASSWORD '{}'", crate::postgres_server::PASSWORD));
    outage.is_whole_again().await;
}
