//! API keys at the door: only the whole exact key, judged anew on each request, and no way to guess or to flood.

use std::time::Duration;

use crate::harness::{Plan, World, eventually, operator};
use portcullis::domain::api_key::{ApiKey, ApiKeyId};
use portcullis::domain::audit::{AuditAction, AuditOutcome};
use portcullis::domain::change::Change;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::presented_key::PresentedKey;
use portcullis::storage::users::Insert;

fn unknown_key() -> String {
    PresentedKey::generate(&portcullis::crypto::random::OsRandom::new()).expose().to_owned()
}

#[test]
fn keys_that_are_not_good_are_refused_alike_whatever_is_wrong_with_them() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let user = world.user("anna");
    let (revoked, revoked_text) = world.key("");
    world.wait(world.administration.keys.revoke(revoked.id.as_str(), "leaked", &crate::harness::operator())).unwrap();
    let service = || KeyOwner::Service("robot".to_owned());
    let (_, expired) = world.key_of(service(), "", Some(Duration::from_secs(60)));
    let (_, disabled) = world.key_of(KeyOwner::User(user.id.clone()), "", None);
    world.wait(world.administration.users.set_active("anna", false, &crate::harness::operator())).unwrap();
    clock.advance(Duration::from_secs(60));
    // Known to the store, so that a guesser with half of a key has something to gain.
    let (_, known) = world.key("");
    let other = unknown_key();
    let half = format!("{}{}", &known[..12], &other[12..]);
    let mut wrong_checksum = unknown_key();
    let last = if wrong_checksum.ends_with('A') { "B" } else { "A" };
    wrong_checksum.replace_range(wrong_checksum.len() - 1.., last);

    for path in ["/proxied", "/api/v1/auth/me/"] {
        let unknown = world.get(path, &[("X-API-Key", &unknown_key())]);
        assert_eq!((unknown.status, unknown.code().as_str()), (401, "key_not_valid"), "{unknown:?}");
        for (key, what) in [
            (&revoked_text, "revoked"),
            (&expired, "expired"),
            (&disabled, "of a disabled owner"),
            (&half, "a known prefix with a wrong secret"),
            (&wrong_checksum, "a wrong checksum"),
            (&"junk".to_owned(), "no key at all"),
        ] {
            assert_eq!(world.get(path, &[("X-API-Key", key)]).comparable(), unknown.comparable(), "{what}");
        }
    }
    // The operator is told which; an unknown secret after a known prefix is an unknown key whose checksum fails.
    for (reason, count) in
        [("key_unknown", 2), ("key_revoked", 2), ("key_expired", 2), ("key_owner_inactive", 2), ("key_malformed", 6)]
    {
        world.assert_counted(reason, count);
    }
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn a_new_key_works_at_once_and_expires_to_the_second() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let owner = KeyOwner::Service("robot".to_owned());
    let (_, text) = world.key_of(owner, "", Some(Duration::from_secs(60)));
    world.get("/", &[("X-API-Key", &text)]).seen();
    clock.advance(Duration::from_secs(59));
    world.get("/", &[("X-API-Key", &text)]).seen();
    clock.advance(Duration::from_secs(1));
    assert_eq!(world.get("/", &[("X-API-Key", &text)]).status, 401, "also while it is remembered");
}

#[test]
fn a_key_that_was_tried_before_it_was_made_works_once_it_is_made() {
    // The clock stands still, so no remembered absence grows old by itself.
    let (plan, _) = Plan::default().timed();
    let world = World::plan(plan);
    let (made, _) = world.key("");
    let text = unknown_key();
    for _ in 0..3 {
        assert_eq!(world.get("/", &[("X-API-Key", &text)]).status, 401);
    }
    let digest = portcullis::crypto::digest::sha256(text.as_bytes());
    let key = ApiKey { id: ApiKeyId("later".to_owned()), prefix: text[3..11].to_owned(), digest, ..made };
    let random = portcullis::crypto::random::OsRandom::new();
    let created = operator().did(AuditAction::KeyCreate, AuditOutcome::Done, key.created_at, &random);
    assert_eq!(world.wait(world.stores.api_keys.insert(&key, &Change::from(created))).unwrap(), Insert::Done);
    eventually("the new key to work", || (world.get("/", &[("X-API-Key", &text)]).status == 200).then_some(()));
}

