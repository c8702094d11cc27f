use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::cache::Forget;
use crate::crypto::master_key::MasterKey;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::random::OsRandom;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyUsage, Replacement};
use crate::domain::clock::ManualClock;
use crate::domain::digest::Digest;
use crate::domain::invalidation::{Invalidation, Logged};
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use crate::domain::key_terms::{IdleDays, KeyTerms};
use crate::domain::labels::Labels;
use crate::domain::network_set::NetworkSet;
use crate::domain::rate::{Quota, Rate};
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::session::{Session, SessionEnd, SessionId};
use crate::domain::user::{PasswordHash, User, UserId};
use crate::storage::StoreError;
use crate::telemetry::metrics::Metrics;

/// As Redis, without ever forgetting.
#[derive(Default)]
struct Memory {
    values: Mutex<HashMap<String, Vec<u8>>>,
    down: Mutex<Option<Silence>>,
}

#[async_trait]
impl SharedMemory for Memory {
    async fn get(&self, key: &str, _: usize) -> std::result::Result<Option<Vec<u8>>, Silence> {
        match self.down.lock().clone() {
            Some(silence) => Err(silence),
            None => Ok(self.values.lock().get(key).cloned()),
        }
    }

    async fn put(&self, key: &str, value: Vec<u8>, _: Duration) -> std::result::Result<(), Silence> {
        self.values.lock().insert(key.to_owned(), value);
        Ok(())
    }
}

struct World {
    memory: Arc<Memory>,
    clock: Arc<ManualClock>,
    metrics: Arc<Metrics>,
    key: String,
}

/// One of the processes that share a memory.
struct Node {
    level: SecondLevel,
    epochs: Arc<Epochs>,
    metrics: Arc<Metrics>,
}

const MAX_AGE: Duration = Duration::from_secs(5);

impl World {
    fn new() -> Self {
        Self {
            memory: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_secs(1000))),
            metrics: Arc::new(Metrics::new().unwrap()),
            key: MasterKey::generate(&OsRandom::new()).expose().clone(),
        }
    }

    fn node(&self) -> Node {
        self.node_with(&self.key, "portcullis")
    }

    fn node_with(&self, key: &str, prefix: &str) -> Node {
        let keys = MasterKeys::from(MasterKey::parse(&key.to_owned().into()).unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let epochs = Arc::new(Epochs::default());
        let shared = Shared {
            memory: Arc::clone(&self.memory) as _,
            seal: SharedSeal::new(Arc::new(keys), Arc::new(OsRandom::new())),
            epochs: Arc::clone(&epochs),
            prefix: prefix.into(),
            metrics: Arc::new(SharedMetrics::register(&metrics).unwrap()),
        };
        let surroundings = Surroundings {
            clock: Arc::clone(&self.clock) as _,
            metrics: Arc::clone(&self.metrics),
            runtime: Handle::current(),
        };
        Forget::caught_up(epochs.as_ref(), Epoch(0));
        Node { level: SecondLevel::new(shared, MAX_AGE, surroundings), epochs, metrics }
    }

    fn only_value(&self) -> (String, Vec<u8>) {
        let values = self.memory.values.lock();
        assert_eq!(values.len(), 1, "{values:?}");
        values.iter().next().map(|(name, value)| (name.clone(), value.clone())).unwrap()
    }
}

impl Node {
    /// `None` when it had to ask the store, which then says this.
    async fn shared(&self, id: &str, stored: Option<User>) -> Option<User> {
        let asked = Mutex::new(false);
        let store = async {
            *asked.lock() = true;
            Ok(stored.map(Arc::new))
        };
        let loaded = self.level.find::<User, _>(id, store).await.unwrap();
        // What is left for others is left beside the answer.
        tokio::task::yield_now().await;
        (!*asked.lock()).then(|| User::clone(&loaded.known.unwrap()))
    }

    fn tell(&self, id: &str, epoch: i64) {
        let what = Invalidation::User(UserId(id.to_owned()));
        self.epochs.forget(&Logged { epoch: Epoch(epoch), what, written_at: None });
    }

