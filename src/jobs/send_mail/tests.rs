use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::mail::{MailId, MailKind, Message, Subject};
use crate::domain::secret::Secret;
use crate::domain::user::Email;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Keeps the promises of the outbox in memory.
#[derive(Default)]
struct Shelf {
    entries: Mutex<BTreeMap<String, OutboxEntry>>,
    /// Whose `done` fails.
    stuck: Mutex<Option<String>>,
}

#[async_trait]
impl Outbox for Shelf {
    async fn enqueue(&self, entry: &OutboxEntry) -> Result<()> {
        self.entries.lock().unwrap().insert(entry.id.to_string(), entry.clone());
        Ok(())
    }
    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<OutboxEntry>> {
        let mut entries = self.entries.lock().unwrap();
        let due = entries.values_mut().filter(|entry| entry.next_attempt_at <= now).take(limit as usize);
        Ok(due
            .map(|entry| {
                entry.next_attempt_at = now.plus(lease);
                entry.clone()
            })
            .collect())
    }
    async fn done(&self, id: &MailId) -> Result<()> {
        if self.stuck.lock().unwrap().as_deref() == Some(id.as_str()) {
            return Err(StoreError::Unavailable("disk full".to_owned()));
        }
        self.entries.lock().unwrap().remove(id.as_str());
        Ok(())
    }
    async fn replace(&self, id: &MailId, next: &OutboxEntry) -> Result<bool> {
        let gone = self.entries.lock().unwrap().remove(id.as_str()).is_some();
        if gone {
            self.enqueue(next).await?;
        }
        Ok(gone)
    }
    async fn retry(&self, id: &MailId, at: Timestamp, error: &str) -> Result<()> {
        if let Some(entry) = self.entries.lock().unwrap().get_mut(id.as_str()) {
            (entry.attempts, entry.next_attempt_at, entry.last_error) =
                (entry.attempts + 1, at, Some(error.to_owned()));
        }
        Ok(())
    }
    async fn give_up(&self, id: &MailId) -> Result<()> {
        self.entries.lock().unwrap().remove(id.as_str());
        Ok(())
    }
    async fn list(&self, _: Option<&MailId>, _: u32) -> Result<Vec<OutboxEntry>> {
        Ok(self.entries.lock().unwrap().values().cloned().collect())
    }
    async fn reseal(&self, _: &MailId, _: &[u8], _: &[u8]) -> Result<bool> {
        Ok(false)
    }
    async fn count(&self) -> Result<u64> {
        Ok(self.entries.lock().unwrap().len() as u64)
    }
}

/// What is sealed says what becomes of it.
struct Opener;

#[async_trait]
impl Outgoing for Opener {
    async fn prepare(&self, entry: &OutboxEntry) -> std::result::Result<Prepared, PrepareError> {
        match std::str::from_utf8(&entry.sealed).unwrap() {
            "nobody" => Ok(Prepared::Drop),
            "request" => {
                let id = MailId::parse(&format!("{}-reset", entry.id)).unwrap();
                Ok(Prepared::Replace(OutboxEntry::new(id, MailKind::PasswordReset, b"hello".to_vec(), START)))
            }
            "locked" => Err(PrepareError::Temporary("another key".to_owned())),
            "damaged" => Err(PrepareError::Permanent("damaged".to_owned())),
            text => Ok(Prepared::Send(Message {
                to: Email::parse("anna@example.org").unwrap(),
                subject: Subject::new("Hello"),
                text: Secret::new(text.to_owned()),
                html: None,
            })),
        }
    }
}

#[derive(Default)]
struct Postman {
    answers: Mutex<Vec<std::result::Result<(), CarryError>>>,
    carried: Mutex<Vec<String>>,
    hangs: bool,
}

#[async_trait]
impl MailCarrier for Postman {
    async fn carry(&self, message: &Message, id: &MailId, date: Timestamp) -> std::result::Result<(), CarryError> {
        assert_eq!((date, message.text.expose().as_str()), (START, "hello"));
        self.carried.lock().unwrap().push(id.to_string());
        if self.hangs {
            std::future::pending::<()>().await;
        }
        // So that the others of this claim get their turn in between.
        tokio::task::yield_now().await;
        self.answers.lock().unwrap().pop().unwrap_or(Ok(()))
    }
}

