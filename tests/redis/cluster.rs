//! A cluster: keys are spread, counts are not, and a master that is killed is followed by its replica.

use std::time::Duration;

use portcullis::backends::redis::{
    RedisBudgets, RedisBus, RedisMemory, RedisPool, RedisServer, RefusedByRedis, Unavailable,
};
use portcullis::crypto::random::OsRandom;
use portcullis::domain::gcra::Gcra;
use portcullis::domain::rate::Rate;
use portcullis::domain::redis_deployment::RedisDeployment;
use portcullis::domain::secret::Secret;
use portcullis::storage::budgets::{Ask, SharedBudgets as _};
use portcullis::storage::shared_memory::{Bus as _, SharedMemory as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::certificates::Certificates;
use crate::cluster_set::ClusterSet;
use crate::pool::settings;
use crate::sentinel::{Ear, eventually};
use crate::server::Redis;

fn by(urls: &[String]) -> RedisServer {
    let nodes = urls.iter().cloned().map(Secret::new).collect();
    RedisServer { deployment: RedisDeployment::Cluster { nodes }, ..settings("") }
}

async fn greet(settings: RedisServer) -> Result<Result<(), Unavailable>, RefusedByRedis> {
    RedisPool::new(settings, Handle::current())?.greet().await
}

fn ask(name: &str, rate: &str) -> Ask {
    Ask { name: name.to_owned(), gcra: Gcra::new(Rate::parse(rate).unwrap()) }
}

async fn passed(budgets: &RedisBudgets, asks: &[Ask], tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        let answer = budgets.take(asks).await;
        passed += usize::from(answer.unwrap().iter().all(Result::is_ok));
    }
    passed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_spread_and_what_is_counted_adds_up() {
    let set = ClusterSet::start(0);
    // One node is enough to find the others.
    let node = async |url: usize| {
        let pool = RedisPool::new(by(&set.urls()[url..=url]), Handle::current()).unwrap();
        assert_eq!(pool.greet().await, Ok(Ok(())));
        pool
    };
    let (a, b) = (node(0).await, node(1).await);
    let (memory, other) = (RedisMemory::new(a.clone()), RedisMemory::new(b.clone()));
    for n in 0..50 {
        let (key, value) = (format!("p:{n}"), n.to_string().into_bytes());
        memory.put(&key, value.clone(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(other.get(&key, 10).await, Ok(Some(value)));
    }
    for node in &set.nodes {
        assert_ne!(node.cli(&["DBSIZE"]), "0", "all keys lie elsewhere");
    }

    let budgets = [a.clone(), b.clone()].map(|pool| RedisBudgets::new(pool, "p".to_owned(), Box::new(str::to_owned)));
    // Names that would lie at different nodes.
    let all: Vec<Ask> = (0..4).map(|n| ask(&format!("limit {n}"), "100/hour")).chain([ask("x", "30/hour")]).collect();
    let (of_a, of_b) = tokio::join!(passed(&budgets[0], &all, 20), passed(&budgets[1], &all, 20));
    assert_eq!(of_a + of_b, 30);
    assert_eq!(passed(&budgets[0], &all[..1], 80).await, 70);
    assert_eq!(set.keys("p:{limits}:limit:*").len(), 5);

    let buses = [a, b].map(|pool| RedisBus::new(pool, "p:channel"));
    let (_end, ended) = watch::channel(false);
    let ears = [(); 2].map(|()| Arc::new(Ear::default()));
    for (bus, ear) in buses.iter().zip(&ears) {
        tokio::spawn(bus.clone().listen(Arc::clone(ear) as _, Arc::new(OsRandom::new()), ended.clone()));
    }
    for bus in &buses {
        eventually("a message at another node", async || {
            bus.publish(b"hello".to_vec()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            ears.iter().all(|ear| ear.0.swap(0, Ordering::SeqCst) > 0)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_master_is_killed_its_replica_goes_on_counting() {
    a_replica_goes_on(Redis::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_master_hangs_its_replica_goes_on_counting() {
    a_replica_goes_on(|node| node.hang()).await;
}

async fn a_replica_goes_on(end: impl FnOnce(&mut Redis)) {
    let mut set = ClusterSet::start(1);
    let pool = RedisPool::new(by(&set.urls()), Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    let budgets = RedisBudgets::new(pool.clone(), "p".to_owned(), Box::new(str::to_owned));
    let limit = [ask("x", "10/hour")];
    assert_eq!(passed(&budgets, &limit, 4).await, 4);
    let memory = RedisMemory::new(pool.clone());
    let bus = RedisBus::new(pool, "p:channel");
    let ear = Arc::new(Ear::default());
    let (_end, ended) = watch::channel(false);
    tokio::spawn(bus.clone().listen(Arc::clone(&ear) as _, Arc::new(OsRandom::new()), ended));

    let counting = set.master_of("p:{limits}:limit:x");
    end(&mut set.nodes[counting]);
    let begun = Instant::now();
    let mut asked = 0;
    while budgets.take(&limit).await.is_err() {
        let before = Instant::now();
        let _ = budgets.take(&limit).await;
        assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody follows the master");
        asked += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(asked > 0, "it was never gone");
    set.nodes[counting].kill();
    set.until_well();
    assert_ne!(set.master_of("p:{limits}:limit:x"), counting);
    let left = passed(&budgets, &limit, 12).await;
    assert!(left <= 6, "{left} more: what was counted is forgotten");
    for n in 0..20 {
        let key = format!("p:{n}");
        eventually("what is remembered", async || {
            memory.put(&key, b"x".to_vec(), Duration::from_secs(60)).await.is_ok()
        })
        .await;
    }
    // One after the other, and so whichever it listens at.
    for number in 0..set.nodes.len() {
        if !set.nodes[number].is_running() {
            continue;
        }
        let before = ear.0.load(Ordering::SeqCst);
        eventually("a message", async || {
            let _ = bus.publish(b"hello".to_vec()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            ear.0.load(Ordering::SeqCst) > before
        })
        .await;
        set.nodes[number].cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_acl_may_do_what_is_needed() {
    let document = include_str!("../../docs/redis.md");
    let rule = document.lines().find_map(|line| line.strip_prefix("ACL SETUSER ")).unwrap();
    let rule = rule.replace(">PASSWORD", ">correct-horse") + " +cluster|slots";
    let set = ClusterSet::start(0);
    for node in &set.nodes {
        node.cli(&[&["ACL", "SETUSER"], rule.split_ascii_whitespace().collect::<Vec<_>>().as_slice()].concat());
        node.cli(&["ACL", "SETUSER", "default", "off"]);
    }
    let password = Some(Secret::new("correct-horse".to_owned()));
    let server = RedisServer { username: Some("portcullis".to_owned()), password, ..by(&set.urls()) };
    let pool = RedisPool::new(server, Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    let budgets = RedisBudgets::new(pool.clone(), "portcullis".to_owned(), Box::new(str::to_owned));
    assert_eq!(budgets.pool().greet().await, Ok(Ok(())));
    assert_eq!(passed(&budgets, &[ask("a", "3/hour"), ask("b", "9/hour")], 9).await, 3);
    let memory = RedisMemory::new(pool.clone());
    memory.put("portcullis:x", b"x".to_vec(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(memory.get("portcullis:x", 9).await, Ok(Some(b"x".to_vec())));
    RedisBus::new(pool, "portcullis:channel").publish(b"hello".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_all_nodes_are_checked() {
    let certificates = Certificates::make();
    let (_set, ports) = ClusterSet::with_tls(&certificates.ca().with_file_name("server.pem"), &certificates.ca());
    // The others are found through it, and spoken to in the same way.
    let by_tls = |ca| RedisServer { ca: Some(ca), ..by(&[format!("rediss://localhost:{}", ports[0])]) };
    let pool = RedisPool::new(by_tls(certificates.ca()), Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    let memory = RedisMemory::new(pool);
    for n in 0..20 {
        memory.put(&format!("p:{n}"), b"x".to_vec(), Duration::from_secs(60)).await.unwrap();
    }
    let answer = greet(by_tls(certificates.other_ca())).await;
    assert!(matches!(answer, Ok(Err(Unavailable::Failed(_)))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cluster_or_wants_a_password_is_said_at_once() {
    let set = ClusterSet::with(0, "correct-horse");
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    let signed_in = RedisServer { password: secret("correct-horse"), ..by(&set.urls()) };
    assert_eq!(greet(signed_in).await, Ok(Ok(())));
    for wrong in [RedisServer { password: secret("wrong-pony"), ..by(&set.urls()) }, by(&set.urls())] {
        let refusal = greet(wrong).await.unwrap_err();
        assert!(matches!(refusal, RefusedByRedis::SignIn { .. }), "{refusal:?}");
        assert!(!refusal.to_string().contains("pony"), "{refusal}");
    }
    let one = RedisServer { password: secret("correct-horse"), ..settings(&set.urls()[0]) };
    let place = set.nodes[0].address().to_string();
    assert_eq!(greet(one).await, Err(RefusedByRedis::Cluster { place }));
    let redis = Redis::start();
    assert_eq!(greet(by(&[redis.url()])).await, Err(RefusedByRedis::NoCluster { place: redis.address().to_string() }));
    let gone = greet(by(&["redis://127.0.0.1:1".to_owned()])).await;
    assert!(matches!(gone, Ok(Err(Unavailable::Failed(_)))), "{gone:?}");
}