    fn apply(&self, id: &str, epoch: i64) {
        self.tell(id, epoch);
        Forget::caught_up(self.epochs.as_ref(), Epoch(epoch));
    }

    fn counted(&self, outcome: &str) -> bool {
        let text = String::from_utf8(self.metrics.render()).unwrap();
        let line = format!("portcullis_shared_cache_lookups_total{{cache=\"users\",outcome=\"{outcome}\"}} 0");
        !text.contains(&line)
    }
}

fn user(id: &str) -> User {
    let at = Timestamp::from_secs(7);
    User {
        id: UserId(id.to_owned()),
        username: format!("name of {id}"),
        email: "anna@example.org".to_owned(),
        first_name: "Anna".to_owned(),
        last_name: String::new(),
        is_active: true,
        is_admin: false,
        roles: RoleSet::parse("clerk").unwrap(),
        scopes: ScopeSet::parse("a:b c").unwrap(),
        password: PasswordHash::new("$argon2id$hunter2".to_owned()),
        created_at: at,
        password_changed_at: at,
        tokens_valid_from: Some(at),
        last_sign_in_at: None,
        has_second_factor: true,
    }
}

fn without_password(user: User) -> User {
    User { password: PasswordHash::unusable(), ..user }
}

#[tokio::test]
async fn what_one_node_has_read_the_others_need_not() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    assert_eq!(one.shared("1", Some(user("1"))).await, None);
    assert_eq!(other.shared("1", None).await, Some(without_password(user("1"))));
    assert_eq!(other.shared("2", Some(user("2"))).await, None, "another name");
    assert!(one.counted("miss") && other.counted("hit") && !other.counted("corrupt"));
}

#[tokio::test]
async fn nothing_is_shared_that_tells_a_reader_anything() {
    let world = World::new();
    world.node().shared("1", Some(user("1"))).await;
    let (name, value) = world.only_value();
    assert!(name.starts_with("portcullis:1:users:") && name.len() == "portcullis:1:users:".len() + 64, "{name}");
    for secret in ["hunter2", "anna", "Anna", "name of"] {
        assert!(!value.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
}

#[tokio::test]
async fn an_absence_is_not_shared_and_a_failed_store_leaves_nothing() {
    let world = World::new();
    let node = world.node();
    assert_eq!(node.shared("1", None).await, None);
    let down = async { Err::<Option<Arc<User>>, _>(StoreError::Unavailable("down".to_owned())) };
    assert!(node.level.find("1", down).await.is_err());
    tokio::task::yield_now().await;
    assert!(world.memory.values.lock().is_empty());
}

#[tokio::test]
async fn what_was_changed_since_is_not_believed_wherever_it_comes_from() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    one.shared("1", Some(user("1"))).await;
    let before = world.only_value();
    // Told by a message, by a change of its own, or by the log: the memory still holds what was before.
    other.tell("1", 1);
    assert_eq!(other.shared("1", Some(user("1"))).await, None);
    assert!(other.counted("outdated"));
    assert_eq!(world.only_value(), before, "what may be from before the change is not left for others");
    other.apply("1", 1);
    let disabled = User { is_active: false, ..user("1") };
    assert_eq!(other.shared("1", Some(disabled.clone())).await, None);
    assert_eq!(other.shared("1", None).await, Some(without_password(disabled.clone())));
    // A slow reader, or somebody who has kept it, puts back what was before.
    world.memory.values.lock().insert(before.0.clone(), before.1.clone());
    assert_eq!(other.shared("1", Some(disabled.clone())).await, None);
    // One that starts only now has never heard of the change.
    world.memory.values.lock().insert(before.0, before.1);
    let third = world.node();
    third.epochs.forget_all(Epoch(1));
    Forget::caught_up(third.epochs.as_ref(), Epoch(1));
    assert_eq!(third.shared("1", Some(disabled)).await, None);
}

#[tokio::test]
async fn a_session_is_void_with_its_user() {
    let world = World::new();
    let node = world.node();
    let session = session();
    let find = async |stored: Option<Session>| {
        let store = async { Ok(stored.map(Arc::new)) };
        let found = node.level.find::<Session, _>("s", store).await.unwrap().known;
        tokio::task::yield_now().await;
        found.map(|session| Session::clone(&session))
    };
    assert_eq!(find(Some(session.clone())).await, Some(session.clone()));
    assert_eq!(find(None).await, Some(session));
    node.apply("u", 1);
    assert_eq!(find(None).await, None);
}

#[tokio::test]
async fn a_record_is_no_older_than_it_may_be_and_not_from_the_future() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    one.shared("1", Some(user("1"))).await;
    world.clock.advance(Duration::from_secs(4));
    let store = async { Ok(None) };
    let loaded = other.level.find::<User, _>("1", store).await.unwrap();
    assert_eq!(loaded.read_at, Some(Timestamp::from_secs(1000)), "what remembers it next counts from there");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(other.shared("1", None).await, None);
    world.clock.set(Timestamp::from_secs(990));
    assert_eq!(other.shared("1", None).await, None);
    world.clock.set(Timestamp::from_secs(999));
    assert!(other.shared("1", None).await.is_some(), "clocks are never quite the same");
}

