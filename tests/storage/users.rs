//! What is promised of users.

use portcullis::domain::clock::Timestamp;
use portcullis::domain::invalidation::Epoch;
use portcullis::domain::role::RoleSet;
use portcullis::domain::scope::ScopeSet;
use portcullis::domain::session::SessionEnd;
use portcullis::domain::user::{PasswordHash, User, UserId, UserQuery};
use portcullis::storage::users::{Insert, PasswordSetting};

use crate::sessions::session;
use crate::{World, at, change, odd_texts};

pub fn user(name: &str) -> User {
    User {
        id: UserId(format!("id-of-{name}")),
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        first_name: "First".to_owned(),
        last_name: "Last".to_owned(),
        is_active: true,
        is_admin: false,
        roles: RoleSet::parse("billing support").unwrap(),
        scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
        password: PasswordHash::new(format!("hash of {name}")),
        created_at: at(0),
        password_changed_at: at(1),
        tokens_valid_from: None,
        last_sign_in_at: Some(at(2)),
    }
}

pub async fn insert(world: &World, name: &str) -> User {
    let user = user(name);
    assert_eq!(world.users.insert(&user, &change()).await.unwrap(), Insert::Done);
    user
}

pub fn setting(id: &UserId, password: &PasswordHash, at: Timestamp) -> PasswordSetting {
    PasswordSetting {
        user_id: id.clone(),
        password: password.clone(),
        at,
        keep: None,
        tokens_valid_from: at,
        only_if_changed_at: None,
    }
}

async fn find(world: &World, id: &UserId) -> User {
    (*world.users.find(id).await.unwrap().unwrap()).clone()
}

/// `User` has no equality, on purpose; its whole text with the hash is one for a test.
fn whole(user: &User) -> String {
    format!("{user:?} {}", user.password.text())
}

pub async fn come_back_as_they_were_stored(world: &World) {
    let anna = insert(world, "anna").await;
    let mut bert = user("bert");
    (bert.is_active, bert.is_admin, bert.scopes) = (false, true, ScopeSet::default());
    (bert.email, bert.created_at) = (String::new(), Timestamp::from_micros(-1));
    world.users.insert(&bert, &change()).await.unwrap();

    assert_eq!(whole(&find(world, &anna.id).await), whole(&anna));
    assert_eq!(whole(&find(world, &bert.id).await), whole(&bert));
    assert_eq!(whole(&world.users.find_by_username("bert").await.unwrap().unwrap()), whole(&bert));
    assert!(world.users.find(&UserId("nobody".to_owned())).await.unwrap().is_none());
    assert_eq!(world.users.count().await.unwrap(), 2);
}

pub async fn names_and_ids_are_unique(world: &World) {
    let anna = insert(world, "anna").await;
    let same_name = User { id: UserId("other".to_owned()), ..user("anna") };
    let same_id = User { id: anna.id.clone(), ..user("other") };
    for taken in [same_name, same_id] {
        assert_eq!(world.users.insert(&taken, &change()).await.unwrap(), Insert::Taken);
    }
    assert_eq!(world.users.count().await.unwrap(), 1);
    assert_eq!(whole(&find(world, &anna.id).await), whole(&anna));
}

pub async fn names_are_compared_exactly(world: &World) {
    for name in ["anna", "Anna", "anna\u{301}", "annä", "anna\u{308}"] {
        insert(world, name).await;
        assert_eq!(world.users.find_by_username(name).await.unwrap().unwrap().username, name);
    }
    for name in ["ANNA", "anna ", " anna", "ann_", "ann%", "", "annä\u{200b}"] {
        assert!(world.users.find_by_username(name).await.unwrap().is_none(), "{name:?}");
    }
}

pub async fn odd_texts_come_back_unchanged(world: &World) {
    for (number, text) in odd_texts().into_iter().enumerate() {
        let stored =
            User { email: text.clone(), password: PasswordHash::new(text.clone()), ..user(&number.to_string()) };
        world.users.insert(&stored, &change()).await.unwrap();
        let found = find(world, &stored.id).await;
        assert!(found.email == text && found.password.text() == text, "text {number} changed");
        assert!(world.users.find_by_username(&text).await.unwrap().is_none());
        assert!(world.users.find(&UserId(text)).await.unwrap().is_none());
    }
    for name in ["o'brien", "🦀", "\u{202e}live", "\"; --"] {
        insert(world, name).await;
        assert_eq!(world.users.find_by_username(name).await.unwrap().unwrap().username, name);
    }
}

