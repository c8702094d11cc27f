//! What is promised of the audit.

use portcullis::crypto::random::OsRandom;
use portcullis::domain::api_key::ApiKeyId;
use portcullis::domain::audit::{Actor, AuditAction, AuditEvent, AuditOutcome, AuditQuery, Initiator};
use portcullis::domain::session::SessionId;
use portcullis::domain::user::UserId;
use portcullis::storage::users::Insert;

use crate::users::user;
use crate::{World, at, change_of, odd_names, odd_texts};

fn all() -> AuditQuery {
    AuditQuery { limit: 1000, ..AuditQuery::default() }
}

fn event(action: AuditAction, secs: i64) -> AuditEvent {
    change_of(action, secs).audit
}

fn by(actor: Actor) -> Initiator {
    Initiator {
        actor,
        key_id: Some(ApiKeyId("k1".to_owned())),
        session_id: Some(SessionId("s1".to_owned())),
        address: "192.0.2.1".to_owned(),
        user_agent: "curl".to_owned(),
        request_id: "r1".to_owned(),
    }
}

pub async fn comes_back_as_it_was_stored(world: &World) {
    let mut stored = Vec::new();
    for (number, (text, name)) in odd_texts().into_iter().zip(odd_names()).enumerate() {
        let secs = i64::try_from(number).unwrap();
        let outcome = if number % 2 == 0 { AuditOutcome::Done } else { AuditOutcome::Refused("scope_missing") };
        let initiator =
            Initiator { user_agent: text.clone(), request_id: name.clone(), ..by(Actor::Service(name.clone())) };
        let event = initiator.did(AuditAction::ALL[number], outcome, at(secs), &OsRandom::new());
        stored.push(event.about(&UserId(name.clone())).on_key(&ApiKeyId(name)).saying(text));
    }
    stored.push(event(AuditAction::SecretsRotate, 100));
    for event in &stored {
        world.audit.append(event).await.unwrap();
    }
    stored.reverse();
    assert!(world.audit.list(&all()).await.unwrap() == stored);
}

pub async fn is_written_with_its_change_and_only_then(world: &World) {
    let told = change_of(AuditAction::UserCreate, 1);
    assert_eq!(world.users.insert(&user("anna"), &told).await.unwrap(), Insert::Done);
    assert_eq!(world.users.insert(&user("anna"), &change_of(AuditAction::UserCreate, 2)).await.unwrap(), Insert::Taken);
    let nobody = UserId("nobody".to_owned());
    assert!(!world.users.set_active(&nobody, false, at(3), &change_of(AuditAction::UserDisable, 3)).await.unwrap());
    assert_eq!(world.audit.list(&all()).await.unwrap(), std::slice::from_ref(&told.audit));
    // An id twice is a fault of ours: then there is no change either.
    assert!(world.users.set_active(&user("anna").id, false, at(4), &told).await.is_err());
    assert!(world.users.find(&user("anna").id).await.unwrap().unwrap().is_active);
}

pub async fn is_listed_newest_first_in_pages(world: &World) {
    for secs in [3, 1, 4, 2, 5] {
        world.audit.append(&event(AuditAction::UserChange, secs)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = world.audit.list(&AuditQuery { before, limit: 2, ..AuditQuery::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id.clone());
        // What comes while somebody reads is on no later page.
        world.audit.append(&event(AuditAction::UserChange, 100)).await.unwrap();
        seen.extend(page.into_iter().map(|event| event.at));
    }
    assert_eq!(seen, [at(5), at(4), at(3), at(2), at(1)]);
}

pub async fn is_found_by_each_filter_and_by_all_of_them(world: &World) {
    let (anna, bert) = (UserId("a".to_owned()), UserId("b".to_owned()));
    let random = OsRandom::new();
    let did = |by: &Initiator, action, outcome, secs| by.did(action, outcome, at(secs), &random);
    let by_anna = by(Actor::User(anna.clone()));
    let by_desk = Initiator { request_id: "r2".to_owned(), ..by(Actor::Service("a".to_owned())) };
    let refused = AuditOutcome::Refused("sign_in_refused");
    for event in [
        did(&Initiator::operator(), AuditAction::UserCreate, AuditOutcome::Done, 1).about(&anna),
        did(&by(Actor::Anonymous), AuditAction::SignIn, refused, 2).about(&anna),
        did(&by_anna, AuditAction::KeyCreate, AuditOutcome::Done, 3).about(&bert).on_key(&ApiKeyId("7".to_owned())),
        did(&by_desk, AuditAction::UserDisable, AuditOutcome::Done, 4).about(&bert),
        did(&by_desk, AuditAction::UserDelete, AuditOutcome::Refused("scope_missing"), 5).about(&bert),
    ] {
        world.audit.append(&event).await.unwrap();
    }
    let cases: Vec<(AuditQuery, &[i64])> = vec![
        (all(), &[5, 4, 3, 2, 1]),
        (AuditQuery { user: Some(anna.clone()), ..all() }, &[3, 2, 1]),
        (AuditQuery { user: Some(bert.clone()), ..all() }, &[5, 4, 3]),
        (AuditQuery { actor: Some(Actor::User(anna.clone())), ..all() }, &[3]),
        (AuditQuery { actor: Some(Actor::Service("a".to_owned())), ..all() }, &[5, 4]),
        (AuditQuery { actor: Some(Actor::Operator), ..all() }, &[1]),
        (AuditQuery { action: Some(AuditAction::SignIn), ..all() }, &[2]),
        (AuditQuery { done: Some(true), ..all() }, &[4, 3, 1]),
        (AuditQuery { done: Some(false), ..all() }, &[5, 2]),
        (AuditQuery { object: Some("key:7".to_owned()), ..all() }, &[3]),
        (AuditQuery { object: Some("key:%".to_owned()), ..all() }, &[]),
        (AuditQuery { request_id: Some("r2".to_owned()), ..all() }, &[5, 4]),
        (AuditQuery { since: Some(at(2)), until: Some(at(4)), ..all() }, &[3, 2]),
        (AuditQuery { user: Some(bert.clone()), done: Some(false), ..all() }, &[5]),
        (
            AuditQuery {
                user: Some(anna.clone()),
                actor: Some(Actor::User(anna.clone())),
                action: Some(AuditAction::KeyCreate),
                done: Some(true),
                object: Some("key:7".to_owned()),
                request_id: Some("r1".to_owned()),
                since: Some(at(3)),
                until: Some(at(4)),
                ..all()
            },
            &[3],
        ),
        (AuditQuery { limit: 2, ..AuditQuery::default() }, &[5, 4]),
    ];
    for (query, expected) in cases {
        let found: Vec<_> = world.audit.list(&query).await.unwrap().into_iter().map(|event| event.at).collect();
        assert_eq!(found, expected.iter().map(|secs| at(*secs)).collect::<Vec<_>>(), "{query:?}");
    }
}

pub async fn is_deleted_in_batches(world: &World) {
    for secs in 1..=5 {
        world.audit.append(&event(AuditAction::UserChange, secs)).await.unwrap();
    }
    assert_eq!(world.audit.delete_before(at(4), 2).await.unwrap(), 2);
    assert_eq!(world.audit.delete_before(at(4), 2).await.unwrap(), 1);
    assert_eq!(world.audit.delete_before(at(4), 2).await.unwrap(), 0);
    let left: Vec<_> = world.audit.list(&all()).await.unwrap().into_iter().map(|event| event.at).collect();
    assert_eq!(left, [at(5), at(4)]);
}
