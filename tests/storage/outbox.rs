//! What is promised of the outbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::clock::Timestamp;
use portcullis::domain::mail::{MailId, MailKind, OutboxEntry};

use crate::{World, at, odd_texts};

const LEASE: Duration = Duration::from_secs(300);

fn id(text: &str) -> MailId {
    MailId::parse(text).unwrap()
}

pub fn mail(text: &str, since: Timestamp) -> OutboxEntry {
    OutboxEntry::new(id(text), MailKind::PasswordReset, (0..=255).collect(), since)
}

async fn enqueue(world: &World, text: &str, since: Timestamp) -> OutboxEntry {
    let entry = mail(text, since);
    world.outbox.enqueue(&entry).await.unwrap();
    entry
}

async fn claimed(world: &World, now: Timestamp, limit: u32) -> Vec<String> {
    let entries = world.outbox.claim(now, LEASE, limit).await.unwrap();
    entries.into_iter().map(|entry| entry.id.to_string()).collect()
}

pub async fn entries_come_back_as_they_were_stored(world: &World) {
    for (number, kind) in MailKind::ALL.into_iter().enumerate() {
        let entry = OutboxEntry { kind, attempts: 7, ..mail(&number.to_string(), at(0)) };
        world.outbox.enqueue(&entry).await.unwrap();
        let found = world.outbox.claim(at(0), LEASE, 9).await.unwrap();
        assert_eq!(found, [OutboxEntry { next_attempt_at: at(300), ..entry }]);
    }
    assert_eq!(world.outbox.count().await.unwrap(), MailKind::ALL.len() as u64);
    assert!(world.outbox.enqueue(&mail("0", at(0))).await.is_err(), "the same mail twice");
}

pub async fn an_entry_is_claimed_when_its_time_has_come_and_again_when_the_lease_is_over(world: &World) {
    enqueue(world, "later", at(10)).await;
    enqueue(world, "now", at(0)).await;
    assert_eq!(claimed(world, at(9), 9).await, ["now"]);
    assert_eq!(claimed(world, at(9), 9).await, [""; 0]);
    assert_eq!(claimed(world, at(308), 9).await, ["later"]);
    assert_eq!(claimed(world, at(309), 9).await, ["now"], "whoever had it never came back");
}

pub async fn the_longest_waiting_are_claimed_first(world: &World) {
    for (text, since) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
        enqueue(world, text, at(since)).await;
    }
    assert_eq!(claimed(world, at(9), 3).await, ["a", "b", "c"]);
    assert_eq!(claimed(world, at(9), 3).await, ["d"]);
}

pub async fn each_entry_goes_to_one_of_many_claimants(world: &World) {
    let all: BTreeSet<String> = (0..40).map(|number| format!("mail-{number}")).collect();
    for text in &all {
        enqueue(world, text, at(0)).await;
    }
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let outbox = Arc::clone(&world.outbox);
            tokio::spawn(async move { outbox.claim(at(1), LEASE, 5).await.unwrap() })
        })
        .collect();
    let mut found = Vec::new();
    for task in tasks {
        found.extend(task.await.unwrap().into_iter().map(|entry| entry.id.to_string()));
    }
    // Who meets others at the same entries may come back with fewer than there are, and gets the rest the next time.
    loop {
        let more = claimed(world, at(1), 40).await;
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    assert_eq!(found.len(), 40, "none goes to two");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all);
}

pub async fn what_is_done_or_given_up_is_gone(world: &World) {
    for text in ["sent", "lost", "left"] {
        enqueue(world, text, at(0)).await;
    }
    world.outbox.done(&id("sent")).await.unwrap();
    world.outbox.give_up(&id("lost")).await.unwrap();
    world.outbox.done(&id("sent")).await.unwrap();
    world.outbox.retry(&id("sent"), at(1), "too late").await.unwrap();
    assert_eq!(claimed(world, at(1), 9).await, ["left"]);
    assert_eq!(world.outbox.count().await.unwrap(), 1);
}

pub async fn what_failed_comes_back_at_its_time_and_tells_why(world: &World) {
    let entry = enqueue(world, "a", at(0)).await;
    let mut expected = entry.clone();
    for (number, error) in odd_texts().into_iter().enumerate() {
        let now = at(i64::try_from(number).unwrap() * 400);
        assert_eq!(claimed(world, now, 9).await, ["a"]);
        world.outbox.retry(&entry.id, now.plus(LEASE), &error).await.unwrap();
        assert_eq!(claimed(world, now.plus(Duration::from_secs(299)), 9).await, [""; 0]);
        let again = world.outbox.claim(now.plus(LEASE), Duration::ZERO, 9).await.unwrap();
        expected.attempts += 1;
        (expected.next_attempt_at, expected.last_error) = (now.plus(LEASE), Some(error));
        assert_eq!(again, [expected.clone()]);
    }
}

pub async fn an_entry_is_replaced_in_one_step_or_not_at_all(world: &World) {
    enqueue(world, "request", at(0)).await;
    let reset = mail("reset", at(5));
    assert!(world.outbox.replace(&id("request"), &reset).await.unwrap());
    assert!(!world.outbox.replace(&id("request"), &mail("second", at(5))).await.unwrap(), "another was faster");
    assert_eq!(claimed(world, at(5), 9).await, ["reset"]);

    enqueue(world, "other", at(0)).await;
    assert!(world.outbox.replace(&id("other"), &reset).await.is_err(), "its place is taken");
    assert_eq!(claimed(world, at(5), 9).await, ["other"], "and nothing is half done");
}

pub async fn entries_are_listed_in_pages_and_sealed_anew(world: &World) {
    for name in ["c", "a", "b"] {
        enqueue(world, name, at(0)).await;
    }
    let first = world.outbox.list(None, 2).await.unwrap();
    let second = world.outbox.list(Some(&first[1].id), 2).await.unwrap();
    let names: Vec<&str> = first.iter().chain(&second).map(|entry| entry.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let (entry, before) = (&first[0], &first[0].sealed);
    assert!(!world.outbox.reseal(&entry.id, b"something else", b"new").await.unwrap());
    assert!(world.outbox.reseal(&entry.id, before, b"new").await.unwrap());
    assert!(!world.outbox.reseal(&entry.id, before, b"newer").await.unwrap());
    let resealed = world.outbox.list(None, 1).await.unwrap();
    assert_eq!(resealed, [OutboxEntry { sealed: b"new".to_vec(), ..entry.clone() }]);
}

pub async fn mail_goes_with_its_change_and_not_without_it(world: &World) {
    let anna = crate::users::insert(world, "anna").await;
    let (first, second) = (mail("first", at(1)), mail("second", at(2)));
    let with_mail = crate::change().mailing(vec![first.clone(), second]);
    let nobody = portcullis::domain::user::UserId("nobody".to_owned());
    assert!(!world.users.set_active(&nobody, false, at(3), &with_mail).await.unwrap());
    assert_eq!(world.outbox.count().await.unwrap(), 0, "there was no change");
    assert!(world.users.set_active(&anna.id, false, at(3), &with_mail).await.unwrap());
    assert_eq!(claimed(world, at(3), 9).await, ["first", "second"]);

    let again = crate::change().mailing(vec![mail("third", at(4)), first]);
    assert!(world.users.set_active(&anna.id, true, at(5), &again).await.is_err(), "the same mail twice");
    assert!(!world.users.find(&anna.id).await.unwrap().unwrap().is_active, "and so there is no change either");
    assert_eq!(world.outbox.count().await.unwrap(), 2);
}
