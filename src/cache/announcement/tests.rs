use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::crypto::master_key::MasterKey;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::random::OsRandom;
use crate::domain::user::UserId;
use crate::storage::shared_memory::Silence;
use crate::telemetry::metrics::Metrics;

#[derive(Default)]
struct Wire(Mutex<Vec<Vec<u8>>>);

#[async_trait]
impl Bus for Wire {
    async fn publish(&self, message: Vec<u8>) -> std::result::Result<(), Silence> {
        self.0.lock().push(message);
        Ok(())
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<(String, i64)>>);

impl Forget for Told {
    fn forget(&self, change: &Logged) {
        self.0.lock().push((change.what.to_parts().1.to_owned(), change.epoch.0));
    }
    fn forget_all(&self, _: Epoch) {
        self.0.lock().push(("all".to_owned(), 0));
    }
}

struct Node {
    listener: Listener,
    announcer: Announcer,
    told: Arc<Told>,
    epochs: Arc<Epochs>,
}

fn node(key: &str, name: &str, wire: &Arc<Wire>) -> Node {
    let keys = MasterKeys::from(MasterKey::parse(&key.to_owned().into()).unwrap());
    let metrics = Arc::new(SharedMetrics::register(&Metrics::new().unwrap()).unwrap());
    let seal = SharedSeal::new(Arc::new(keys), Arc::new(OsRandom::new()));
    let channel = Channel::new("portcullis", seal, name, metrics);
    let (told, epochs) = (Arc::new(Told::default()), Arc::new(Epochs::default()));
    let forgetters = Arc::new(Forgetters::new(vec![Arc::clone(&told) as _]));
    let listener = Listener {
        forgetters: Arc::clone(&forgetters),
        epochs: Arc::clone(&epochs),
        channel: channel.clone(),
        wake: Arc::default(),
    };
    let announcer = Announcer { forgetters, channel, bus: Arc::clone(wire) as _, runtime: Handle::current() };
    Node { listener, announcer, told, epochs }
}

fn key() -> String {
    MasterKey::generate(&OsRandom::new()).expose().clone()
}

fn change(id: &str, epoch: i64) -> Logged {
    Logged { epoch: Epoch(epoch), what: Invalidation::User(UserId(id.to_owned())), written_at: None }
}

impl Node {
    fn taken(&self) -> Vec<(String, i64)> {
        std::mem::take(&mut *self.told.0.lock())
    }

    async fn is_woken(&self) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, self.listener.wake.notified()).await.is_ok()
    }
}

async fn sent(wire: &Wire) -> Vec<u8> {
    loop {
        if let Some(message) = wire.0.lock().pop() {
            return message;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_change_is_forgotten_by_all_who_hear_of_it_and_the_log_is_read() {
    let (wire, key) = (Arc::new(Wire::default()), key());
    let (one, other) = (node(&key, "one", &wire), node(&key, "other", &wire));
    Forget::caught_up(other.epochs.as_ref(), Epoch(4));
    one.announcer.heed(&change("anna", 5));
    assert!(wire.0.lock().is_empty(), "a change that is not certain is nobody else's");
    assert_eq!(one.taken(), [("anna".to_owned(), 5)]);
    one.announcer.committed(&[change("anna", 5), change("bert", 6)]);
    let message = sent(&wire).await;
    assert_eq!(other.listener.apply(&message), MessageOutcome::Applied);
    let mut taken = other.taken();
    taken.sort();
    assert_eq!(taken, [("anna".to_owned(), 5), ("bert".to_owned(), 6)]);
    assert!(other.is_woken().await);
    assert_eq!(other.epochs.caught_up(), Some(Epoch(4)), "only the log says how far everything is applied");
    assert_eq!(one.listener.apply(&message), MessageOutcome::Applied);
    assert!(one.taken().is_empty() && one.is_woken().await, "its own message only has the log read");

    Forget::caught_up(other.epochs.as_ref(), Epoch(6));
    for _ in 0..100 {
        assert_eq!(other.listener.apply(&message), MessageOutcome::Known);
    }
    assert!(other.taken().is_empty() && !other.is_woken().await, "played back, it costs nothing");
}

#[tokio::test]
async fn a_message_of_anybody_else_does_nothing_at_all() {
    let (wire, ours) = (Arc::new(Wire::default()), key());
    let (one, stranger) = (node(&ours, "one", &wire), node(&key(), "stranger", &wire));
    stranger.announcer.committed(&[change("anna", 5)]);
    let foreign = sent(&wire).await;
    one.announcer.committed(&[change("anna", 5)]);
    let genuine = sent(&wire).await;
    let mut messages =
        vec![foreign, Vec::new(), b"{\"node\":\"x\",\"changes\":[]}".to_vec(), vec![b'x'; MOST_BYTES + 1]];
    messages.extend((0..genuine.len()).map(|length| genuine[..length].to_vec()));
    messages.extend((0..genuine.len()).map(|position| {
        let mut changed = genuine.clone();
        changed[position] ^= 1;
        changed
    }));
    // Sealed by us, for another place.
    messages.push(one.listener.channel.seal.seal("portcullis:1:users:x", b"{}").unwrap());
    for message in messages {
        assert_eq!(one.listener.apply(&message), MessageOutcome::Rejected);
    }
    assert!(one.taken().is_empty() && !one.is_woken().await);
}

#[tokio::test]
async fn a_message_of_many_changes_is_bounded_and_one_of_an_unknown_kind_has_the_log_read() {
    let (wire, key) = (Arc::new(Wire::default()), key());
    let (one, other) = (node(&key, "one", &wire), node(&key, "other", &wire));
    let many: Vec<_> = (1..=5000).map(|epoch| change(&format!("user {epoch}"), epoch)).collect();
    one.announcer.committed(&many);
    let message = sent(&wire).await;
    assert!(message.len() < MOST_BYTES);
    assert_eq!(other.listener.apply(&message), MessageOutcome::Applied);
    assert_eq!(other.taken().len(), MOST_CHANGES);
    assert!(other.is_woken().await);
    let later = Message { node: "new".to_owned(), changes: vec![(9000, "later".to_owned(), "x".to_owned(), None)] };
    let channel = &one.listener.channel;
    let later = channel.seal.seal(channel.name(), &serde_json::to_vec(&later).unwrap()).unwrap();
    assert_eq!(other.listener.apply(&later), MessageOutcome::Applied);
    assert!(other.taken().is_empty() && other.is_woken().await);
}