#[test]
fn a_revocation_is_noticed_while_the_key_is_in_use() {
    let world = World::start();
    let (key, text) = world.key("");
    let (_, other) = world.key("");
    for _ in 0..20 {
        world.get("/", &[("X-API-Key", &text)]).seen();
    }
    world.wait(world.administration.keys.revoke(key.id.as_str(), "leaked", &crate::harness::operator())).unwrap();
    eventually("the revoked key to be refused", || {
        (world.get("/", &[("X-API-Key", &text)]).status == 401).then_some(())
    });
    for _ in 0..20 {
        assert_eq!(world.get("/", &[("X-API-Key", &text)]).status, 401, "and it stays so");
    }
    world.get("/", &[("X-API-Key", &other)]).seen();
}

#[test]
fn a_key_falls_with_its_owner() {
    let world = World::start();
    let user = world.user("anna");
    let (_, text) = world.key_of(KeyOwner::User(user.id.clone()), "", None);
    let seen = world.get("/", &[("X-API-Key", &text)]).seen();
    assert_eq!(seen.header("x-auth-user-id"), Some(user.id.as_str()));
    assert_eq!(seen.header("x-auth-username"), Some("anna"));
    world.wait(world.administration.users.set_active("anna", false, &crate::harness::operator())).unwrap();
    let status = || world.get("/", &[("X-API-Key", &text)]).status;
    eventually("the key of a disabled user to be refused", || (status() == 401).then_some(()));
    world.wait(world.administration.users.set_active("anna", true, &crate::harness::operator())).unwrap();
    eventually("the key to work again", || (status() == 200).then_some(()));
}

#[test]
fn only_the_whole_exact_key_is_accepted() {
    let world = World::start();
    let (_, text) = world.key("");
    let changed = [
        text[..text.len() - 1].to_owned(),
        text[..12].to_owned(),
        text[1..].to_owned(),
        text[3..].to_owned(),
        format!("{text}0"),
        format!("{text}*"),
        format!("{text},{text}"),
        format!("{text} {text}"),
        format!("\"{text}\""),
        text.to_uppercase(),
        text.to_lowercase(),
        text.replace('_', "-"),
        text.replacen("pk_", "PK_", 1),
        format!("Bearer {text}"),
        "%".to_owned(),
        "pk_________*".to_owned(),
    ];
    for key in changed {
        let reply = world.get("/", &[("X-API-Key", &key)]);
        assert_eq!((reply.status, reply.code().as_str()), (401, "key_not_valid"), "{key}");
    }
    world.get("/", &[("X-API-Key", &format!("  {text}\t"))]).seen();
    assert_eq!(world.get("/", &[("X-API-Key", &text), ("X-API-Key", &text)]).status, 400);
    assert_eq!(world.upstream.seen().len(), 1);
}

const ROUTES: &str = "
  - { name: read, path: /read, upstream: backend, access: { any: [jwt, api_key], scopes: [orders:read] } }
  - { name: write, path: /write, upstream: backend, access: { any: [api_key], scopes: [orders:read, orders:write] } }
  - { name: people, path: /people, upstream: backend, access: { any: [jwt] } }
  - { name: both, path: /both, upstream: backend, access: { all: [jwt, api_key], scopes: [orders:read] } }
  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }";

#[test]
fn scopes_are_judged_per_route_and_per_request() {
    let world = World::with_routes(ROUTES);
    let (_, reader) = world.key("orders:read");
    let (_, writer) = world.key("orders:write orders:read");
    let (_, none) = world.key("");
    let (_, near) = world.key("orders:rea orders:read2 orders orders:* *");
    // Twice, as the second time everything about the key is remembered.
    for _ in 0..2 {
        for (key, path, status) in [
            (&reader, "/read", 200),
            (&reader, "/write", 403),
            (&reader, "/other", 200),
            (&writer, "/read", 200),
            (&writer, "/write", 200),
            (&none, "/other", 200),
            (&none, "/read", 403),
            (&near, "/read", 403),
        ] {
            let reply = world.get(path, &[("X-API-Key", key)]);
            assert_eq!(reply.status, status, "{path}: {reply:?}");
            if status == 403 {
                assert_eq!(reply.code(), "permission_denied");
                assert_eq!(reply.header("www-authenticate"), None);
            }
        }
    }
    world.assert_counted("scope_missing", 6);
}