pub async fn are_listed_by_name_in_pages(world: &World) {
    for name in ["d", "b", "a", "e", "c"] {
        insert(world, name).await;
    }
    let mut seen = Vec::new();
    loop {
        let page = world
            .users
            .list(&UserQuery { after: seen.last().cloned(), limit: 2, ..UserQuery::default() })
            .await
            .unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|user| user.username));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

pub async fn disabling_ends_the_sessions_and_enabling_revives_none(world: &World) {
    let (anna, bert) = (insert(world, "anna").await, insert(world, "bert").await);
    for (id, user) in [("a1", &anna), ("a2", &anna), ("a3", &anna), ("b1", &bert)] {
        world.sessions.insert(&session(id, &user.id)).await.unwrap();
    }
    world.sessions.end(&session("a3", &anna.id).id, SessionEnd::Logout, at(5), &change()).await.unwrap();

    assert!(world.users.set_active(&anna.id, false, at(10), &change()).await.unwrap());
    assert!(!find(world, &anna.id).await.is_active);
    assert!(world.users.set_active(&anna.id, true, at(20), &change()).await.unwrap());
    assert!(find(world, &anna.id).await.is_active);

    let disabled = Some((at(10), SessionEnd::UserDisabled));
    for (id, ended) in [("a1", disabled), ("a2", disabled), ("a3", Some((at(5), SessionEnd::Logout))), ("b1", None)] {
        assert_eq!(world.sessions.find(&session(id, &anna.id).id).await.unwrap().unwrap().ended, ended, "{id}");
    }
}

pub async fn a_new_password_ends_the_sessions(world: &World) {
    let anna = insert(world, "anna").await;
    world.sessions.insert(&session("a1", &anna.id)).await.unwrap();
    assert!(
        world
            .users
            .set_password(&setting(&anna.id, &PasswordHash::new("new".to_owned()), at(10)), &change())
            .await
            .unwrap()
    );
    let found = find(world, &anna.id).await;
    assert_eq!((found.password.text(), found.password_changed_at), ("new", at(10)));
    let ended = world.sessions.find(&session("a1", &anna.id).id).await.unwrap().unwrap().ended;
    assert_eq!(ended, Some((at(10), SessionEnd::PasswordChange)));
}

pub async fn changes_to_nobody_change_nothing(world: &World) {
    let nobody = UserId("nobody".to_owned());
    let hash = PasswordHash::new("hash".to_owned());
    assert!(!world.users.set_active(&nobody, false, at(1), &change()).await.unwrap());
    assert!(!world.users.set_password(&setting(&nobody, &hash, at(1)), &change()).await.unwrap());
    assert!(!world.users.upgrade_password(&nobody, &hash, &hash).await.unwrap());
    assert_eq!(world.invalidations.newest().await.unwrap(), Epoch(0));
}

pub async fn a_better_hash_is_lost_when_the_password_changed(world: &World) {
    let anna = insert(world, "anna").await;
    world.sessions.insert(&session("a1", &anna.id)).await.unwrap();
    let better = PasswordHash::new("better".to_owned());
    assert!(world.users.upgrade_password(&anna.id, &anna.password, &better).await.unwrap());
    let upgraded = find(world, &anna.id).await;
    assert_eq!((upgraded.password.text(), upgraded.password_changed_at), ("better", anna.password_changed_at));
    assert!(world.sessions.find(&session("a1", &anna.id).id).await.unwrap().unwrap().ended.is_none());

    world
        .users
        .set_password(&setting(&anna.id, &PasswordHash::new("new".to_owned()), at(10)), &change())
        .await
        .unwrap();
    let late = PasswordHash::new("late".to_owned());
    assert!(!world.users.upgrade_password(&anna.id, &better, &late).await.unwrap());
    assert_eq!(find(world, &anna.id).await.password.text(), "new");
}

pub async fn a_user_with_very_many_sessions_can_be_disabled(world: &World) {
    let anna = insert(world, "anna").await;
    for number in 0..500 {
        world.sessions.insert(&session(&number.to_string(), &anna.id)).await.unwrap();
    }
    assert!(world.users.set_active(&anna.id, false, at(10), &change()).await.unwrap());
    assert_eq!(world.invalidated_after(Epoch(0)).await.len(), 501);
    // At the very same instant again: what was told already may be told twice, and numbers stay unique.
    world.sessions.insert(&session("late", &anna.id)).await.unwrap();
    assert!(world.users.set_active(&anna.id, false, at(10), &change()).await.unwrap());
    let late = world.sessions.find(&session("late", &anna.id).id).await.unwrap().unwrap();
    assert_eq!(late.ended, Some((at(10), SessionEnd::UserDisabled)));
}
