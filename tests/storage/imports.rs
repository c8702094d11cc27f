//! What is taken over from another installation.

use portcullis::crypto::digest::sha256;
use portcullis::domain::api_key::{ApiKey, ApiKeyId};
use portcullis::domain::audit::AuditAction;
use portcullis::domain::factor_proof::RecoveryCodeId;
use portcullis::domain::invalidation::Invalidation;
use portcullis::domain::user::{PasswordHash, User, UserId};
use portcullis::storage::imports::{ImportKind, ImportedKey, Remembered};
use portcullis::storage::second_factors::RecoveryCode;

use crate::api_keys::api_key;
use crate::users::user;
use crate::{World, at, change_of};

fn slow(number: u8) -> ImportedKey {
    let slow_hash = Some(PasswordHash::new(format!("pbkdf2_sha256$1$salt${number}")));
    ImportedKey { key: api_key(number), slow_hash }
}

fn remembered(original: &str, secs: i64) -> Remembered {
    let digest = sha256(original.as_bytes());
    Remembered { original: original.to_owned(), target: format!("here {original}"), digest, seen_at: at(secs) }
}

/// Many rows go in at once, and tell which of them were taken.
pub async fn rows_go_in_together_and_those_that_are_taken_are_told(world: &World) {
    let mut importing = world.imports.begin().await.unwrap();
    let users: Vec<User> = (0..500).map(|number| user(&format!("user {number}"))).collect();
    assert_eq!(importing.insert_users(&users).await.unwrap().len(), 500);
    let twin = User { id: UserId("another".into()), ..users[7].clone() };
    let fresh = user("fresh");
    let inserted = importing.insert_users(&[twin, fresh.clone()]).await.unwrap();
    assert!(inserted.len() == 1 && inserted.contains(fresh.id.as_str()), "{inserted:?}");
    let codes: Vec<(UserId, RecoveryCode)> = ["a", "b"]
        .map(|id| (fresh.id.clone(), RecoveryCode { id: RecoveryCodeId(id.into()), digest: sha256(b"same") }))
        .into();
    assert_eq!(importing.insert_recovery_codes(&codes).await.unwrap().len(), 2);
    assert_eq!(importing.spend_recovery_codes(&["a".to_owned()], at(1)).await.unwrap(), 1);
    let change = change_of(AuditAction::Import, 1);
    importing.commit(&change).await.unwrap();
    assert_eq!(world.users.count().await.unwrap(), 501);
    assert_eq!(*world.users.find(&users[7].id).await.unwrap().unwrap(), users[7]);
    assert_eq!(world.second_factors.recovery_codes_left(&fresh.id).await.unwrap(), 1);
}

pub async fn what_is_rolled_back_or_dropped_never_was(world: &World) {
    for commits in [false, true] {
        let mut importing = world.imports.begin().await.unwrap();
        importing.insert_users(&[user("anna")]).await.unwrap();
        importing.insert_api_keys(&[slow(1)]).await.unwrap();
        importing.remember(ImportKind::User, &[remembered("1", 1)]).await.unwrap();
        if commits {
            importing.roll_back().await.unwrap();
        } else {
            drop(importing);
        }
        assert_eq!(world.users.count().await.unwrap(), 0);
    }
    let mut importing = world.imports.begin().await.unwrap();
    assert!(importing.known(ImportKind::User, &["1".to_owned()]).await.unwrap().is_empty());
    importing.roll_back().await.unwrap();
}

pub async fn what_was_taken_over_is_remembered_by_kind_and_id(world: &World) {
    let mut importing = world.imports.begin().await.unwrap();
    let (old, new) = ([remembered("1", 1), remembered("2", 1), remembered("3", 1)], [remembered("2", 2)]);
    importing.remember(ImportKind::RecoveryCode, &old).await.unwrap();
    importing.remember(ImportKind::RecoveryCode, &new).await.unwrap();
    let ids = ["1", "2", "4"].map(str::to_owned);
    let known = importing.known(ImportKind::RecoveryCode, &ids).await.unwrap();
    assert_eq!((known.len(), &known["1"], &known["2"]), (2, &old[0], &new[0]));
    assert!(importing.known(ImportKind::ApiKey, &ids).await.unwrap().is_empty());
    let gone = importing.unseen(ImportKind::RecoveryCode, at(2), "", 10).await.unwrap();
    assert_eq!(gone, [old[0].clone(), old[2].clone()]);
    let after = importing.unseen(ImportKind::RecoveryCode, at(2), "1", 10).await.unwrap();
    assert_eq!(after, [old[2].clone()]);
    importing.forget(ImportKind::RecoveryCode).await.unwrap();
    assert!(importing.known(ImportKind::RecoveryCode, &ids).await.unwrap().is_empty());
    importing.roll_back().await.unwrap();
}

/// The slow hash is looked up by the visible prefix until the fast digest is kept in its place, which all nodes hear of.
pub async fn a_slow_key_becomes_a_fast_one_once(world: &World) {
    let key = slow(1);
    let mut importing = world.imports.begin().await.unwrap();
    assert_eq!(importing.insert_api_keys(std::slice::from_ref(&key)).await.unwrap().len(), 1);
    importing.commit(&change_of(AuditAction::Import, 1)).await.unwrap();
    let prefix = key.key.prefix.as_str();
    let found = world.slow_keys.find(prefix, at(0)).await.unwrap().unwrap();
    assert_eq!((&found.id, Some(&found.hash)), (&key.key.id, key.slow_hash.as_ref()));
    assert_eq!(world.slow_keys.find("another", at(0)).await.unwrap(), None);
    assert_eq!(world.slow_keys.any(at(0)).await.unwrap(), Some(found.clone()));

    let epoch = world.invalidations.newest().await.unwrap();
    let fast = sha256(b"the key itself");
    for _ in 0..2 {
        world.slow_keys.upgrade(&found, &fast, at(1)).await.unwrap();
    }
    assert_eq!(world.invalidated_after(epoch).await, [Invalidation::ApiKey(ApiKeyId(key.key.id.0.clone()))]);
    assert_eq!(world.api_keys.find_by_digest(&fast).await.unwrap().unwrap().id, key.key.id);
    assert_eq!(world.slow_keys.find(prefix, at(0)).await.unwrap(), None);
    assert_eq!(world.slow_keys.any(at(0)).await.unwrap(), None);
}

/// What would be refused in any case is not hashed.
pub async fn a_slow_key_that_is_revoked_or_expired_is_not_found(world: &World) {
    let expired = ImportedKey { key: ApiKey { expires_at: Some(at(10)), ..slow(1).key }, ..slow(1) };
    let revoked = ImportedKey { key: ApiKey { revoked: Some((at(0), "x".into())), ..slow(2).key }, ..slow(2) };
    let mut importing = world.imports.begin().await.unwrap();
    assert_eq!(importing.insert_api_keys(&[expired.clone(), revoked.clone()]).await.unwrap().len(), 2);
    importing.commit(&change_of(AuditAction::Import, 1)).await.unwrap();
    let find = async |key: &ImportedKey, secs| world.slow_keys.find(&key.key.prefix, at(secs)).await.unwrap().is_some();
    assert!(find(&expired, 9).await && !find(&expired, 10).await && !find(&revoked, 0).await);
    assert!(world.slow_keys.any(at(9)).await.unwrap().is_some());
    assert_eq!(world.slow_keys.any(at(10)).await.unwrap(), None);
}