struct Always(u8);
impl Random for Always {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

struct World {
    shelf: Arc<Shelf>,
    postman: Arc<Postman>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new(postman: Postman) -> Self {
        Self { shelf: Arc::default(), postman: Arc::new(postman), clock: Arc::new(ManualClock::at(START)) }
    }

    fn job(&self) -> SendMail {
        SendMail {
            outbox: Arc::clone(&self.shelf) as _,
            outgoing: Arc::new(Opener),
            carrier: Arc::clone(&self.postman) as _,
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(Always(255)),
        }
    }

    async fn enqueue(&self, id: &str, kind: MailKind, content: &str) {
        let entry = OutboxEntry::new(MailId::parse(id).unwrap(), kind, content.as_bytes().to_vec(), START);
        self.shelf.enqueue(&entry).await.unwrap();
    }

    async fn run(&self) -> Tally {
        self.job().run_once().await.unwrap()
    }

    fn carried(&self) -> Vec<String> {
        let mut carried = std::mem::take(&mut *self.postman.carried.lock().unwrap());
        carried.sort();
        carried
    }

    fn waiting(&self, id: &str) -> OutboxEntry {
        self.shelf.entries.lock().unwrap()[id].clone()
    }

    fn answer(&self, answer: std::result::Result<(), CarryError>) {
        self.postman.answers.lock().unwrap().push(answer);
    }
}

fn not_now() -> std::result::Result<(), CarryError> {
    Err(CarryError::Temporary("not\r\nnow".to_owned()))
}

#[tokio::test]
async fn what_waits_is_sent_once() {
    let world = World::new(Postman::default());
    for number in 0..20 {
        world.enqueue(&format!("mail-{number}"), MailKind::PasswordChanged, "hello").await;
    }
    assert_eq!(world.run().await, Tally { sent: 20, ..Tally::default() });
    assert_eq!(world.carried().len(), 20);
    assert_eq!(world.run().await, Tally::default());
    assert_eq!((world.carried().len(), world.shelf.count().await.unwrap()), (0, 0));
}

#[tokio::test]
async fn without_a_way_to_send_it_a_mail_is_dropped_and_not_tried_again() {
    let world = World::new(Postman::default());
    world.enqueue("a", MailKind::PasswordReset, "hello").await;
    world.answer(Err(CarryError::NoTransport));
    assert_eq!(world.run().await, Tally { unsendable: 1, ..Tally::default() });
    assert_eq!(world.shelf.count().await.unwrap(), 0);
    assert_eq!(world.run().await, Tally::default());
}

#[tokio::test]
async fn two_nodes_do_not_send_the_same() {
    let world = World::new(Postman::default());
    for number in 0..50 {
        world.enqueue(&format!("mail-{number}"), MailKind::PasswordChanged, "hello").await;
    }
    let (one, two) = tokio::join!(world.run(), world.run());
    assert_eq!(one.sent + two.sent, 50);
    let mut carried = world.carried();
    carried.dedup();
    assert_eq!(carried.len(), 50);
}

#[tokio::test]
async fn what_fails_for_now_is_tried_again_later_and_later() {
    let world = World::new(Postman::default());
    world.enqueue("a", MailKind::PasswordChanged, "hello").await;
    for (failures, pause) in [(1, 30), (2, 60), (3, 120)] {
        world.answer(not_now());
        assert_eq!(world.run().await, Tally { put_off: 1, ..Tally::default() });
        let entry = world.waiting("a");
        assert_eq!((entry.attempts, entry.last_error.as_deref()), (failures, Some("not  now")));
        let wait = entry.next_attempt_at.since(world.clock.now());
        assert!(wait <= Duration::from_secs(pause) && wait > Duration::from_secs(pause - 1), "{wait:?}");
        world.clock.advance(wait - Duration::from_micros(1));
        assert_eq!(world.run().await, Tally::default());
        world.clock.advance(Duration::from_micros(1));
    }
    assert_eq!(world.run().await, Tally { sent: 1, ..Tally::default() });
    assert_eq!(world.carried().len(), 4);
}

#[tokio::test]
async fn what_fails_for_good_is_given_up_at_once() {
    let world = World::new(Postman::default());
    world.enqueue("a", MailKind::PasswordChanged, "hello").await;
    world.answer(Err(CarryError::Permanent("no such user".to_owned())));
    assert_eq!(world.run().await, Tally { given_up: 1, ..Tally::default() });
    assert_eq!(world.shelf.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_link_is_not_sent_after_its_end() {
    let world = World::new(Postman::default());
    world.enqueue("link", MailKind::PasswordReset, "hello").await;
    world.enqueue("notice", MailKind::PasswordChanged, "hello").await;
    world.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(world.run().await, Tally { sent: 1, given_up: 1, ..Tally::default() });
    assert_eq!(world.carried(), ["notice"]);
    assert_eq!(world.shelf.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_link_is_given_up_when_the_next_attempt_would_be_too_late() {
    let world = World::new(Postman::default());
    world.enqueue("link", MailKind::PasswordReset, "hello").await;
    world.clock.advance(Duration::from_secs(30 * 60 - 20));
    world.answer(not_now());
    assert_eq!(world.run().await, Tally { given_up: 1, ..Tally::default() });
    assert_eq!((world.carried().len(), world.shelf.count().await.unwrap()), (1, 0));
}

#[tokio::test]
async fn what_a_node_took_to_its_grave_comes_back_when_the_lease_is_over() {
    let world = World::new(Postman::default());
    world.enqueue("a", MailKind::PasswordChanged, "hello").await;
    assert_eq!(world.shelf.claim(START, LEASE, BATCH).await.unwrap().len(), 1);
    world.clock.advance(LEASE - Duration::from_micros(1));
    assert_eq!(world.run().await, Tally::default());
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(world.run().await, Tally { sent: 1, ..Tally::default() });
}

#[tokio::test]
async fn a_request_becomes_a_mail_or_nothing_in_the_same_run() {
    let world = World::new(Postman::default());
    world.enqueue("known", MailKind::PasswordResetRequest, "request").await;
    world.enqueue("unknown", MailKind::PasswordResetRequest, "nobody").await;
    assert_eq!(world.run().await, Tally { sent: 1, replaced: 1, dropped: 1, ..Tally::default() });
    assert_eq!(world.carried(), ["known-reset"]);
    assert_eq!(world.shelf.count().await.unwrap(), 0);
}

#[tokio::test]
async fn what_cannot_be_opened_is_put_off_or_given_up() {
    let world = World::new(Postman::default());
    world.enqueue("locked", MailKind::PasswordReset, "locked").await;
    world.enqueue("damaged", MailKind::PasswordReset, "damaged").await;
    assert_eq!(world.run().await, Tally { put_off: 1, given_up: 1, ..Tally::default() });
    assert_eq!(world.waiting("locked").last_error.as_deref(), Some("another key"));
    assert_eq!((world.carried().len(), world.shelf.count().await.unwrap()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_hangs_is_cut_off_before_the_lease_is_over() {
    let world = World::new(Postman { hangs: true, ..Postman::default() });
    world.enqueue("a", MailKind::PasswordChanged, "hello").await;
    world.enqueue("b", MailKind::PasswordChanged, "hello").await;
    let before = tokio::time::Instant::now();
    assert_eq!(world.run().await, Tally { put_off: 2, ..Tally::default() });
    assert!(before.elapsed() < LEASE, "side by side");
}

#[tokio::test]
async fn a_store_that_fails_over_one_does_not_keep_the_others() {
    let world = World::new(Postman::default());
    for id in ["a", "b", "c"] {
        world.enqueue(id, MailKind::PasswordChanged, "hello").await;
    }
    *world.shelf.stuck.lock().unwrap() = Some("a".to_owned());
    assert!(world.job().run_once().await.is_err());
    assert_eq!(world.carried(), ["a", "b", "c"]);
    assert_eq!(world.shelf.count().await.unwrap(), 1, "it is sent twice rather than never");
}
