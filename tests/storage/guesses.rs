//! What is promised of the counting of guesses.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::audit::{AuditAction, AuditQuery};
use portcullis::domain::client_network::ClientNetwork;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::lockout::{Lockout, LockoutPolicy};
use portcullis::domain::user::UserId;
use portcullis::storage::guesses::{Extent, Forgiveness, Reserved};

use crate::{World, at, change, change_of, odd_names};

/// Three are free, then ten seconds and more; ten in all, forgotten after a thousand seconds.
pub const POLICY: LockoutPolicy = LockoutPolicy {
    free: 3,
    delay: Duration::from_secs(10),
    max_delay: Duration::from_secs(40),
    max_failures: 10,
    window: Duration::from_secs(1000),
};

pub fn account(name: &str) -> GuessSubject {
    GuessSubject::Account(UserId(name.to_owned()))
}

fn network(text: &str) -> GuessSubject {
    GuessSubject::Network(ClientNetwork::parse(text).unwrap())
}

/// What was counted, or until when the subjects are blocked.
async fn guess(world: &World, subjects: &[GuessSubject], now: Timestamp) -> Result<Vec<Reserved>, Timestamp> {
    let subjects: Vec<_> = subjects.iter().map(|subject| (subject.clone(), POLICY)).collect();
    world.guesses.reserve(&subjects, now).await.unwrap().map_err(|blocked| blocked.until)
}

async fn failures(world: &World, subject: &GuessSubject) -> u32 {
    world.guesses.find(subject).await.unwrap().map_or(0, |lockout| lockout.failures)
}

pub async fn are_counted_against_each_subject(world: &World) {
    let (anna, net) = (account("anna"), network("192.0.2.1"));
    let reserved = guess(world, &[net.clone(), anna.clone()], at(0)).await.unwrap();
    assert_eq!(reserved.iter().map(|one| one.lockout.failures).collect::<Vec<_>>(), [1, 1]);
    guess(world, std::slice::from_ref(&anna), at(1)).await.unwrap();
    // In the order of the subjects, whatever the order of their texts.
    let reserved = guess(world, &[net.clone(), anna.clone()], at(2)).await.unwrap();
    assert_eq!(reserved.iter().map(|one| one.lockout.failures).collect::<Vec<_>>(), [2, 3]);
    let found = world.guesses.find(&anna).await.unwrap().unwrap();
    assert_eq!(found, reserved[1].lockout);
    assert_eq!((found.last_failure_at, found.blocked_until), (Some(at(2)), Some(at(12))));
    assert_eq!(world.guesses.find(&account("bert")).await.unwrap(), None);
}

pub async fn are_counted_against_none_when_one_is_blocked(world: &World) {
    let (anna, bert, net) = (account("anna"), account("bert"), network("192.0.2.1"));
    for second in 0..3 {
        guess(world, std::slice::from_ref(&anna), at(second)).await.unwrap();
    }
    let before = world.guesses.find(&anna).await.unwrap();
    assert_eq!(guess(world, &[anna.clone(), net.clone()], at(5)).await, Err(at(12)));
    assert_eq!(guess(world, &[net.clone(), anna.clone()], at(5)).await, Err(at(12)));
    assert_eq!(world.guesses.find(&net).await.unwrap(), None, "no row is left");
    assert_eq!(world.guesses.find(&anna).await.unwrap(), before);
    // The longest block is told.
    for second in 4..7 {
        guess(world, std::slice::from_ref(&bert), at(second)).await.unwrap();
    }
    assert_eq!(guess(world, &[bert.clone(), anna.clone()], at(7)).await, Err(at(16)));
    assert_eq!(guess(world, &[anna.clone(), bert.clone()], at(7)).await, Err(at(16)));
    let both = [(anna.clone(), POLICY), (bert, POLICY)];
    assert_eq!(world.guesses.longest_block(&both, at(7)).await.unwrap().map(|blocked| blocked.until), Some(at(16)));
    assert_eq!(world.guesses.longest_block(&both, at(16)).await.unwrap(), None);
    assert_eq!(world.guesses.longest_block(&[(network("192.0.2.2"), POLICY)], at(7)).await.unwrap(), None);
    assert!(guess(world, &[anna], at(12)).await.is_ok());
}

