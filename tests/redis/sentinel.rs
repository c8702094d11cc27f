//! A master that changes, and sentinels that refuse.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::backends::redis::{RedisBus, RedisMemory, RedisPool, RedisServer, RefusedByRedis, Unavailable};
use portcullis::crypto::random::OsRandom;
use portcullis::domain::redis_deployment::{RedisDeployment, SentinelDeployment};
use portcullis::domain::secret::Secret;
use portcullis::storage::shared_memory::{Bus as _, Hear, SharedMemory as _};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::certificates::Certificates;
use crate::pool::settings;
use crate::sentinel_set::{MASTER, SentinelSet};
use crate::server::Redis;

fn deployment(urls: &[String]) -> SentinelDeployment {
    SentinelDeployment {
        sentinels: urls.iter().cloned().map(Secret::new).collect(),
        username: None,
        password: None,
        master: MASTER.to_owned(),
        tls: false,
    }
}

fn by(deployment: SentinelDeployment) -> RedisServer {
    RedisServer { deployment: RedisDeployment::Sentinel(deployment), ..settings("") }
}

async fn greet(settings: RedisServer) -> Result<Result<(), Unavailable>, RefusedByRedis> {
    RedisPool::new(settings, Handle::current())?.greet().await
}

#[derive(Default)]
pub struct Ear(pub AtomicUsize);

impl Hear for Ear {
    fn heard(&self, _: &[u8]) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn connected(&self) {}
    fn disconnected(&self) {}
}

