use super::sqlite::READERS;
use super::*;

async fn pool_in(dir: &tempfile::TempDir) -> Pool {
    let pool = open(&format!("sqlite://{}/p.db", dir.path().display()), true).await.unwrap();
    super::super::migrate(&pool).await.unwrap();
    pool
}

#[tokio::test]
async fn every_connection_is_durable_and_checks_references() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool_in(&dir).await;
    let mut all = vec![pool.writes.acquire().await.unwrap()];
    for _ in 0..READERS {
        all.push(pool.reads.acquire().await.unwrap());
    }
    for connection in &mut all {
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
        assert_eq!(mode, "wal");
        for (pragma, value) in [("PRAGMA synchronous", 2_i64), ("PRAGMA foreign_keys", 1)] {
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut **connection).await.unwrap();
            assert_eq!(found, value, "{pragma}");
        }
    }
    for reader in all.iter_mut().skip(1) {
        assert!(reader.execute("DELETE FROM users").await.is_err(), "readers only read");
    }
}

#[tokio::test]
async fn writing_works_again_after_the_disk_was_full() {
    const FILL: &str = "INSERT INTO users (id, username, email, is_active, is_admin, scopes, password, created_at, \
                        password_changed_at) VALUES ($1, $1, $2, 1, 0, '', '', 0, 0)";
    let dir = tempfile::tempdir().unwrap();
    let pool = pool_in(&dir).await;
    let mut connection = pool.writes.acquire().await.unwrap();
    connection.execute("PRAGMA max_page_count = 30").await.unwrap();
    drop(connection);

    let mut transaction = pool.begin().await.unwrap();
    let full = sqlx::query(FILL).bind("a").bind("x".repeat(1_000_000)).execute(&mut *transaction).await;
    assert!(full.unwrap_err().to_string().contains("full"));
    drop(transaction);

    let mut transaction = pool.begin().await.unwrap();
    sqlx::query(FILL).bind("b").bind("x").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&pool.reads).await.unwrap();
    assert_eq!(count, 1);
}