pub async fn at_once_get_no_more_places_than_there_are(world: &World) {
    let tasks: Vec<_> = (0..48)
        .map(|number| {
            let guesses = Arc::clone(&world.guesses);
            // All of one network, at accounts in common, in different orders.
            let (one, other) = (account(&(number % 16).to_string()), network("192.0.2.1"));
            let mut subjects = vec![(one, POLICY), (other, LockoutPolicy { free: 1000, max_failures: 1000, ..POLICY })];
            if number % 2 == 0 {
                subjects.reverse();
            }
            tokio::spawn(async move { guesses.reserve(&subjects, at(0)).await.unwrap().is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(failures(world, &network("192.0.2.1")).await, 48);
    let tasks: Vec<_> = (0..48)
        .map(|_| {
            let guesses = Arc::clone(&world.guesses);
            tokio::spawn(async move { guesses.reserve(&[(account("anna"), POLICY)], at(0)).await.unwrap().is_ok() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += usize::from(task.await.unwrap());
    }
    assert_eq!(granted, 3);
    assert_eq!(failures(world, &account("anna")).await, 3);
}

pub async fn that_were_right_are_taken_back(world: &World) {
    let (anna, net) = (account("anna"), network("192.0.2.1"));
    let both = [anna.clone(), net.clone()];
    guess(world, &both, at(0)).await.unwrap();
    let before = world.guesses.find(&net).await.unwrap().unwrap();
    let reserved = guess(world, &both, at(1)).await.unwrap();
    let one = |place| Forgiveness { subject: net.clone(), extent: Extent::One(POLICY, place) };
    let forgiven = [one(reserved[1].place), Forgiveness { subject: anna.clone(), extent: Extent::All }];
    world.guesses.forgive(&forgiven).await.unwrap();
    assert_eq!(world.guesses.find(&anna).await.unwrap(), None);
    assert_eq!(world.guesses.find(&net).await.unwrap(), Some(before), "as if it had not been made");
    // The last one goes with its row; and what is not there is taken back without a trace.
    let forgiven = [one(guess(world, &[network("192.0.2.9")], at(2)).await.unwrap()[0].place)];
    world.guesses.forgive(&forgiven).await.unwrap();
    assert_eq!(world.guesses.find(&net).await.unwrap(), None);
    world.guesses.forgive(&forgiven).await.unwrap();
    assert_eq!(world.guesses.find(&net).await.unwrap(), None);
}

pub async fn that_a_clock_put_too_far_ahead_are_brought_back(world: &World) {
    let (anna, net) = (account("anna"), network("192.0.2.1"));
    for _ in 0..3 {
        guess(world, std::slice::from_ref(&anna), at(500)).await.unwrap();
    }
    assert_eq!(
        world.guesses.longest_block(&[(anna.clone(), POLICY)], at(0)).await.unwrap(),
        None,
        "not without a write"
    );
    assert_eq!(guess(world, &[anna.clone(), net.clone()], at(0)).await, Err(at(10)));
    assert_eq!(guess(world, &[net.clone(), anna.clone()], at(9)).await, Err(at(10)), "its own length from then on");
    assert_eq!(world.guesses.find(&net).await.unwrap(), None, "no row is left");
    assert_eq!(guess(world, &[net, anna], at(10)).await.unwrap()[1].lockout.failures, 4);
}

pub async fn are_forgotten_by_an_unlock_that_is_told(world: &World) {
    let anna = account("anna");
    let told = async || {
        let query = AuditQuery { limit: 10, ..AuditQuery::default() };
        world.audit.list(&query).await.unwrap().len()
    };
    assert!(!world.guesses.unlock(std::slice::from_ref(&anna), &change()).await.unwrap());
    assert_eq!(told().await, 0);
    guess(world, std::slice::from_ref(&anna), at(0)).await.unwrap();
    guess(world, &[account("bert")], at(0)).await.unwrap();
    assert!(world.guesses.unlock(std::slice::from_ref(&anna), &change()).await.unwrap());
    assert_eq!(told().await, 1);
    assert_eq!((failures(world, &anna).await, failures(world, &account("bert")).await), (0, 1));
    assert!(!world.guesses.unlock(std::slice::from_ref(&anna), &change()).await.unwrap());
}

pub async fn are_forgotten_together_and_told_once(world: &World) {
    let user = |id: &str| UserId(id.to_owned());
    let subjects = [
        GuessSubject::Account(user("a")),
        GuessSubject::Codes(user("a")),
        GuessSubject::ResetRequests(user("a")),
        GuessSubject::Account(user("b")),
    ];
    let counted = [0, 2, 3];
    for index in counted {
        let subject = subjects[index].clone();
        world.guesses.reserve(&[(subject, POLICY)], at(0)).await.unwrap().unwrap();
    }
    let unlock = change_of(AuditAction::Unlock, 1);
    let of_anna = subjects.get(..3).unwrap();
    assert!(world.guesses.unlock(of_anna, &unlock).await.unwrap(), "some of them were counted");
    assert!(!world.guesses.unlock(of_anna, &change_of(AuditAction::Unlock, 2)).await.unwrap());
    assert!(!world.guesses.unlock(&[], &change_of(AuditAction::Unlock, 3)).await.unwrap());
    for (subject, there) in subjects.iter().zip([false, false, false, true]) {
        assert_eq!(world.guesses.find(subject).await.unwrap().is_some(), there, "{subject}");
    }
    let told = world.audit.list(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(told, [unlock.audit]);
}

pub async fn that_block_are_listed_the_longest_block_first(world: &World) {
    for (name, start) in [("a", 0), ("b", 5), ("c", 2)] {
        for _ in 0..3 {
            guess(world, &[account(name)], at(start)).await.unwrap();
        }
    }
    guess(world, &[account("d")], at(0)).await.unwrap();
    let listed = async |now, limit| -> Vec<(String, Option<Timestamp>)> {
        let blocked = world.guesses.blocked(now, limit).await.unwrap();
        blocked.into_iter().map(|(subject, lockout)| (subject.to_string(), lockout.blocked_until)).collect()
    };
    let expected = |names: &[(&str, i64)]| -> Vec<_> {
        names.iter().map(|(name, until)| (format!("account:{name}"), Some(at(*until)))).collect()
    };
    assert_eq!(listed(at(9), 10).await, expected(&[("b", 15), ("c", 12), ("a", 10)]));
    assert_eq!(listed(at(9), 2).await, expected(&[("b", 15), ("c", 12)]));
    assert_eq!(listed(at(10), 10).await, expected(&[("b", 15), ("c", 12)]));
    assert_eq!(listed(at(15), 10).await, []);
}

pub async fn that_are_old_are_deleted_in_batches(world: &World) {
    for number in 0..5 {
        guess(world, &[account(&number.to_string())], at(number)).await.unwrap();
    }
    assert_eq!(world.guesses.delete_idle(at(4), 3).await.unwrap(), 3);
    assert_eq!(world.guesses.delete_idle(at(4), 3).await.unwrap(), 1);
    assert_eq!(world.guesses.delete_idle(at(4), 3).await.unwrap(), 0);
    assert_eq!(failures(world, &account("4")).await, 1, "of that very instant it stays");
}

pub async fn of_odd_subjects_are_kept_apart(world: &World) {
    let texts = odd_names();
    let mut subjects: Vec<_> = texts.iter().filter(|text| !text.is_empty()).map(|text| account(text)).collect();
    subjects.extend(["a", "A", "a ", "a:b"].map(account));
    subjects.push(GuessSubject::Codes(UserId("a".to_owned())));
    subjects.push(GuessSubject::ResetRequests(UserId("a".to_owned())));
    subjects.push(GuessSubject::Name(Digest([7; 32])));
    subjects.push(network("2001:db8::/64"));
    for subject in &subjects {
        for second in 0..3 {
            guess(world, std::slice::from_ref(subject), at(second)).await.unwrap();
        }
        assert_eq!(failures(world, subject).await, 3);
    }
    let blocked = world.guesses.blocked(at(3), 100).await.unwrap();
    assert_eq!(blocked.len(), subjects.len());
    for (subject, lockout) in blocked {
        assert!(subjects.contains(&subject));
        let expected = Lockout { failures: 3, last_failure_at: Some(at(2)), blocked_until: Some(at(12)) };
        assert_eq!(lockout, expected);
    }
}
