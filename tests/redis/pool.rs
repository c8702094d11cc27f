//! What a call costs while Redis is not well, and that no answer is ever taken for another's.

use std::time::Duration;
use tokio::time::Instant;

use deadpool_redis::redis;
use portcullis::backends::redis::{RedisPool, RedisServer, RefusedByRedis, Unavailable};
use portcullis::domain::redis_deployment::RedisDeployment;
use portcullis::domain::secret::Secret;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::distance::distance;
use crate::server::Redis;

const DEADLINE: Duration = Duration::from_millis(100);

pub fn settings(url: &str) -> RedisServer {
    RedisServer {
        deployment: RedisDeployment::Standalone { url: Secret::new(url.to_owned()) },
        username: None,
        password: None,
        database: None,
        ca: None,
        deadline: DEADLINE,
        connections: 4,
    }
}

fn pool(url: &str) -> RedisPool {
    RedisPool::new(settings(url), Handle::current()).unwrap()
}

async fn echo(pool: &RedisPool, text: &str) -> Result<String, Unavailable> {
    let text = text.to_owned();
    pool.call(move |mut connection| async move { redis::cmd("ECHO").arg(text).query_async(&mut connection).await })
        .await
}

async fn answers_within(pool: &RedisPool, bound: Duration) {
    let begun = Instant::now();
    while echo(pool, "?").await.is_err() {
        assert!(begun.elapsed() < bound, "Redis is back, and not asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_late_takes_its_connection_with_it() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    for round in 0..20 {
        let late: Result<redis::Value, _> = pool
            .call(
                |mut connection| async move { redis::cmd("BLPOP").arg("x").arg(1).query_async(&mut connection).await },
            )
            .await;
        assert_eq!(late, Err(Unavailable::Late));
        // What the call before waits for must not come here.
        redis.cli(&["RPUSH", "x", "theirs"]);
        redis.cli(&["DEL", "x"]);
        let text = format!("ours {round}");
        assert_eq!(echo(&pool, &text).await, Ok(text));
    }
    assert!(pool.is_asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_caller_is_gone_leaves_no_answer_behind() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    for round in 0..50 {
        let theirs = echo(&pool, "theirs");
        let _ = tokio::time::timeout(Duration::from_micros(50 * round), theirs).await;
        let text = format!("ours {round}");
        assert_eq!(echo(&pool, &text).await, Ok(text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_redis_costs_a_few_deadlines_and_then_nothing() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    answers_within(&pool, Duration::from_secs(5)).await;
    redis.hang();
    for _ in 0..3 {
        assert_eq!(echo(&pool, "?").await, Err(Unavailable::Late));
    }
    let begun = Instant::now();
    let mut asked = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        let before = Instant::now();
        assert!(echo(&pool, "?").await.is_err());
        assert!(before.elapsed() < DEADLINE, "a request waited for a Redis that is known to hang");
        asked += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(asked > 100 && !pool.is_asked());
    redis.go_on();
    answers_within(&pool, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_followed_up_when_nobody_asks_again() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    answers_within(&pool, Duration::from_secs(5)).await;
    for _ in 0..2 {
        redis.hang();
        assert_eq!(echo(&pool, "?").await, Err(Unavailable::Late));
        assert!(!pool.answers() && pool.is_asked());
        redis.go_on();
        let begun = Instant::now();
        while !pool.answers() {
            assert!(begun.elapsed() < Duration::from_secs(5), "nobody has looked whether it is back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_is_used_again_once_it_is_back() {
    let mut redis = Redis::start();
    let pool = pool(&redis.url());
    answers_within(&pool, Duration::from_secs(5)).await;
    for _ in 0..3 {
        redis.kill();
        while pool.is_asked() {
            assert!(echo(&pool, "?").await.is_err());
        }
        assert_eq!(echo(&pool, "?").await, Err(Unavailable::Resting));
        redis.restart();
        answers_within(&pool, Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_no_failure() {
    let redis = Redis::with(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    let pool = pool(&redis.url());
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..10 {
        let full: Result<(), _> = pool
            .call(|mut connection| async move { redis::cmd("SET").arg("a").arg("b").exec_async(&mut connection).await })
            .await;
        assert!(matches!(&full, Err(Unavailable::Refused(why)) if why.contains("OOM")), "{full:?}");
    }
    assert_eq!(echo(&pool, "still here").await, Ok("still here".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_waiting_mends_is_said_at_once_and_without_the_password() {
    let redis = Redis::with(&["--requirepass", "correct-horse", "--databases", "4"]);
    let greet = async |settings: RedisServer| match RedisPool::new(settings, Handle::current()) {
        Ok(pool) => pool.greet().await,
        Err(refusal) => Err(refusal),
    };
    let with_password = |password: &str| settings(&format!("redis://:{password}@{}", redis.address()));
    assert_eq!(greet(with_password("correct-horse")).await, Ok(Ok(())));
    let separate = RedisServer { password: Some(Secret::new("correct-horse".to_owned())), ..settings(&redis.url()) };
    assert_eq!(greet(separate).await, Ok(Ok(())));
    for wrong in [with_password("wrong-pony"), settings(&redis.url())] {
        let refusal = greet(wrong).await.unwrap_err();
        assert!(matches!(refusal, RefusedByRedis::SignIn { .. }), "{refusal:?}");
        let text = refusal.to_string();
        assert!(text.contains(&redis.address().to_string()) && !text.contains("pony"), "{text}");
    }
    let beyond = RedisServer { database: Some(9), ..with_password("correct-horse") };
    assert!(matches!(greet(beyond).await, Err(RefusedByRedis::Database { .. })));
    assert_eq!(greet(settings("redis://")).await, Err(RefusedByRedis::Url));
    let gone = greet(settings("redis://127.0.0.1:1")).await;
    assert!(matches!(gone, Ok(Err(Unavailable::Failed(_)))), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_at_once_a_few_connections_carry_them() {
    let redis = Redis::start();
    let near = distance(redis.address(), Duration::from_millis(20));
    let url = format!("redis://{near}");
    let server = RedisServer { connections: 2, deadline: Duration::from_secs(1), ..settings(&url) };
    let pool = RedisPool::new(server, Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    // One after the other on each connection, they would take twenty seconds.
    let mut calls = JoinSet::new();
    for number in 0..1000 {
        let pool = pool.clone();
        calls.spawn(async move {
            let text = number.to_string();
            assert_eq!(echo(&pool, &text).await, Ok(text));
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    let clients = redis.cli(&["CLIENT", "LIST", "TYPE", "normal"]).lines().count();
    assert!(clients <= 3, "{clients} with the one that asks");
}

/// Keeps a connection busy for longer than a call may take.
async fn block(pool: &RedisPool) -> Result<redis::Value, Unavailable> {
    pool.call(|mut connection| async move { redis::cmd("BLPOP").arg("none").arg(5).query_async(&mut connection).await })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_late_while_others_are_answered_is_no_failure_of_redis() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    answers_within(&pool, Duration::from_secs(5)).await;
    while redis.cli(&["CLIENT", "LIST", "TYPE", "normal"]).lines().count() < 5 {
        answers_within(&pool, Duration::from_secs(5)).await;
    }
    for _ in 0..10 {
        // Three of the four connections are of no use to anybody for a while.
        let blocked = async { tokio::join!(block(&pool), block(&pool), block(&pool)) };
        let answered = async {
            let mut answered = 0;
            let begun = Instant::now();
            while begun.elapsed() < DEADLINE * 2 {
                answered += usize::from(echo(&pool, "?").await.is_ok());
            }
            answered
        };
        let (blocked, answered) = tokio::join!(blocked, answered);
        assert_eq!(blocked, (Err(Unavailable::Late), Err(Unavailable::Late), Err(Unavailable::Late)));
        assert!(answered > 0 && pool.is_asked() && pool.answers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_find_one_silence_together_are_one_failure() {
    let redis = Redis::start();
    let server = RedisServer { deadline: Duration::from_millis(500), ..settings(&redis.url()) };
    let pool = RedisPool::new(server, Handle::current()).unwrap();
    answers_within(&pool, Duration::from_secs(5)).await;
    redis.hang();
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let pool = pool.clone();
        calls.spawn(async move { echo(&pool, "?").await });
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), Err(Unavailable::Late));
    }
    assert!(pool.is_asked(), "two hundred calls, and one silence");
    redis.go_on();
    answers_within(&pool, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_redis_closes_while_idle_costs_no_call() {
    let redis = Redis::start();
    let pool = pool(&redis.url());
    answers_within(&pool, Duration::from_secs(5)).await;
    for _ in 0..20 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // It has to arrive first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(echo(&pool, "?").await, Ok("?".to_owned()));
    }
}
