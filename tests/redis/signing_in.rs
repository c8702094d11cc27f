//! Ways to sign in at Redis: an ACL user, and TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::backends::redis::{RedisBus, RedisMemory, RedisPool, RedisServer, RefusedByRedis, Unavailable};
use portcullis::crypto::random::OsRandom;
use portcullis::domain::secret::Secret;
use portcullis::storage::shared_memory::{Bus as _, Hear, SharedMemory as _, Silence};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::certificates::Certificates;
use crate::pool::settings;
use crate::server::Redis;

async fn greet(settings: RedisServer) -> Result<Result<(), Unavailable>, RefusedByRedis> {
    RedisPool::new(settings, Handle::current())?.greet().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_acl_may_do_what_is_needed_and_a_stranger_nothing() {
    // What the documentation says to allow.
    let allowed = "portcullis on >correct-horse ~portcullis:* &portcullis:* +get +getrange +set +del +time +ping +publish \
                   +subscribe +hello +auth +select +eval +evalsha +script|load";
    let redis = Redis::start();
    redis.cli(&[&["ACL", "SETUSER"], allowed.split_ascii_whitespace().collect::<Vec<_>>().as_slice()].concat());
    redis.cli(&["ACL", "SETUSER", "default", "off"]);
    let by = |name: &str, password: &str| RedisServer {
        username: Some(name.to_owned()),
        password: Some(Secret::new(password.to_owned())),
        ..settings(&redis.url())
    };
    assert_eq!(greet(by("portcullis", "correct-horse")).await, Ok(Ok(())));
    does_all(RedisPool::new(by("portcullis", "correct-horse"), Handle::current()).unwrap()).await;
    for (name, password) in [("portcullis", "wrong-pony"), ("nobody", "wrong-pony"), ("default", "wrong-pony")] {
        let refusal = greet(by(name, password)).await.unwrap_err();
        assert!(matches!(refusal, RefusedByRedis::SignIn { .. }) && !refusal.to_string().contains("pony"), "{refusal}");
    }
}

/// Everything that the gateway does there.
async fn does_all(pool: RedisPool) {
    #[derive(Default)]
    struct Ear(AtomicUsize, AtomicUsize);
    impl Hear for Ear {
        fn heard(&self, message: &[u8]) {
            assert_eq!(message, b"hello");
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        fn connected(&self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        fn disconnected(&self) {}
    }
    let memory = RedisMemory::new(pool.clone());
    assert_eq!(memory.get("portcullis:x", 10).await, Ok(None));
    memory.put("portcullis:x", b"0123456789abcdef".to_vec(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(memory.get("portcullis:x", 10).await, Ok(Some(b"0123456789a".to_vec())), "one more than is of use");
    assert!(matches!(memory.get("others:x", 10).await, Err(Silence::Refused(_))));
    let bus = RedisBus::new(pool, "portcullis:channel");
    let ear = Arc::new(Ear::default());
    let (_end, ended) = watch::channel(false);
    tokio::spawn(bus.clone().listen(Arc::clone(&ear) as _, Arc::new(OsRandom::new()), ended));
    until(|| ear.1.load(Ordering::SeqCst) == 1).await;
    bus.publish(b"hello".to_vec()).await.unwrap();
    until(|| ear.0.load(Ordering::SeqCst) == 1).await;
}

async fn until(come: impl Fn() -> bool) {
    for _ in 0..500 {
        if come() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked() {
    let certificates = Certificates::make();
    let server = certificates.ca().with_file_name("server.pem").display().to_string();
    let tls = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &server, "--tls-key-file", &server];
    let redis = Redis::with(&[tls.as_slice(), &files].concat());
    let by = |host: &str, ca| RedisServer { ca, ..settings(&format!("rediss://{host}:{}", redis.address().port())) };
    assert_eq!(greet(by("localhost", Some(certificates.ca()))).await, Ok(Ok(())));
    for wrong in [by("localhost", Some(certificates.other_ca())), by("localhost", None)] {
        let answer = greet(wrong).await;
        assert!(matches!(&answer, Ok(Err(Unavailable::Failed(_)))), "{answer:?}");
    }
    let missing = greet(by("localhost", Some("/nonexistent".into()))).await;
    assert!(matches!(missing, Err(RefusedByRedis::Certificates { .. })), "{missing:?}");
    let plain = greet(settings(&format!("redis://localhost:{}", redis.address().port()))).await;
    assert!(matches!(plain, Ok(Err(_))), "{plain:?}");
}
