//! What is promised of sessions.

use std::sync::Arc;

use portcullis::domain::session::{Session, SessionEnd, SessionId};
use portcullis::domain::user::UserId;

use crate::users::insert as insert_user;
use crate::{World, at, change, odd_texts};

pub fn session(id: &str, user: &UserId) -> Session {
    Session {
        id: SessionId(id.to_owned()),
        user_id: user.clone(),
        counter: 0,
        rotated_at: at(0),
        created_at: at(1),
        last_used_at: at(2),
        expires_at: at(86_400),
        ended: None,
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        client_address: "2001:db8::1".to_owned(),
        user_agent: "a browser".to_owned(),
    }
}

async fn insert(world: &World, id: &str) -> Session {
    let user = match world.users.find_by_username("anna").await.unwrap() {
        Some(user) => user,
        None => insert_user(world, "anna").await,
    };
    let session = session(id, &user.id);
    world.sessions.insert(&session).await.unwrap();
    session
}

async fn find(world: &World, id: &SessionId) -> Session {
    (*world.sessions.find(id).await.unwrap().unwrap()).clone()
}

pub async fn come_back_as_they_were_stored(world: &World) {
    let plain = insert(world, "plain").await;
    assert_eq!(format!("{:?}", find(world, &plain.id).await), format!("{plain:?}"));
    assert!(world.sessions.find(&SessionId("none".to_owned())).await.unwrap().is_none());

    let reasons = SessionEnd::ALL.into_iter().map(|why| (why.as_str().to_owned(), Some((at(9), why)), String::new()));
    let texts = odd_texts().into_iter().enumerate().map(|(number, text)| (format!("odd-{number}"), None, text));
    for (id, ended, text) in reasons.chain(texts) {
        let stored = Session {
            counter: i64::MAX,
            ended,
            client_address: text.clone(),
            user_agent: text,
            ..session(&id, &plain.user_id)
        };
        world.sessions.insert(&stored).await.unwrap();
        assert!(format!("{:?}", find(world, &stored.id).await) == format!("{stored:?}"), "{id} changed");
    }
}

pub async fn a_second_insert_changes_nothing(world: &World) {
    let first = insert(world, "s").await;
    world.sessions.rotate(&first.id, 0, at(3)).await.unwrap();
    world.sessions.insert(&Session { user_agent: "another".to_owned(), ..first.clone() }).await.unwrap();
    let found = find(world, &first.id).await;
    assert_eq!((found.counter, found.user_agent), (1, first.user_agent));
}

pub async fn one_of_many_rotations_wins(world: &World) {
    let session = insert(world, "s").await;
    for round in 0..5 {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (sessions, id) = (Arc::clone(&world.sessions), session.id.clone());
                tokio::spawn(async move { sessions.rotate(&id, round, at(100 + round)).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
        let found = find(world, &session.id).await;
        let moved = (found.counter, found.rotated_at, found.last_used_at, found.expires_at);
        assert_eq!(moved, (round + 1, at(100 + round), at(100 + round), session.expires_at));
    }
}

pub async fn an_ended_session_does_not_rotate(world: &World) {
    let session = insert(world, "s").await;
    assert!(!world.sessions.rotate(&SessionId("none".to_owned()), 0, at(3)).await.unwrap());
    assert!(!world.sessions.rotate(&session.id, 1, at(3)).await.unwrap());
    world.sessions.end(&session.id, SessionEnd::Logout, at(4), &change()).await.unwrap();
    assert!(!world.sessions.rotate(&session.id, 0, at(5)).await.unwrap());
    assert_eq!(find(world, &session.id).await.counter, 0);
}

pub async fn the_first_end_is_kept(world: &World) {
    let session = insert(world, "s").await;
    assert!(world.sessions.end(&session.id, SessionEnd::RefreshReuse, at(4), &change()).await.unwrap());
    assert!(!world.sessions.end(&session.id, SessionEnd::Logout, at(5), &change()).await.unwrap());
    assert!(!world.sessions.end(&SessionId("none".to_owned()), SessionEnd::Logout, at(5), &change()).await.unwrap());
    assert_eq!(find(world, &session.id).await.ended, Some((at(4), SessionEnd::RefreshReuse)));
}

pub async fn one_of_many_ends_is_told(world: &World) {
    let session = insert(world, "s").await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (sessions, id) = (Arc::clone(&world.sessions), session.id.clone());
            tokio::spawn(async move { sessions.end(&id, SessionEnd::Logout, at(4), &change()).await.unwrap() })
        })
        .collect();
    let mut told = 0;
    for task in tasks {
        told += usize::from(task.await.unwrap());
    }
    assert_eq!(told, 1);
    assert_eq!(world.invalidations.newest().await.unwrap().0, 1);
}

pub async fn expired_ones_are_deleted_in_batches(world: &World) {
    let live = insert(world, "live").await;
    for number in 0..5 {
        let expired = Session { expires_at: at(number), ..session(&number.to_string(), &live.user_id) };
        world.sessions.insert(&expired).await.unwrap();
    }
    // The one that expires at that very instant stays.
    assert_eq!(world.sessions.delete_expired(at(4), 3).await.unwrap(), 3);
    assert_eq!(world.sessions.delete_expired(at(4), 3).await.unwrap(), 1);
    assert_eq!(world.sessions.delete_expired(at(4), 3).await.unwrap(), 0);
    assert!(world.sessions.find(&SessionId("4".to_owned())).await.unwrap().is_some());
    assert!(world.sessions.find(&live.id).await.unwrap().is_some());
}
