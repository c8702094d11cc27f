//! What is promised of challenges.

use std::sync::Arc;

use portcullis::domain::challenge::Challenge;
use portcullis::domain::digest::Digest;
use portcullis::domain::session::SessionEnd;
use portcullis::domain::user::{PasswordHash, UserId};
use portcullis::storage::sessions::EndAll;

use crate::users::{insert as insert_user, setting};
use crate::{World, at, change};

pub fn challenge(number: u8, user: &UserId) -> Challenge {
    Challenge {
        digest: Digest([number; 32]),
        user_id: user.clone(),
        password_changed_at: at(1),
        created_at: at(i64::from(number)),
        expires_at: at(300),
        attempts: 0,
    }
}

pub async fn insert(world: &World, number: u8, user: &UserId) -> Challenge {
    let challenge = challenge(number, user);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    challenge
}

async fn is_there(world: &World, challenge: &Challenge) -> bool {
    world.challenges.find(&challenge.digest, 5, at(10)).await.unwrap().is_some()
}

pub async fn are_tried_a_few_times_and_not_after_their_time(world: &World) {
    let anna = insert_user(world, "anna").await;
    let stored = insert(world, 1, &anna.id).await;
    assert_eq!(world.challenges.find(&stored.digest, 5, at(299)).await.unwrap(), Some(stored.clone()));
    for attempt in 1..=3 {
        let found = world.challenges.attempt(&stored.digest, 3, at(299)).await.unwrap();
        assert_eq!(found, Some(Challenge { attempts: attempt, ..stored.clone() }));
    }
    assert_eq!(world.challenges.attempt(&stored.digest, 3, at(10)).await.unwrap(), None);
    assert_eq!(world.challenges.find(&stored.digest, 3, at(10)).await.unwrap(), None);
    assert_eq!(world.challenges.find(&stored.digest, 4, at(10)).await.unwrap().map(|found| found.attempts), Some(3));
    assert_eq!(world.challenges.attempt(&stored.digest, 4, at(300)).await.unwrap(), None, "its time is over");
    assert_eq!(world.challenges.find(&stored.digest, 4, at(300)).await.unwrap(), None);
    assert_eq!(world.challenges.attempt(&Digest([9; 32]), 4, at(0)).await.unwrap(), None);
}

pub async fn at_once_are_tried_no_more_often(world: &World) {
    let anna = insert_user(world, "anna").await;
    let stored = insert(world, 1, &anna.id).await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (challenges, digest) = (Arc::clone(&world.challenges), stored.digest);
            tokio::spawn(async move { challenges.attempt(&digest, 5, at(1)).await.unwrap() })
        })
        .collect();
    let mut attempts = Vec::new();
    for task in tasks {
        attempts.extend(task.await.unwrap().map(|found| found.attempts));
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
}

pub async fn of_one_user_are_kept_up_to_a_few(world: &World) {
    let (anna, bert) = (insert_user(world, "anna").await, insert_user(world, "bert").await);
    let others = insert(world, 200, &bert.id).await;
    for number in 0..40 {
        insert(world, number, &anna.id).await;
    }
    for number in 0..40 {
        let kept = is_there(world, &challenge(number, &anna.id)).await;
        assert_eq!(kept, number >= 24, "{number}");
    }
    assert!(is_there(world, &others).await);
}

pub async fn are_void_when_what_they_vouch_for_changes(world: &World) {
    let bert = insert_user(world, "bert").await;
    let others = insert(world, 200, &bert.id).await;
    let anna = insert_user(world, "anna").await;
    let end = EndAll {
        user_id: anna.id.clone(),
        why: SessionEnd::SecondFactorChange,
        at: at(5),
        keep: None,
        tokens_valid_from: at(5),
    };
    for number in 0..3 {
        let stored = insert(world, number, &anna.id).await;
        assert!(is_there(world, &stored).await);
        match number {
            0 => assert!(world.users.set_active(&anna.id, false, at(5), &change()).await.unwrap()),
            1 => {
                let new = setting(&anna.id, &PasswordHash::new("new".to_owned()), at(5));
                assert!(world.users.set_password(&new, &change()).await.unwrap());
            }
            _ => {
                world.second_factors.remove_all(&end, None, &change()).await.unwrap();
            }
        }
        assert!(!is_there(world, &stored).await, "{number}");
    }
    assert!(is_there(world, &others).await);
}

pub async fn that_are_over_are_deleted_in_batches(world: &World) {
    let anna = insert_user(world, "anna").await;
    for number in 0..5 {
        let over = Challenge { expires_at: at(i64::from(number)), ..challenge(number, &anna.id) };
        world.challenges.insert(&over, &[]).await.unwrap();
    }
    assert_eq!(world.challenges.delete_expired(at(4), 3).await.unwrap(), 3);
    assert_eq!(world.challenges.delete_expired(at(4), 3).await.unwrap(), 1);
    assert_eq!(world.challenges.delete_expired(at(4), 3).await.unwrap(), 0);
}