#[tokio::test]
async fn a_record_from_ahead_of_the_log_is_not_believed_yet() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    Forget::caught_up(one.epochs.as_ref(), Epoch(7));
    one.shared("1", Some(user("1"))).await;
    assert_eq!(other.shared("1", None).await, None);
    Forget::caught_up(other.epochs.as_ref(), Epoch(7));
    assert!(other.shared("1", None).await.is_some());
}

#[tokio::test]
async fn what_somebody_else_has_written_is_as_if_nothing_were() {
    let world = World::new();
    let node = world.node();
    node.shared("1", Some(user("1"))).await;
    let (name, sealed) = world.only_value();
    node.shared("2", Some(user("2"))).await;
    let another = world.memory.values.lock().iter().find(|(n, _)| **n != name).map(|(_, v)| v.clone()).unwrap();
    let plain = serde_json::to_vec(&Written { epoch: 0, read_at: 1_000_000_000, record: user("1").write() }).unwrap();
    let of_no_record = node.level.seal.seal(&name, b"{\"epoch\":0,\"read_at\":1000000000,\"record\":{}}").unwrap();
    let mut values = vec![another, plain, of_no_record, Vec::new(), vec![0; 100], vec![b'x'; MOST_BYTES + 1]];
    values.extend((0..sealed.len()).map(|length| sealed[..length].to_vec()));
    values.extend((0..sealed.len()).map(|position| {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        changed
    }));
    for value in values {
        world.memory.values.lock().insert(name.clone(), value);
        assert_eq!(node.shared("1", None).await, None);
    }
    assert!(node.counted("corrupt"));
    *world.memory.down.lock() = Some(Silence::Refused("WRONGTYPE".to_owned()));
    assert_eq!(node.shared("1", None).await, None);
    *world.memory.down.lock() = Some(Silence::Unavailable("down".to_owned()));
    assert_eq!(node.shared("1", Some(user("1"))).await, None);
    assert!(node.counted("error"));
}

#[tokio::test]
async fn installations_that_share_a_redis_share_nothing_else() {
    let world = World::new();
    world.node().shared("1", Some(user("1"))).await;
    let (_, sealed) = world.only_value();
    let other_key = MasterKey::generate(&OsRandom::new()).expose().clone();
    for stranger in [world.node_with(&other_key, "portcullis"), world.node_with(&world.key, "staging")] {
        assert_eq!(stranger.shared("1", None).await, None);
        // Nor by a copy to where it would look.
        stranger.shared("1", Some(user("1"))).await;
        for value in world.memory.values.lock().values_mut() {
            value.clone_from(&sealed);
        }
        assert_eq!(stranger.shared("1", None).await, None);
        assert!(stranger.counted("corrupt"));
    }
}

