//! What is promised of password resets.

use std::sync::Arc;

use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::invalidation::Invalidation;
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::password_reset::PasswordReset;
use portcullis::domain::session::SessionEnd;
use portcullis::domain::user::{PasswordHash, User, UserId};

use crate::outbox::mail;
use crate::sessions::session;
use crate::users::{insert as insert_user, setting};
use crate::{World, at, change};

pub fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn new_hash() -> PasswordHash {
    PasswordHash::new("hash of the new one".to_owned())
}

async fn replace(world: &World, number: u8, user: &UserId, until: Timestamp) -> PasswordReset {
    let reset = PasswordReset {
        digest: digest(number),
        user_id: user.clone(),
        created_at: at(number.into()),
        expires_at: until,
    };
    world.password_resets.replace(&reset, &change()).await.unwrap();
    reset
}

async fn redeem(world: &World, number: u8, now: Timestamp) -> bool {
    world.password_resets.redeem(&digest(number), &new_hash(), now, &change()).await.unwrap()
}

async fn user(world: &World, id: &UserId) -> User {
    (*world.users.find(id).await.unwrap().unwrap()).clone()
}

pub async fn come_back_as_they_were_stored(world: &World) {
    let anna = insert_user(world, "anna").await;
    let reset = replace(world, 1, &anna.id, at(60)).await;
    assert_eq!(world.password_resets.find(&digest(1)).await.unwrap(), Some(reset));
    assert_eq!(world.password_resets.find(&digest(2)).await.unwrap(), None);
}

pub async fn a_newer_one_is_the_only_one_of_its_user(world: &World) {
    let (anna, bert) = (insert_user(world, "anna").await, insert_user(world, "bert").await);
    replace(world, 1, &anna.id, at(60)).await;
    let others = replace(world, 2, &bert.id, at(60)).await;
    let newer = replace(world, 3, &anna.id, at(60)).await;
    assert_eq!(world.password_resets.find(&digest(1)).await.unwrap(), None);
    assert_eq!(world.password_resets.find(&digest(2)).await.unwrap(), Some(others));
    assert_eq!(world.password_resets.find(&digest(3)).await.unwrap(), Some(newer));
}

pub async fn one_sets_the_password_once_with_all_that_follows(world: &World) {
    let anna = insert_user(world, "anna").await;
    let account = GuessSubject::Account(anna.id.clone());
    world.guesses.reserve(&[(account.clone(), LockoutPolicy::account())], at(1)).await.unwrap().unwrap();
    world.sessions.insert(&session("s", &anna.id)).await.unwrap();
    replace(world, 1, &anna.id, at(60)).await;
    let before = world.invalidations.newest().await.unwrap();
    let with_notice = change().mailing(vec![mail("notice", at(9))]);
    assert!(world.password_resets.redeem(&digest(1), &new_hash(), at(9), &with_notice).await.unwrap());

    let after = user(world, &anna.id).await;
    assert_eq!((&after.password, after.password_changed_at), (&new_hash(), at(9)));
    assert_eq!(after.tokens_valid_from, Some(at(10)), "tokens of the same second end with the others");
    let ended = world.sessions.find(&session("s", &anna.id).id).await.unwrap().unwrap().ended;
    assert_eq!(ended, Some((at(9), SessionEnd::PasswordChange)));
    assert_eq!(world.guesses.find(&account).await.unwrap(), None, "the owner has come");
    assert_eq!(world.outbox.count().await.unwrap(), 1, "the notice waits");
    assert!(world.invalidated_after(before).await.contains(&Invalidation::User(anna.id.clone())));
    assert!(!redeem(world, 1, at(10)).await, "a second time");
    assert_eq!(user(world, &anna.id).await.password_changed_at, at(9));
}

pub async fn of_parallel_uses_one_counts(world: &World) {
    let anna = insert_user(world, "anna").await;
    replace(world, 1, &anna.id, at(60)).await;
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let resets = Arc::clone(&world.password_resets);
            let hash = PasswordHash::new(format!("hash {number}"));
            tokio::spawn(async move {
                let won = resets.redeem(&digest(1), &hash, at(9), &change()).await.unwrap();
                won.then_some(hash)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(user(world, &anna.id).await.password, winners[0]);
}

pub async fn what_is_void_or_over_changes_nothing(world: &World) {
    let anna = insert_user(world, "anna").await;
    replace(world, 1, &anna.id, at(60)).await;
    assert!(!redeem(world, 2, at(9)).await, "unknown");
    assert!(!redeem(world, 1, at(60)).await, "over");
    assert!(world.password_resets.find(&digest(1)).await.unwrap().is_some(), "and nothing is half done");
    world.users.set_active(&anna.id, false, at(9), &change()).await.unwrap();
    assert!(!redeem(world, 1, at(10)).await, "the user was switched off");
    world.users.set_active(&anna.id, true, at(11), &change()).await.unwrap();
    assert!(!redeem(world, 1, at(12)).await, "and switching on revives none");

    replace(world, 3, &anna.id, at(60)).await;
    let other = PasswordHash::new("hash of another one".to_owned());
    assert!(world.users.set_password(&setting(&anna.id, &other, at(13)), &change()).await.unwrap());
    assert!(!redeem(world, 3, at(14)).await, "there is another password");
    assert_eq!(user(world, &anna.id).await.password, other);
    assert_eq!(world.outbox.count().await.unwrap(), 0);
}

pub async fn expired_ones_are_deleted_in_batches(world: &World) {
    for number in 1..=5 {
        let owner = insert_user(world, &format!("user-{number}")).await;
        replace(world, number, &owner.id, at(number.into())).await;
    }
    assert_eq!(world.password_resets.delete_expired(at(5), 3).await.unwrap(), 3);
    assert_eq!(world.password_resets.delete_expired(at(5), 3).await.unwrap(), 1);
    assert_eq!(world.password_resets.delete_expired(at(5), 3).await.unwrap(), 0);
    assert!(world.password_resets.find(&digest(5)).await.unwrap().is_some());
}
