//! What is promised when several processes ask one database for the same thing at once.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::challenge::Challenge;
use portcullis::domain::digest::Digest;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::password_reset::PasswordReset;
use portcullis::domain::signing_key::{KeyState, KeyUse, SigningAlgorithm, SigningKey};
use portcullis::domain::user::UserChanges;
use portcullis::storage::sign_ins::{Completion, SignIn};
use portcullis::storage::users::{Insert, Update};

use crate::api_keys::api_key;
use crate::challenges::challenge;
use crate::guesses::{POLICY, account};
use crate::outbox::mail;
use crate::second_factors::{enrolled, recovery, totp};
use crate::sessions::session;
use crate::sign_ins::sign_in;
use crate::signing_keys::signing_key;
use crate::users::{insert as insert_user, user};
use crate::{World, at, change};

type Nodes = [World; 2];

/// Calls by turns at the nodes, all at once.
async fn at_once<T, F>(many: usize, nodes: &Nodes, call: impl Fn(usize, &World) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..many).map(|number| tokio::spawn(call(number, &nodes[number % 2]))).collect();
    let mut results = Vec::with_capacity(many);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub async fn one_of_many_rotations_wins(nodes: &Nodes) {
    let anna = insert_user(&nodes[0], "anna").await;
    let session = session("s", &anna.id);
    nodes[0].sessions.insert(&session).await.unwrap();
    for from in 0..5 {
        let rotated = at_once(16, nodes, |_, node| {
            let (sessions, id) = (Arc::clone(&node.sessions), session.id.clone());
            async move { sessions.rotate(&id, from, at(1)).await.unwrap() }
        });
        assert_eq!(rotated.await.into_iter().filter(|won| *won).count(), 1);
    }
    assert_eq!(nodes[1].sessions.find(&session.id).await.unwrap().unwrap().counter, 5);
}

pub async fn one_of_many_uses_of_a_proof_wins(nodes: &Nodes) {
    for (name, is_totp) in [("anna", true), ("bert", false)] {
        let (user, device) = enrolled(&nodes[0], name).await;
        let user = nodes[0].users.find(&user.id).await.unwrap().unwrap();
        let proof = if is_totp { totp(&device, 101) } else { recovery("bert a") };
        let done = at_once(16, nodes, |number, node| {
            let whole = SignIn { proof: Some(proof.clone()), ..sign_in(&format!("{name}-{number}"), &user) };
            let sign_ins = Arc::clone(&node.sign_ins);
            async move { sign_ins.complete(&whole, &change()).await.unwrap() }
        });
        let done = done.await;
        assert_eq!(done.iter().filter(|one| **one == Completion::Done).count(), 1, "{name}: {done:?}");
        assert!(done.iter().all(|one| matches!(one, Completion::Done | Completion::ProofSpent)), "{name}: {done:?}");
    }
}

