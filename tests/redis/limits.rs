//! Limits that nodes share: what they let through adds up, and whatever else Redis holds or does hurts nobody.

#![allow(clippy::disallowed_methods, reason = "what is promised is an upper bound on real time")]

use std::time::{Duration, Instant};

use portcullis::backends::redis::{RedisBudgets, RedisPool, RedisServer};
use portcullis::domain::clock::Timestamp;
use portcullis::domain::gcra::Gcra;
use portcullis::domain::rate::Rate;
use portcullis::storage::budgets::{Ask, Count, NoAnswer, SharedBudgets};
use tokio::runtime::Handle;

use crate::pool::settings;
use crate::server::Redis;

/// As one node has them.
fn budgets(redis: &Redis) -> RedisBudgets {
    budgets_at(&redis.url())
}

fn budgets_at(url: &str) -> RedisBudgets {
    let server = RedisServer { deadline: Duration::from_millis(500), ..settings(url) };
    RedisBudgets::new(RedisPool::new(server, Handle::current()).unwrap(), "p".to_owned(), Box::new(str::to_owned))
}

fn ask(name: &str, rate: &str) -> Ask {
    Ask { name: name.to_owned(), gcra: Gcra::new(Rate::parse(rate).unwrap()) }
}

/// Alone in the bucket or not.
async fn passed(budgets: &RedisBudgets, ask: &Ask, tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        let answer = budgets.take(std::slice::from_ref(ask)).await.unwrap();
        passed += usize::from(answer[0].is_ok());
    }
    passed
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_let_through_as_many_as_one_may() {
    let redis = Redis::start();
    let (a, b, limit) = (budgets(&redis), budgets(&redis), ask("x", "50/hour"));
    let (of_a, of_b) = tokio::join!(passed(&a, &limit, 40), passed(&b, &limit, 40));
    assert_eq!(of_a + of_b, 50);
    let told = a.take(&[ask("y", "3/minute")]).await.unwrap()[0].unwrap();
    assert_eq!(told.remaining, 2);
    assert!(told.full_in > Duration::from_secs(19) && told.full_in <= Duration::from_secs(20));
    let spent = b.take(std::slice::from_ref(&limit)).await.unwrap()[0].unwrap_err();
    assert!(spent.retry_in > Duration::from_secs(60) && spent.retry_in <= Duration::from_secs(72), "{spent:?}");
    for key in ["p:limit:x", "p:limit:y"] {
        let ttl: i64 = redis.cli(&["PTTL", key]).trim().parse().unwrap();
        assert!(ttl > 0 && ttl <= 3_600_001, "{key} lives {ttl} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_rates_let_their_whole_burst_through_and_come_back() {
    let redis = Redis::start();
    let node = budgets(&redis);
    for rate in ["3/hour", "7/minute", "7/minute burst 13", "1/hour burst 11"] {
        let limit = ask(rate, rate);
        let burst = usize::try_from(limit.gcra.burst()).unwrap();
        assert_eq!(passed(&node, &limit, burst + 5).await, burst, "{rate}");
    }
    let quick = ask("quick", "30000/second burst 2");
    let begun = Instant::now();
    let through = passed(&node, &quick, 200).await;
    assert!(through >= 2 && through as f64 <= 2.0 + begun.elapsed().as_secs_f64() * 30_000.0);
    let slow = ask("slow", "10/second burst 1");
    assert_eq!(passed(&node, &slow, 1).await, 1);
    let wait = node.take(std::slice::from_ref(&slow)).await.unwrap()[0].map_err(|spent| spent.retry_in);
    if let Err(wait) = wait {
        tokio::time::sleep(wait).await;
        assert_eq!(passed(&node, &slow, 1).await, 1, "after the wait that was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_buckets_all_give_or_none() {
    let redis = Redis::start();
    let node = budgets(&redis);
    let both = [ask("wide", "10/hour"), ask("narrow", "2/hour")];
    let mut through = 0;
    for _ in 0..9 {
        through += usize::from(node.take(&both).await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(through, 2);
    assert_eq!(passed(&node, &both[0], 20).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_thrown_away_or_believed_for_one_interval_at_most() {
    let redis = Redis::start();
    let node = budgets(&redis);
    for (n, commands) in [
        &["LPUSH", "p:limit:x", "a"][..],
        &["SET", "p:limit:x", "nonsense"],
        &["SET", "p:limit:x", ""],
        &["SET", "p:limit:x", "nan"],
        &["HSET", "p:limit:x", "a", "b"],
    ]
    .iter()
    .enumerate()
    {
        redis.cli(&["DEL", "p:limit:x"]);
        redis.cli(commands);
        assert_eq!(passed(&node, &ask("x", "3/hour"), 9).await, 3, "{commands:?}");
        assert_eq!(node.foreign(), n as u64 + 1, "{commands:?}");
    }
    redis.cli(&["SET", "p:limit:past", "-inf"]);
    assert_eq!(passed(&node, &ask("past", "3/hour"), 9).await, 3);
    for absurd in ["inf", "1e300", "9007199254740993"] {
        redis.cli(&["SET", "p:limit:x", absurd]);
        let limit = ask("x", "1/second burst 5");
        let spent = node.take(std::slice::from_ref(&limit)).await.unwrap()[0].unwrap_err();
        assert!(spent.retry_in <= Duration::from_secs(1), "{absurd}: {spent:?}");
        let ttl: i64 = redis.cli(&["PTTL", "p:limit:x"]).trim().parse().unwrap();
        assert!(ttl > 0 && ttl <= 5_001, "{absurd}: {ttl}");
    }
}

fn count(most: u64) -> Count {
    let now = Timestamp::from_secs(1_800_000_000);
    let expires_at = now.plus(Duration::from_secs(60));
    Count { name: "k".to_owned(), most, at_least: 0, owed: 0, expires_at, now }
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_add_up_over_nodes_and_begin_with_what_is_known() {
    let redis = Redis::start();
    let (a, b) = (budgets(&redis), budgets(&redis));
    let used = async |node: &RedisBudgets, count: &Count, tries: usize| {
        let mut used = 0;
        for _ in 0..tries {
            used += usize::from(node.count(count).await.unwrap().admitted);
        }
        used
    };
    let most = count(30);
    let (of_a, of_b) = tokio::join!(used(&a, &most, 20), used(&b, &most, 20));
    assert_eq!(of_a + of_b, 30);
    assert_eq!(a.count(&count(30)).await.unwrap().total, 30);
    // What was let through meanwhile is counted first, and what is known counts only where nothing is.
    let owing = Count { owed: 5, at_least: 1000, ..count(40) };
    assert_eq!(a.count(&owing).await.unwrap().total, 36);
    redis.cli(&["FLUSHALL"]);
    assert_eq!(used(&a, &Count { at_least: 33, ..count(40) }, 20).await, 7);
    for foreign in [&["SET", "p:quota:k", "-5"][..], &["SET", "p:quota:k", "x"], &["SET", "p:quota:k", "inf"]] {
        redis.cli(foreign);
        assert_eq!(used(&a, &count(3), 9).await, 3, "{foreign:?}");
    }
    redis.cli(&["DEL", "p:quota:k"]);
    redis.cli(&["LPUSH", "p:quota:k", "1"]);
    assert_eq!(used(&a, &count(3), 9).await, 3);
    let ttl: i64 = redis.cli(&["TTL", "p:quota:k"]).trim().parse().unwrap();
    assert!((1..=3660).contains(&ttl), "{ttl}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_acl_with_what_the_documentation_allows_can_count() {
    let document = include_str!("../../docs/redis.md");
    let rule = document.lines().find_map(|line| line.strip_prefix("ACL SETUSER ")).unwrap();
    let rule = rule.replace(">PASSWORD", ">correct-horse").replace("portcullis:*", "p:*");
    let redis = Redis::start();
    redis.cli(&[&["ACL", "SETUSER"], rule.split_ascii_whitespace().collect::<Vec<_>>().as_slice()].concat());
    redis.cli(&["SET", "p:limit:x", "nonsense"]);
    let url = redis.url().replace("redis://", "redis://portcullis:correct-horse@");
    let node = budgets_at(&url);
    assert_eq!(passed(&node, &ask("x", "3/hour"), 9).await, 3);
    assert!(node.count(&count(3)).await.unwrap().admitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_gone_or_full_is_no_answer_and_costs_little() {
    let redis = Redis::start();
    let node = budgets(&redis);
    let limit = ask("x", "3/hour");
    assert_eq!(passed(&node, &limit, 1).await, 1);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(node.take(std::slice::from_ref(&limit)).await, Err(NoAnswer));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(passed(&node, &limit, 1).await, 1);
    redis.hang();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(node.take(std::slice::from_ref(&limit)).await, Err(NoAnswer));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "three deadlines, and then nobody waits");
    redis.go_on();
}
