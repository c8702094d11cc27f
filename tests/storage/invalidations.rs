//! What is promised of the log of invalidations.

use std::sync::Arc;

use portcullis::domain::invalidation::{Epoch, Invalidation};
use portcullis::domain::session::SessionEnd;
use portcullis::domain::signing_key::{KeyUse, SigningAlgorithm};
use portcullis::domain::user::PasswordHash;

use crate::api_keys::{api_key, insert as insert_key};
use crate::sessions::session;
use crate::signing_keys::signing_key;
use crate::users::{insert as insert_user, setting};
use crate::{World, at, change};

pub async fn start_at_zero(world: &World) {
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(0));
    assert!(world.invalidations.after(Epoch(0), 10).await.unwrap().is_empty());
    assert_eq!(world.invalidations.prune(at(0)).await.unwrap(), 0);
}

pub async fn tell_of_every_change_in_order(world: &World) {
    let anna = insert_user(world, "anna").await;
    for id in ["s1", "s2"] {
        world.sessions.insert(&session(id, &anna.id)).await.unwrap();
    }
    world.sessions.rotate(&session("s1", &anna.id).id, 0, at(1)).await.unwrap();
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(0), "nothing that others remember has changed");

    let user = Invalidation::User(anna.id.clone());
    let of_session = |id: &str| Invalidation::Session(session(id, &anna.id).id);
    let key = api_key(1);
    let of_key = Invalidation::ApiKey(key.id.clone());
    let mut seen = Epoch(0);
    let mut expect = async |what: &[&Invalidation]| {
        let mut found = world.invalidated_after(seen).await;
        found.sort_by_key(|found| what.iter().position(|what| *what == found));
        assert_eq!(found.iter().collect::<Vec<_>>(), what);
        seen = Epoch(seen.0 + i64::try_from(what.len()).unwrap());
        assert_eq!(world.invalidations.newest().await.unwrap(), seen);
    };

    world.sessions.end(&session("s1", &anna.id).id, SessionEnd::Logout, at(2), &change()).await.unwrap();
    expect(&[&of_session("s1")]).await;
    world.users.set_active(&anna.id, false, at(3), &change()).await.unwrap();
    expect(&[&of_session("s2"), &user]).await;
    world.users.set_active(&anna.id, true, at(4), &change()).await.unwrap();
    expect(&[&user]).await;
    for id in ["s3", "s4"] {
        world.sessions.insert(&session(id, &anna.id)).await.unwrap();
    }
    world.users.set_password(&setting(&anna.id, &PasswordHash::new("new".to_owned()), at(5)), &change()).await.unwrap();
    expect(&[&of_session("s3"), &of_session("s4"), &user]).await;
    let (seen_hash, better) = (PasswordHash::new("new".to_owned()), PasswordHash::new("better".to_owned()));
    world.users.upgrade_password(&anna.id, &seen_hash, &better).await.unwrap();
    expect(&[&user]).await;
    insert_key(world, &key).await;
    expect(&[&of_key]).await;
    world.api_keys.revoke(&key.id, "lost", at(6), &change()).await.unwrap();
    expect(&[&of_key]).await;
    let first = signing_key("kid", KeyUse::Tokens, SigningAlgorithm::Es256);
    world.signing_keys.insert_first(&first).await.unwrap();
    expect(&[&Invalidation::SigningKeys]).await;
}

pub async fn are_not_written_for_what_did_not_happen(world: &World) {
    let anna = insert_user(world, "anna").await;
    let key = api_key(1);
    insert_key(world, &key).await;
    world.api_keys.revoke(&key.id, "lost", at(1), &change()).await.unwrap();
    world.sessions.insert(&session("s", &anna.id)).await.unwrap();
    world.sessions.end(&session("s", &anna.id).id, SessionEnd::Logout, at(1), &change()).await.unwrap();
    let first = signing_key("kid", KeyUse::Tokens, SigningAlgorithm::Es256);
    world.signing_keys.insert_first(&first).await.unwrap();
    let before = world.invalidations.newest().await.unwrap();

    world.api_keys.insert(&key, &change()).await.unwrap();
    world.api_keys.revoke(&key.id, "again", at(2), &change()).await.unwrap();
    world.sessions.end(&session("s", &anna.id).id, SessionEnd::Logout, at(2), &change()).await.unwrap();
    world.signing_keys.insert_first(&signing_key("kid-2", first.key_use, first.algorithm)).await.unwrap();
    let other = PasswordHash::new("other".to_owned());
    world.users.upgrade_password(&anna.id, &other, &other).await.unwrap();
    assert_eq!(world.invalidations.newest().await.unwrap(), before);
    assert!(world.invalidated_after(before).await.is_empty());
}

pub async fn of_parallel_changes_have_no_gaps(world: &World) {
    let tasks: Vec<_> = (0..20_u8)
        .map(|number| {
            let keys = Arc::clone(&world.api_keys);
            tokio::spawn(async move { keys.insert(&api_key(number), &change()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let epochs: Vec<i64> =
        world.invalidations.after(Epoch(0), 100).await.unwrap().into_iter().map(|entry| entry.epoch.0).collect();
    assert_eq!(epochs, (1..=20).collect::<Vec<_>>());
}

pub async fn are_read_in_pages(world: &World) {
    for number in 0..5 {
        insert_key(world, &api_key(number)).await;
    }
    let (mut seen, mut last) = (Vec::new(), Epoch(0));
    loop {
        let page = world.invalidations.after(last, 2).await.unwrap();
        let Some(newest) = page.last() else { break };
        assert!(page.len() <= 2);
        last = newest.epoch;
        seen.extend(page.into_iter().map(|entry| (entry.epoch, entry.what, entry.written_at)));
    }
    let expected: Vec<_> = (0..5_u8)
        .map(|number| {
            let key = api_key(number);
            (Epoch(i64::from(number) + 1), Some(Invalidation::ApiKey(key.id)), Some(key.created_at))
        })
        .collect();
    assert_eq!(seen, expected);
}

pub async fn are_pruned_but_for_the_newest(world: &World) {
    for number in 0..5 {
        insert_key(world, &api_key(number)).await;
    }
    assert_eq!(world.invalidations.prune(at(2)).await.unwrap(), 2);
    assert_eq!(world.invalidations.prune(at(2)).await.unwrap(), 0);
    assert_eq!(world.invalidated_after(Epoch(0)).await.len(), 3);
    assert_eq!(world.invalidations.prune(at(1000)).await.unwrap(), 2);
    assert_eq!(world.invalidated_after(Epoch(0)).await.len(), 1);
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(5));
    insert_key(world, &api_key(6)).await;
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(6));
}

pub async fn without_a_time_go_with_later_ones(world: &World) {
    let anna = insert_user(world, "anna").await;
    let better = PasswordHash::new("better".to_owned());
    world.users.upgrade_password(&anna.id, &anna.password, &better).await.unwrap();
    insert_key(world, &api_key(10)).await;
    insert_key(world, &api_key(20)).await;
    assert_eq!(world.invalidations.prune(at(5)).await.unwrap(), 0);
    assert_eq!(world.invalidations.prune(at(15)).await.unwrap(), 2);
}