pub async fn attempts_at_a_challenge_are_counted_together(nodes: &Nodes) {
    let anna = insert_user(&nodes[0], "anna").await;
    let challenge = challenge("c", &anna.id);
    nodes[0].challenges.insert(&challenge, &[]).await.unwrap();
    let found = at_once(24, nodes, |_, node| {
        let (challenges, digest) = (Arc::clone(&node.challenges), challenge.digest);
        async move { challenges.attempt(&digest, 5, at(1)).await.unwrap() }
    });
    let mut numbers: Vec<i64> = found.await.into_iter().flatten().map(|challenge| challenge.attempts).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

pub async fn guesses_are_counted_together(nodes: &Nodes) {
    let granted = at_once(32, nodes, |number, node| {
        let guesses = Arc::clone(&node.guesses);
        let mut subjects = vec![(account("anna"), POLICY), (account("bert"), POLICY)];
        if number % 3 == 0 {
            subjects.reverse();
        }
        async move { guesses.reserve(&subjects, at(0)).await.unwrap().is_ok() }
    });
    assert_eq!(granted.await.into_iter().filter(|granted| *granted).count(), 3);
    for name in ["anna", "bert"] {
        assert_eq!(nodes[1].guesses.find(&account(name)).await.unwrap().unwrap().failures, 3, "{name}");
    }
}

pub async fn too_many_challenges_are_not_kept(nodes: &Nodes) {
    let anna = insert_user(&nodes[0], "anna").await;
    let made: Vec<Challenge> = (0..40).map(|number| challenge(&format!("c{number}"), &anna.id)).collect();
    at_once(made.len(), nodes, |number, node| {
        let (challenges, challenge) = (Arc::clone(&node.challenges), made[number].clone());
        async move { challenges.insert(&challenge, &[]).await.unwrap() }
    })
    .await;
    let mut kept = 0;
    for challenge in &made {
        kept += usize::from(nodes[1].challenges.find(&challenge.digest, 9, at(1)).await.unwrap().is_some());
    }
    assert_eq!(kept, 16);
    let nobody = challenge("x", &user("nobody").id);
    nodes[0].challenges.insert(&nobody, &[]).await.unwrap();
    assert_eq!(nodes[1].challenges.find(&nobody.digest, 9, at(1)).await.unwrap(), None);
}

pub async fn one_link_of_a_user_is_good(nodes: &Nodes) {
    let anna = insert_user(&nodes[0], "anna").await;
    let reset = |number: usize| PasswordReset {
        digest: Digest([u8::try_from(number).unwrap(); 32]),
        user_id: anna.id.clone(),
        created_at: at(0),
        expires_at: at(60),
    };
    at_once(16, nodes, |number, node| {
        let (resets, reset) = (Arc::clone(&node.password_resets), reset(number));
        async move { resets.replace(&reset, &change()).await.unwrap() }
    })
    .await;
    let mut good = 0;
    for number in 0..16 {
        good += usize::from(nodes[0].password_resets.find(&reset(number).digest).await.unwrap().is_some());
    }
    assert_eq!(good, 1);
}

pub async fn a_name_goes_to_one(nodes: &Nodes) {
    for name in ["a", "b", "c", "d"] {
        insert_user(&nodes[0], name).await;
    }
    for round in 0..5 {
        let wanted = format!("wanted{round}");
        let done = at_once(8, nodes, |number, node| {
            let users = Arc::clone(&node.users);
            let wanted = wanted.clone();
            async move {
                if number % 2 == 0 {
                    let new = portcullis::domain::user::User {
                        id: portcullis::domain::user::UserId(format!("{wanted}-{number}")),
                        ..user(&wanted)
                    };
                    users.insert(&new, &change()).await.unwrap() == Insert::Done
                } else {
                    let id = user(["a", "b", "c", "d"][number / 2]).id;
                    let changes = UserChanges { username: Some(wanted), ..UserChanges::default() };
                    let update = users.update(&id, &changes, &change()).await.unwrap();
                    assert_ne!(update, Update::Unknown);
                    update == Update::Done
                }
            }
        });
        assert_eq!(done.await.into_iter().filter(|done| *done).count(), 1, "{wanted}");
        assert!(nodes[1].users.find_by_username(&wanted).await.unwrap().is_some());
    }
}

pub async fn keys_that_are_rotated_at_once_leave_one_active(nodes: &Nodes) {
    let key = |number: usize| signing_key(&format!("kid-{number}"), KeyUse::Tokens, SigningAlgorithm::Es256);
    nodes[0].signing_keys.insert_first(&key(100)).await.unwrap();
    at_once(6, nodes, |number, node| {
        let (keys, key) = (Arc::clone(&node.signing_keys), key(number));
        async move { keys.rotate(&key, &change()).await.unwrap() }
    })
    .await;
    let all = nodes[1].signing_keys.list().await.unwrap();
    assert_eq!((all.len(), all.iter().filter(|key| key.state == KeyState::Active).count()), (7, 1));
}

pub async fn keys_that_are_announced_at_once_leave_one_waiting(nodes: &Nodes) {
    let key = |number: usize, state| SigningKey {
        state,
        ..signing_key(&format!("kid-{number}"), KeyUse::Tokens, SigningAlgorithm::Es256)
    };
    nodes[0].signing_keys.insert_first(&key(100, KeyState::Active)).await.unwrap();
    let before = nodes[0].invalidations.newest().await.unwrap();
    let announced = at_once(16, nodes, |number, node| {
        let (keys, key) = (Arc::clone(&node.signing_keys), key(number, KeyState::Next));
        async move { keys.announce(&key, &change()).await.unwrap() }
    });
    assert_eq!(announced.await.into_iter().filter(|first| *first).count(), 1, "the others leave it to that one");
    let all = nodes[1].signing_keys.list().await.unwrap();
    assert_eq!((all.len(), all.iter().filter(|key| key.state == KeyState::Next).count()), (2, 1));
    assert_eq!(nodes[1].invalidations.newest().await.unwrap().0, before.0 + 1);
}

pub async fn a_user_that_is_deleted_leaves_nothing(nodes: &Nodes) {
    for round in 0_u8..5 {
        let anna = insert_user(&nodes[0], &format!("anna{round}")).await;
        at_once(9, nodes, |number, node| {
            let (users, keys, challenges) =
                (Arc::clone(&node.users), Arc::clone(&node.api_keys), Arc::clone(&node.challenges));
            let id = anna.id.clone();
            async move {
                match number {
                    4 => assert!(users.delete(&id, at(5), &change()).await.unwrap()),
                    // Before the deletion it is made and goes with the user; after it there is nobody to own it.
                    number if number % 2 == 0 => {
                        let mut key = api_key(round * 10 + u8::try_from(number).unwrap());
                        key.owner = KeyOwner::User(id);
                        let _ = keys.insert(&key, &change()).await;
                    }
                    number => challenges.insert(&challenge(&format!("{round}-{number}"), &id), &[]).await.unwrap(),
                }
            }
        })
        .await;
        assert!(nodes[0].users.find(&anna.id).await.unwrap().is_none());
    }
    let keys =
        nodes[1].api_keys.list(&portcullis::domain::api_key::KeyQuery { limit: 100, ..Default::default() }).await;
    assert!(keys.unwrap().is_empty());
}

pub async fn mail_is_sent_by_one(nodes: &Nodes) {
    for number in 0..40 {
        nodes[0].outbox.enqueue(&mail(&format!("m{number:02}"), at(0))).await.unwrap();
    }
    let claimed = at_once(16, nodes, |_, node| {
        let outbox = Arc::clone(&node.outbox);
        async move { outbox.claim(at(0), Duration::from_secs(60), 5).await.unwrap() }
    });
    let mut ids: Vec<String> = claimed.await.into_iter().flatten().map(|entry| entry.id.to_string()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "none is claimed twice");
}
