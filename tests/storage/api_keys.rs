//! What is promised of API keys.

use std::sync::Arc;

use portcullis::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyQuery, KeyUsage, Replacement};
use portcullis::domain::audit::AuditQuery;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::invalidation::{Epoch, Invalidation};
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_reach::{KeyReach, MethodNames, RouteNames};
use portcullis::domain::key_tally::KeyUse;
use portcullis::domain::key_terms::{IdleDays, KeyTerms};
use portcullis::domain::labels::Labels;
use portcullis::domain::network_set::NetworkSet;
use portcullis::domain::rate::{Quota, Rate};
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
        replaced: None,
        terms: KeyTerms::default(),
        usage: KeyUsage::default(),
    }
}

/// Limited in every way.
fn limited() -> KeyTerms {
    KeyTerms {
        reach: KeyReach {
            networks: NetworkSet::parse("192.0.2.0/24 2001:db8::/32").unwrap(),
            routes: RouteNames::parse("orders\nGET,POST /a b/").unwrap(),
            methods: MethodNames::parse("GET POST").unwrap(),
        },
        idle: IdleDays::new(30),
        rate: Some(Rate::parse("100/minute burst 20").unwrap()),
        quota: Some(Quota::parse("10000/month").unwrap()),
        labels: Labels::new([("team", "payments \"ü\""), ("a/b.c", "")]).unwrap(),
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
        replaced: Some(Replacement { by: ApiKeyId("next".to_owned()), at: Some((at(40), 11)) }),
        terms: limited(),
        usage: KeyUsage { last_at: Some(at(45)), count: 12 },
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

fn names(keys: &[ApiKey]) -> Vec<&str> {
    keys.iter().map(|key| key.name.as_str()).collect()
}

pub async fn are_searched_literally_and_filtered(world: &World) {
    let anna = insert_user(world, "anna").await;
    for (number, name) in [(1, "100%"), (2, "a_b"), (3, "a\\b"), (4, "axb"), (5, "Export")] {
        let owner = match number {
            4 => KeyOwner::User(anna.id.clone()),
            5 => KeyOwner::Service(anna.id.0.clone()),
            _ => KeyOwner::Service("importer".to_owned()),
        };
        insert(world, &ApiKey { name: name.to_owned(), owner, ..api_key(number) }).await;
    }
    world.api_keys.revoke(&api_key(2).id, "lost", at(10), &change()).await.unwrap();
    let search = |text: &str| KeyQuery { search: Some(text.to_owned()), ..every(None, 100) };
    for (text, expected) in [
        ("%", vec!["100%"]),
        ("_", vec!["a_b"]),
        ("\\", vec!["a\\b"]),
        ("EXP", vec!["Export"]),
        ("prefix05", vec!["Export"]),
        ("PREFIX0", vec!["Export", "axb", "a\\b", "a_b", "100%"]),
        ("refix0", vec![]),
        ("prefix%", vec![]),
    ] {
        assert_eq!(names(&world.api_keys.list(&search(text)).await.unwrap()), expected, "{text}");
    }
    let owned = |owner| KeyQuery { owner: Some(owner), ..every(None, 100) };
    let of_user = owned(KeyOwner::User(anna.id.clone()));
    assert_eq!(names(&world.api_keys.list(&of_user).await.unwrap()), ["axb"], "a service of that name is another");
    let of_service = owned(KeyOwner::Service("importer".to_owned()));
    assert_eq!(names(&world.api_keys.list(&of_service).await.unwrap()), ["a\\b", "a_b", "100%"]);
    let good = KeyQuery { revoked: false, ..of_service };
    assert_eq!(names(&world.api_keys.list(&good).await.unwrap()), ["a\\b", "100%"]);
}

pub async fn changes_are_made_to_keys_that_are_not_revoked(world: &World) {
    let key = api_key(1);
    insert(world, &key).await;
    insert(world, &api_key(2)).await;
    let mut expected = key.clone();
    for changes in [
        KeyChanges { name: Some("another".to_owned()), ..KeyChanges::default() },
        KeyChanges { scopes: Some(ScopeSet::default()), ..KeyChanges::default() },
        KeyChanges { expires_at: Some(Some(at(50))), ..KeyChanges::default() },
        KeyChanges::default(),
        KeyChanges {
            name: Some("x".to_owned()),
            scopes: Some(ScopeSet::parse("a b").unwrap()),
            expires_at: Some(None),
            ..KeyChanges::default()
        },
    ] {
        let before = world.invalidations.newest().await.unwrap();
        assert!(world.api_keys.update(&key.id, &changes, at(5), &change()).await.unwrap());
        expected = changes.applied_to(&expected);
        assert_eq!(whole(&world.api_keys.find(&key.id).await.unwrap().unwrap()), whole(&expected), "{changes:?}");
        assert_eq!(world.invalidated_after(before).await, [Invalidation::ApiKey(key.id.clone())]);
    }
    assert_eq!(whole(&world.api_keys.find(&api_key(2).id).await.unwrap().unwrap()), whole(&api_key(2)));
    world.api_keys.revoke(&key.id, "lost", at(10), &change()).await.unwrap();
    let before = world.invalidations.newest().await.unwrap();
    let renamed = KeyChanges { name: Some("y".to_owned()), ..KeyChanges::default() };
    for id in [&key.id, &ApiKeyId("none".to_owned())] {
        assert!(!world.api_keys.update(id, &renamed, at(11), &change()).await.unwrap());
    }
    assert_eq!(world.api_keys.find(&key.id).await.unwrap().unwrap().name, "x");
    assert_eq!(world.invalidations.newest().await.unwrap(), before);
}

/// The end of a key that is replaced at 10 by one that is made then, and works on until 20.
async fn rotated(world: &World, number: u8, expires_at: Option<Timestamp>) -> (Option<Insert>, ApiKey) {
    let old = ApiKey { expires_at, ..api_key(number) };
    insert(world, &old).await;
    let successor = ApiKey { created_at: at(10), ..api_key(number + 100) };
    let done = world.api_keys.rotate(&old.id, at(20), &successor, &change()).await.unwrap();
    (done, world.api_keys.find(&old.id).await.unwrap().unwrap())
}

pub async fn a_rotation_names_its_successor_and_ends_the_old_key(world: &World) {
    for (number, expires_at, end) in [(1, None, at(20)), (2, Some(at(100)), at(20)), (3, Some(at(15)), at(15))] {
        let (done, old) = rotated(world, number, expires_at).await;
        assert_eq!(done, Some(Insert::Done));
        let replaced = Some(Replacement { by: api_key(number + 100).id, at: Some((at(10), 0)) });
        let expected = ApiKey { expires_at: Some(end), replaced, ..api_key(number) };
        assert_eq!(whole(&old), whole(&expected));
        let successor = world.api_keys.find_by_digest(&api_key(number + 100).digest).await.unwrap().unwrap();
        assert_eq!(whole(&successor), whole(&ApiKey { created_at: at(10), ..api_key(number + 100) }));
    }
    let told: Vec<Invalidation> = world.invalidated_after(Epoch(0)).await;
    for number in [1, 101, 2, 102, 3, 103] {
        assert!(told.contains(&Invalidation::ApiKey(api_key(number).id)), "{number}");
    }
    // Not again, not after its end, not once revoked, and not what is not there.
    let (done, expired) = rotated(world, 4, Some(at(10))).await;
    assert_eq!((done, expired.replaced), (None, None));
    insert(world, &api_key(5)).await;
    world.api_keys.revoke(&api_key(5).id, "lost", at(6), &change()).await.unwrap();
    let successor = ApiKey { created_at: at(12), ..api_key(99) };
    for id in [api_key(1).id, api_key(5).id, ApiKeyId("none".to_owned())] {
        let done = world.api_keys.rotate(&id, at(20), &successor, &change()).await.unwrap();
        assert_eq!(done, None, "{id}");
    }
    // Nor when its reach is not.
    insert(world, &ApiKey { terms: limited(), ..api_key(7) }).await;
    assert_eq!(world.api_keys.rotate(&api_key(7).id, at(20), &successor, &change()).await.unwrap(), None);
    // Nor when its scopes are not those that the successor was made with.
    insert(world, &api_key(6)).await;
    let narrower = ApiKey { scopes: ScopeSet::default(), ..successor.clone() };
    assert_eq!(world.api_keys.rotate(&api_key(6).id, at(20), &narrower, &change()).await.unwrap(), None);
    assert_eq!(whole(&world.api_keys.find(&api_key(6).id).await.unwrap().unwrap()), whole(&api_key(6)));
    assert!(world.api_keys.find(&successor.id).await.unwrap().is_none());
}

pub async fn a_rotation_into_a_taken_key_changes_nothing(world: &World) {
    insert(world, &api_key(1)).await;
    insert(world, &api_key(2)).await;
    let before = world.invalidations.newest().await.unwrap();
    let taken = ApiKey { prefix: api_key(2).prefix, created_at: at(10), ..api_key(3) };
    let done = world.api_keys.rotate(&api_key(1).id, at(20), &taken, &change()).await.unwrap();
    assert_eq!(done, Some(Insert::Taken));
    assert_eq!(whole(&world.api_keys.find(&api_key(1).id).await.unwrap().unwrap()), whole(&api_key(1)));
    assert_eq!(world.invalidations.newest().await.unwrap(), before);
}

pub async fn of_parallel_rotations_one_is_made(world: &World) {
    insert(world, &api_key(1)).await;
    let rotations = (0..8_u8).map(|number| {
        let keys = Arc::clone(&world.api_keys);
        tokio::spawn(async move {
            let successor = ApiKey { created_at: at(10), ..api_key(100 + number) };
            keys.rotate(&api_key(1).id, at(20), &successor, &change()).await.unwrap()
        })
    });
    let mut made = 0;
    for rotation in rotations.collect::<Vec<_>>() {
        made += u32::from(rotation.await.unwrap().is_some());
    }
    assert_eq!(made, 1);
    assert_eq!(world.api_keys.list(&every(None, 100)).await.unwrap().len(), 2);
}

pub async fn every_limit_can_be_changed_and_lifted(world: &World) {
    insert(world, &api_key(1)).await;
    let limits = limited();
    let set = KeyChanges {
        networks: Some(limits.reach.networks.clone()),
        routes: Some(limits.reach.routes.clone()),
        methods: Some(limits.reach.methods.clone()),
        idle: Some(limits.idle),
        rate: Some(limits.rate),
        quota: Some(limits.quota),
        labels: Some(limits.labels.clone()),
        ..KeyChanges::default()
    };
    let lift = KeyChanges {
        networks: Some(NetworkSet::default()),
        routes: Some(RouteNames::default()),
        methods: Some(MethodNames::default()),
        idle: Some(None),
        rate: Some(None),
        quota: Some(None),
        labels: Some(Labels::default()),
        ..KeyChanges::default()
    };
    let rename = KeyChanges { name: Some("x".to_owned()), ..KeyChanges::default() };
    for (changes, expected) in [
        (&set, ApiKey { terms: limits.clone(), ..api_key(1) }),
        (&rename, ApiKey { terms: limits, name: "x".to_owned(), ..api_key(1) }),
        (&lift, ApiKey { name: "x".to_owned(), ..api_key(1) }),
    ] {
        assert!(world.api_keys.update(&api_key(1).id, changes, at(10), &change()).await.unwrap());
        assert_eq!(whole(&world.api_keys.find(&api_key(1).id).await.unwrap().unwrap()), whole(&expected));
    }
}

pub async fn uses_add_up_and_nobody_is_told_to_forget(world: &World) {
    let used = |number, count, last| KeyUse { id: api_key(number).id, count, last_at: at(last) };
    insert(world, &api_key(1)).await;
    insert(world, &api_key(2)).await;
    let before = world.invalidations.newest().await.unwrap();
    let events = world.audit.list(&everything()).await.unwrap().len();
    world.api_keys.add_uses(&[used(1, 3, 50), used(2, 1, 40), used(9, 7, 60)]).await.unwrap();
    // From another node, whose last use was before.
    world.api_keys.add_uses(&[used(1, 4, 45)]).await.unwrap();
    world.api_keys.add_uses(&[]).await.unwrap();
    let usage = async |number| world.api_keys.find(&api_key(number).id).await.unwrap().unwrap().usage;
    assert_eq!(usage(1).await, KeyUsage { last_at: Some(at(50)), count: 7 });
    assert_eq!(usage(2).await, KeyUsage { last_at: Some(at(40)), count: 1 });
    assert_eq!(world.invalidations.newest().await.unwrap(), before);
    assert_eq!(world.audit.list(&everything()).await.unwrap().len(), events);
    // Whoever replaces it sees from then on whether it is used still.
    let successor = ApiKey { created_at: at(60), ..api_key(3) };
    assert_eq!(world.api_keys.rotate(&api_key(1).id, at(90), &successor, &change()).await.unwrap(), Some(Insert::Done));
    world.api_keys.add_uses(&[used(1, 2, 70)]).await.unwrap();
    let old = world.api_keys.find(&api_key(1).id).await.unwrap().unwrap();
    assert_eq!(old.replaced, Some(Replacement { by: api_key(3).id, at: Some((at(60), 7)) }));
    assert_eq!(old.usage, KeyUsage { last_at: Some(at(70)), count: 9 });
}

pub async fn parallel_counts_of_the_same_keys_all_arrive(world: &World) {
    for number in 1..=5 {
        insert(world, &api_key(number)).await;
    }
    let writers = (0..8).map(|_| {
        let keys = Arc::clone(&world.api_keys);
        tokio::spawn(async move {
            let uses: Vec<KeyUse> =
                (1..=5).map(|number| KeyUse { id: api_key(number).id, count: 1, last_at: at(9) }).collect();
            keys.add_uses(&uses).await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for number in 1..=5 {
        assert_eq!(world.api_keys.find(&api_key(number).id).await.unwrap().unwrap().usage.count, 8);
    }
}

fn everything() -> AuditQuery {
    AuditQuery { limit: 1000, ..AuditQuery::default() }
}