#[test]
fn a_route_says_which_kinds_it_takes_and_whether_all_of_them() {
    let world = World::with_routes(ROUTES);
    world.user_with("anna", false, "orders:read orders:write");
    world.user("bert");
    let bearer = |name: &str| format!("Bearer {}", world.sign_in(name).0);
    let (anna, bert) = (bearer("anna"), bearer("bert"));
    let (_, reader) = world.key("orders:read");
    let (_, none) = world.key("");
    let ask = |path: &str, token: Option<&str>, key: Option<&str>| {
        let token = token.map(|token| ("Authorization", token));
        let headers: Vec<_> = token.into_iter().chain(key.map(|key| ("X-API-Key", key))).collect();
        world.get(path, &headers)
    };
    for (path, token, key, status) in [
        ("/people", Some(anna.as_str()), None, 200),
        ("/people", None, Some(reader.as_str()), 401),
        ("/write", Some(&anna), None, 401),
        ("/both", Some(&anna), None, 401),
        ("/both", None, Some(&reader), 401),
        ("/both", Some(&anna), Some(&reader), 200),
        ("/both", Some(&anna), Some(&none), 403),
        ("/both", Some(&bert), Some(&reader), 403),
        ("/both", Some(&anna), Some("junk"), 401),
        ("/both", Some("Bearer junk"), Some(&reader), 401),
        ("/people", Some(&anna), Some("junk"), 401),
        ("/people", Some(&anna), Some(&reader), 200),
    ] {
        let reply = ask(path, token, key);
        assert_eq!(reply.status, status, "{path} {token:?} {key:?}: {reply:?}");
    }
    let seen = ask("/both", Some(&anna), Some(&reader)).seen();
    assert_eq!(seen.header("x-auth-username"), Some("anna"), "the token names the subject");
    assert_eq!(seen.header("x-auth-scopes"), Some("orders:read"), "only what both may do");
    assert!(seen.header("x-auth-key-id").is_some());
}

#[test]
fn a_valid_token_with_a_bad_key_passes_for_django_clients_only() {
    for (plan, status) in [(Plan::default(), 401), (Plan::django(""), 200)] {
        let world = World::plan(plan);
        world.user("anna");
        let bearer = format!("Bearer {}", world.sign_in("anna").0);
        for key in ["junk", &unknown_key()] {
            let reply = world.get("/", &[("Authorization", &bearer), ("X-API-Key", key)]);
            assert_eq!(reply.status, status, "{reply:?}");
        }
    }
}

#[test]
fn a_flood_of_unknown_keys_is_slowed_and_nobody_else_is() {
    let limits = "limits: { unknown_keys_per_second: 1, unknown_keys_burst: 5 }\ntrusted_proxies: [127.0.0.1]";
    let (plan, clock) = Plan { extra: limits.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let (_, hot) = world.key("");
    let (_, cold) = world.key("");
    let ask = |from: &str, key: &str| world.get("/", &[("X-Forwarded-For", from), ("X-API-Key", key)]);
    let (flooder, other) = ("192.0.2.1", "192.0.2.2");
    ask(flooder, &hot).seen();
    // Its own burst, and then the last one that all flooded networks share.
    for _ in 0..5 + 5 {
        assert_eq!(ask(flooder, &unknown_key()).status, 401);
    }
    for _ in 0..20 {
        let reply = ask(flooder, &unknown_key());
        assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_unknown_keys"));
        assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
        assert_eq!(reply.header("www-authenticate"), None);
    }
    ask(flooder, &hot).seen();
    assert_eq!(ask(flooder, "junk").status, 401, "what is no key is never looked up");
    world.get("/", &[("X-Forwarded-For", flooder), ("Authorization", &format!("Bearer {access}"))]).seen();
    ask(other, &cold).seen();
    assert_eq!(ask(other, &unknown_key()).status, 401);
    clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        assert_eq!(ask(flooder, &unknown_key()).status, 401, "one more each second, and one of the shared ones");
    }
    assert_eq!(ask(flooder, &unknown_key()).status, 429);
}
