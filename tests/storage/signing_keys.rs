//! What is promised of signing keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis::domain::signing_key::{KeyState, KeyUse, SigningAlgorithm, SigningKey};
use portcullis::storage::StoreError;

use crate::{World, at, change};

pub fn signing_key(kid: &str, key_use: KeyUse, algorithm: SigningAlgorithm) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        algorithm,
        key_use,
        state: KeyState::Active,
        sealed_private: (0..=255).collect(),
        created_at: at(0),
        retired_at: None,
    }
}

pub async fn parallel_first_keys_agree(world: &World) {
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let keys = Arc::clone(&world.signing_keys);
            let key = signing_key(&format!("kid-{number}"), KeyUse::Tokens, SigningAlgorithm::Es256);
            tokio::spawn(async move { keys.insert_first(&key).await.unwrap() })
        })
        .collect();
    let mut agreed = BTreeSet::new();
    for task in tasks {
        agreed.insert(task.await.unwrap().kid);
    }
    assert_eq!(agreed.len(), 1);
    let active = world.signing_keys.find_active(KeyUse::Tokens, SigningAlgorithm::Es256).await.unwrap().unwrap();
    assert!(agreed.contains(&active.kid));
    assert_eq!((active.state, active.created_at), (KeyState::Active, at(0)));
    assert_eq!(active.sealed_private, (0..=255).collect::<Vec<u8>>());
    assert_eq!(world.signing_keys.list().await.unwrap().len(), 1);
    assert_eq!(world.invalidations.newest().await.unwrap().0, 1);
}

pub async fn uses_and_algorithms_are_apart(world: &World) {
    let mut expected = Vec::new();
    for key_use in [KeyUse::Tokens, KeyUse::Assertions] {
        for algorithm in SigningAlgorithm::ALL {
            assert!(world.signing_keys.find_active(key_use, algorithm).await.unwrap().is_none());
            let kid = format!("{algorithm}-{}", key_use.as_str());
            let stored = world.signing_keys.insert_first(&signing_key(&kid, key_use, algorithm)).await.unwrap();
            assert_eq!((stored.kid.as_str(), stored.key_use, stored.algorithm), (kid.as_str(), key_use, algorithm));
            assert_eq!(world.signing_keys.find_active(key_use, algorithm).await.unwrap().unwrap().kid, kid);
            expected.push(kid);
        }
    }
    let listed: BTreeSet<_> = world.signing_keys.list().await.unwrap().into_iter().map(|key| key.kid).collect();
    assert_eq!(listed, expected.into_iter().collect());
}

pub async fn a_known_key_that_is_not_active_is_no_answer(world: &World) {
    // The same key under another use: it may not be handed out for this one.
    world.signing_keys.insert_first(&signing_key("kid", KeyUse::Tokens, SigningAlgorithm::Es256)).await.unwrap();
    let refused =
        world.signing_keys.insert_first(&signing_key("kid", KeyUse::Assertions, SigningAlgorithm::Es256)).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
}

pub async fn a_rotated_key_verifies_until_it_is_deleted(world: &World) {
    let of = |kid: &str, seconds| SigningKey {
        created_at: at(seconds),
        ..signing_key(kid, KeyUse::Tokens, SigningAlgorithm::Es256)
    };
    world.signing_keys.insert_first(&of("first", 0)).await.unwrap();
    world.signing_keys.rotate(&of("second", 5), &change()).await.unwrap();
    let active = world.signing_keys.find_active(KeyUse::Tokens, SigningAlgorithm::Es256).await.unwrap().unwrap();
    assert_eq!(active.kid, "second");
    let listed = world.signing_keys.list().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].state, listed[0].retired_at), (KeyState::Retired, Some(at(5))));
    assert_eq!(world.signing_keys.delete_retired(at(5)).await.unwrap(), 0, "not before its time");
    assert_eq!(world.signing_keys.delete_retired(at(6)).await.unwrap(), 1);
    assert_eq!(world.signing_keys.list().await.unwrap().len(), 1);
    assert_eq!(world.invalidations.newest().await.unwrap().0, 3, "each change is announced");
    assert!(world.signing_keys.rotate(&of("second", 9), &change()).await.is_err(), "the same key twice");
    let active = world.signing_keys.find_active(KeyUse::Tokens, SigningAlgorithm::Es256).await.unwrap();
    assert_eq!(active.unwrap().kid, "second", "and nothing half done");
}

pub async fn are_sealed_anew_unless_they_have_changed(world: &World) {
    let key = signing_key("kid", KeyUse::Tokens, SigningAlgorithm::Es256);
    world.signing_keys.insert_first(&key).await.unwrap();
    assert!(!world.signing_keys.reseal("kid", b"something else", b"new").await.unwrap());
    assert!(!world.signing_keys.reseal("other", &key.sealed_private, b"new").await.unwrap());
    assert!(world.signing_keys.reseal("kid", &key.sealed_private, b"new").await.unwrap());
    assert!(!world.signing_keys.reseal("kid", &key.sealed_private, b"newer").await.unwrap());
    let listed = world.signing_keys.list().await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].sealed_private.as_slice(), listed[0].state),
        (1, &b"new"[..], KeyState::Active)
    );
}

pub async fn a_key_is_announced_once_and_promoted_once(world: &World) {
    let of = |kid: &str, state| SigningKey { state, ..signing_key(kid, KeyUse::Tokens, SigningAlgorithm::Es256) };
    world.signing_keys.insert_first(&of("first", KeyState::Active)).await.unwrap();
    let assertions = signing_key("assertions", KeyUse::Assertions, SigningAlgorithm::Es256);
    world.signing_keys.insert_first(&assertions).await.unwrap();
    assert!(!world.signing_keys.promote("first", KeyUse::Tokens, at(1), &change()).await.unwrap());
    assert!(!world.signing_keys.promote("nobody", KeyUse::Tokens, at(1), &change()).await.unwrap());
    assert!(world.signing_keys.announce(&of("second", KeyState::Next), &change()).await.unwrap());
    assert!(!world.signing_keys.announce(&of("third", KeyState::Next), &change()).await.unwrap());
    let active = || async { world.signing_keys.find_active(KeyUse::Tokens, SigningAlgorithm::Es256).await.unwrap() };
    assert_eq!(active().await.unwrap().kid, "first", "and nothing of what failed is left");
    assert!(!world.signing_keys.promote("second", KeyUse::Assertions, at(5), &change()).await.unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let keys = Arc::clone(&world.signing_keys);
            tokio::spawn(async move { keys.promote("second", KeyUse::Tokens, at(5), &change()).await.unwrap() })
        })
        .collect();
    let mut promoted = 0;
    for task in tasks {
        promoted += usize::from(task.await.unwrap());
    }
    assert_eq!((promoted, active().await.unwrap().kid.as_str()), (1, "second"));
    let states: BTreeSet<_> = world
        .signing_keys
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|key| (key.kid, key.state.as_str(), key.retired_at))
        .collect();
    let expected = [
        ("first".to_owned(), "retired", Some(at(5))),
        ("second".to_owned(), "active", None),
        ("assertions".to_owned(), "active", None),
    ];
    assert_eq!(states, BTreeSet::from(expected));
    assert_eq!(world.invalidations.newest().await.unwrap().0, 4, "each change is announced");
}
