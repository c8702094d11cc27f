//! What is promised of API keys.

use std::sync::Arc;

use portcullis::domain::api_key::{ApiKey, ApiKeyId, KeyOwner, KeyQuery};
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::scope::ScopeSet;
use portcullis::storage::users::Insert;

use crate::users::insert as insert_user;
use crate::{World, at, change, odd_texts};

pub fn api_key(number: u8) -> ApiKey {
    ApiKey {
        id: ApiKeyId(format!("key-{number}")),
        prefix: format!("prefix{number:02}"),
        digest: Digest([number; 32]),
        name: "nightly import".to_owned(),
        owner: KeyOwner::Service("importer".to_owned()),
        scopes: ScopeSet::parse("orders:read").unwrap(),
        created_at: at(i64::from(number)),
        expires_at: None,
        revoked: None,
        replaced_by: None,
    }
}

pub async fn insert(world: &World, key: &ApiKey) {
    assert_eq!(world.api_keys.insert(key, &change()).await.unwrap(), Insert::Done);
}

fn every(before: Option<(Timestamp, ApiKeyId)>, limit: u32) -> KeyQuery {
    KeyQuery { before, revoked: true, limit, ..KeyQuery::default() }
}

fn whole(key: &ApiKey) -> String {
    format!("{key:?} {}", key.digest.hex())
}

pub async fn come_back_as_they_were_stored(world: &World) {
    let user = insert_user(world, "anna").await;
    let plain = api_key(1);
    let full = ApiKey {
        owner: KeyOwner::User(user.id),
        scopes: ScopeSet::default(),
        expires_at: Some(at(100)),
        revoked: Some((at(50), "lost".to_owned())),
        ..api_key(2)
    };
    for key in [&plain, &full] {
        insert(world, key).await;
        let found = [
            world.api_keys.find(&key.id).await.unwrap(),
            world.api_keys.find_by_digest(&key.digest).await.unwrap().map(Arc::unwrap_or_clone),
            world.api_keys.find_by_prefix(&key.prefix).await.unwrap(),
        ];
        for found in found {
            assert_eq!(whole(&found.unwrap()), whole(key));
        }
    }
    assert!(world.api_keys.find(&ApiKeyId("none".to_owned())).await.unwrap().is_none());
    assert!(world.api_keys.find_by_digest(&Digest([9; 32])).await.unwrap().is_none());
    assert!(world.api_keys.find_by_prefix("prefix%").await.unwrap().is_none());
}

pub async fn id_prefix_and_digest_are_unique(world: &World) {
    let first = api_key(1);
    insert(world, &first).await;
    let same_id = ApiKey { id: first.id.clone(), ..api_key(2) };
    let same_prefix = ApiKey { prefix: first.prefix.clone(), ..api_key(2) };
    let same_digest = ApiKey { digest: first.digest, ..api_key(2) };
    for taken in [same_id, same_prefix, same_digest] {
        assert_eq!(world.api_keys.insert(&taken, &change()).await.unwrap(), Insert::Taken);
    }
    assert_eq!(world.api_keys.list(&every(None, 10)).await.unwrap().len(), 1);
}

pub async fn the_first_revocation_is_kept(world: &World) {
    let key = api_key(1);
    insert(world, &key).await;
    assert!(world.api_keys.revoke(&key.id, "lost", at(10), &change()).await.unwrap());
    assert!(!world.api_keys.revoke(&key.id, "found", at(11), &change()).await.unwrap());
    assert!(!world.api_keys.revoke(&ApiKeyId("none".to_owned()), "lost", at(11), &change()).await.unwrap());
    let found = world.api_keys.find(&key.id).await.unwrap().unwrap();
    assert_eq!(found.revoked, Some((at(10), "lost".to_owned())));
}

pub async fn are_listed_newest_first_in_pages(world: &World) {
    for number in [2, 4, 1, 3] {
        insert(world, &api_key(number)).await;
    }
    insert(world, &ApiKey { created_at: at(4), ..api_key(5) }).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = world.api_keys.list(&every(before, 1)).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.created_at, last.id.clone()));
        seen.extend(page.into_iter().map(|key| key.id.0));
    }
    assert_eq!(seen, ["key-5", "key-4", "key-3", "key-2", "key-1"]);
}

pub async fn odd_texts_come_back_unchanged(world: &World) {
    for (number, text) in odd_texts().into_iter().enumerate() {
        let stored = ApiKey {
            name: text.clone(),
            owner: KeyOwner::Service(text.clone()),
            ..api_key(u8::try_from(number).unwrap())
        };
        insert(world, &stored).await;
        world.api_keys.revoke(&stored.id, &text, at(10), &change()).await.unwrap();
        let found = world.api_keys.find(&stored.id).await.unwrap().unwrap();
        let unchanged = found.name == text && found.owner == stored.owner && found.revoked == Some((at(10), text));
        assert!(unchanged, "text {number} changed");
    }
}