pub async fn eventually<F: Future<Output = bool>>(what: &str, come: impl Fn() -> F) {
    let begun = Instant::now();
    while !come().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_the_bus_follow_the_master() {
    let mut set = SentinelSet::start();
    let pool = RedisPool::new(by(deployment(&set.urls())), Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    let (memory, bus) = (RedisMemory::new(pool.clone()), RedisBus::new(pool.clone(), "channel"));
    let ear = Arc::new(Ear::default());
    let (_end, ended) = watch::channel(false);
    tokio::spawn(bus.clone().listen(Arc::clone(&ear) as _, Arc::new(OsRandom::new()), ended));
    let heard = async || {
        let before = ear.0.load(Ordering::SeqCst);
        let _ = bus.publish(b"hello".to_vec()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        ear.0.load(Ordering::SeqCst) > before
    };
    let put = async |key: &str| memory.put(key, b"x".to_vec(), Duration::from_secs(60)).await;
    eventually("a message", heard).await;
    put("a").await.unwrap();

    // The machine that goes down is that of a sentinel, too, and the first one in the list.
    set.servers[0].kill();
    set.kill_sentinel(0);
    let begun = Instant::now();
    while put("b").await.is_err() {
        let before = Instant::now();
        let _ = put("c").await;
        // A call may take the deadline of a tenth of a second; the machine may be busy.
        assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody follows the master");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    set.until_master(1);
    assert_eq!(set.servers[1].cli(&["GET", "b"]), "x");
    eventually("a message by the new master", heard).await;

    // Who was it before comes back, and is not asked.
    set.servers[0].restart();
    eventually("a replica", async || set.servers[0].cli(&["ROLE"]).starts_with("slave")).await;
    put("d").await.unwrap();
    assert_eq!(set.servers[1].cli(&["GET", "d"]), "x");
    eventually("a message", heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_replaced_while_it_hung_is_left() {
    let set = SentinelSet::start();
    let pool = RedisPool::new(by(deployment(&set.urls())), Handle::current()).unwrap();
    assert_eq!(pool.greet().await, Ok(Ok(())));
    let memory = RedisMemory::new(pool.clone());
    let put = async |key: &str| memory.put(key, b"x".to_vec(), Duration::from_secs(60)).await;
    put("a").await.unwrap();
    set.servers[0].hang();
    set.until_master(1);
    set.servers[0].go_on();
    // It still takes itself for the master, until the sentinels have told it.
    eventually("the new master", async || {
        let _ = put("b").await;
        set.servers[1].cli(&["EXISTS", "b"]) == "1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_of_both_kinds_of_server_are_told_apart() {
    let set = SentinelSet::with("correct-horse", "battery-staple");
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    let signing_in = |password: &str, of_sentinel: &str| RedisServer {
        password: secret(password),
        ..by(SentinelDeployment { password: secret(of_sentinel), ..deployment(&set.urls()) })
    };
    assert_eq!(greet(signing_in("correct-horse", "battery-staple")).await, Ok(Ok(())));
    let in_url: Vec<String> = set.urls().iter().map(|url| url.replace("//", "//:battery-staple@")).collect();
    let server = RedisServer { password: secret("correct-horse"), ..by(deployment(&in_url)) };
    assert_eq!(greet(server).await, Ok(Ok(())));
    let master = set.servers[0].address().to_string();
    for (password, of_sentinel, at_master) in
        [("wrong-pony", "battery-staple", true), ("correct-horse", "wrong-pony", false)]
    {
        let refusal = greet(signing_in(password, of_sentinel)).await.unwrap_err();
        let RefusedByRedis::SignIn { place, .. } = &refusal else { panic!("{refusal:?}") };
        assert_eq!(*place == master, at_master, "{refusal}");
        assert!(!refusal.to_string().contains("pony"), "{refusal}");
    }
    for sentinel in &set.sentinels {
        // What the documentation says to allow.
        let rule = ["on", ">watching", "+auth", "+sentinel|get-master-addr-by-name"];
        assert_eq!(sentinel.cli(&[&["ACL", "SETUSER", "watcher"], rule.as_slice()].concat()).trim_end(), "OK");
    }
    let watcher = SentinelDeployment {
        username: Some("watcher".to_owned()),
        password: secret("watching"),
        ..deployment(&set.urls())
    };
    let server = RedisServer { password: secret("correct-horse"), ..by(watcher) };
    assert_eq!(greet(server).await, Ok(Ok(())));
    let beyond = RedisServer { database: Some(99), ..signing_in("correct-horse", "battery-staple") };
    assert!(matches!(greet(beyond).await, Err(RefusedByRedis::Database { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_sentinel_and_master_are_checked() {
    let certificates = Certificates::make();
    let set = SentinelSet::with_tls(&certificates.ca().with_file_name("server.pem"), &certificates.ca());
    let by_tls = |ca: PathBuf, tls| {
        let urls =
            set.urls().iter().map(|url| url.replace("redis://127.0.0.1", "rediss://localhost")).collect::<Vec<_>>();
        RedisServer { ca: Some(ca), ..by(SentinelDeployment { tls, ..deployment(&urls) }) }
    };
    // A sentinel that has just begun may not have found its master yet.
    eventually("the master", async || greet(by_tls(certificates.ca(), true)).await == Ok(Ok(()))).await;
    for wrong in [by_tls(certificates.other_ca(), true), by_tls(certificates.ca(), false)] {
        let answer = greet(wrong).await;
        assert!(matches!(&answer, Ok(Err(_))), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sentinel_and_whom_none_knows_is_said_at_once() {
    let set = SentinelSet::start();
    let unknown = SentinelDeployment { master: "another".to_owned(), ..deployment(&set.urls()) };
    let refusal = greet(by(unknown.clone())).await.unwrap_err();
    assert_eq!(
        refusal,
        RefusedByRedis::UnknownMaster {
            place: set.urls().join(", ").replace("redis://", ""),
            master: "another".to_owned()
        }
    );
    let redis = Redis::start();
    let refusal = greet(by(deployment(&[redis.url()]))).await.unwrap_err();
    assert_eq!(refusal, RefusedByRedis::NoSentinel { place: redis.address().to_string() });
    let refusal = greet(settings(&set.urls()[0])).await.unwrap_err();
    assert!(matches!(refusal, RefusedByRedis::Sentinel { .. }), "{refusal:?}");
    // One that cannot be asked may know better.
    let mut sentinels = unknown;
    sentinels.sentinels.push(Secret::new("redis://127.0.0.1:1".to_owned()));
    let answer = greet(by(sentinels)).await;
    assert!(matches!(answer, Ok(Err(Unavailable::Failed(_)))), "{answer:?}");
}