#[tokio::test]
async fn nothing_is_asked_before_the_log_was_read() {
    let world = World::new();
    let node = world.node();
    node.epochs.forget_all(Epoch(0));
    assert_eq!(node.shared("1", Some(user("1"))).await, None);
    assert!(world.memory.values.lock().is_empty() && !node.counted("miss"));
}

fn session() -> Session {
    let at = Timestamp::from_secs;
    Session {
        id: SessionId("s".to_owned()),
        user_id: UserId("u".to_owned()),
        counter: 3,
        rotated_at: at(1),
        created_at: at(2),
        last_used_at: at(3),
        expires_at: at(4),
        ended: Some((at(5), SessionEnd::Logout)),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        client_address: "::1".to_owned(),
        user_agent: "\u{0}\u{1f600}".to_owned(),
    }
}

fn api_key() -> ApiKey {
    let at = Timestamp::from_secs;
    ApiKey {
        id: ApiKeyId("k".to_owned()),
        prefix: "abcdefgh".to_owned(),
        digest: Digest([7; 32]),
        name: "robot".to_owned(),
        owner: KeyOwner::User(UserId("u".to_owned())),
        scopes: ScopeSet::parse("x y").unwrap(),
        created_at: at(1),
        expires_at: Some(at(2)),
        revoked: Some((at(3), "lost".to_owned())),
        replaced: Some(Replacement { by: ApiKeyId("l".to_owned()), at: Some((at(4), 5)) }),
        terms: KeyTerms {
            reach: KeyReach {
                networks: NetworkSet::parse("192.0.2.0/24 2001:db8::/32").unwrap(),
                routes: RouteNames::parse("GET /a/\nall").unwrap(),
                methods: MethodNames::parse("GET POST").unwrap(),
            },
            idle: IdleDays::new(30),
            rate: Rate::parse("5/second burst 7").ok(),
            quota: Quota::parse("9/month").ok(),
            labels: Labels::new([("team", "a b")]).unwrap(),
        },
        usage: KeyUsage { last_at: Some(at(6)), count: 8 },
    }
}

fn round_trip<R: Shareable>(record: &R) -> Option<R> {
    let text = serde_json::to_vec(&record.write()).unwrap();
    R::read(serde_json::from_slice(&text).unwrap())
}

#[test]
fn every_field_but_the_password_comes_back() {
    let key = api_key();
    let service = ApiKey {
        owner: KeyOwner::Service("robot".to_owned()),
        revoked: None,
        expires_at: None,
        replaced: None,
        terms: KeyTerms::default(),
        ..key.clone()
    };
    for key in [key, service] {
        assert_eq!(round_trip(&key), Some(key));
    }
    let live = Session { ended: None, ..session() };
    for session in [session(), live] {
        assert_eq!(round_trip(&session), Some(session));
    }
    assert_eq!(round_trip(&user("1")), Some(without_password(user("1"))));
}

proptest! {
    /// Even under the seal: a record that was written by mistake is refused or read, and never brings anybody down.
    #[test]
    fn no_text_breaks_the_reading(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fn read<R: Shareable>(bytes: &[u8]) {
            if let Ok(written) = serde_json::from_slice::<Written<R::Written>>(bytes) {
                let _ = R::read(written.record);
            }
        }
        for bytes in [text.as_bytes(), &bytes] {
            read::<User>(bytes);
            read::<Session>(bytes);
            read::<ApiKey>(bytes);
        }
    }

    #[test]
    fn a_record_with_a_changed_byte_is_refused_or_is_one(position in 0_usize..400, byte: u8) {
        let mut text = serde_json::to_vec(&session().write()).unwrap();
        if let Some(slot) = text.get_mut(position) {
            *slot = byte;
        }
        if let Ok(written) = serde_json::from_slice(&text) {
            let _ = <Session as Shareable>::read(written);
        }
    }
}
