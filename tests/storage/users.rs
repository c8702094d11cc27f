//! What is promised of users.

use portcullis::domain::api_key::ApiKey;
use portcullis::domain::audit::{AuditAction, AuditQuery};
use portcullis::domain::change::Change;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::invalidation::{Epoch, Invalidation};
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::password_reset::PasswordReset;
use portcullis::domain::role::RoleSet;
use portcullis::domain::scope::ScopeSet;
use portcullis::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use portcullis::domain::session::SessionEnd;
use portcullis::domain::user::{PasswordHash, User, UserChanges, UserId, UserQuery};
use portcullis::storage::users::{ForeignPasswords, Insert, PasswordSetting, Update};

use crate::api_keys::api_key;
use crate::sessions::session;
use crate::{World, at, change, change_of, odd_names, odd_texts};

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
        has_second_factor: false,
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
    for (number, (text, name)) in odd_texts().into_iter().zip(odd_names()).enumerate() {
        let stored = User {
            email: name.clone(),
            first_name: text.clone(),
            password: PasswordHash::new(text.clone()),
            ..user(&number.to_string())
        };
        world.users.insert(&stored, &change()).await.unwrap();
        let found = find(world, &stored.id).await;
        let same = found.email == name && found.first_name == text && found.password.text() == text;
        assert!(same, "text {number} changed");
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

fn names(users: &[User]) -> Vec<&str> {
    users.iter().map(|user| user.username.as_str()).collect()
}

pub async fn changes_are_made_one_by_one_and_all_at_once(world: &World) {
    let (anna, bert) = (insert(world, "anna").await, insert(world, "bert").await);
    let mut expected = anna.clone();
    let changes = [
        UserChanges { username: Some("Anna".to_owned()), ..UserChanges::default() },
        UserChanges { email: Some("Other@Example.org".to_owned()), ..UserChanges::default() },
        UserChanges { first_name: Some("A".to_owned()), ..UserChanges::default() },
        UserChanges { last_name: Some(String::new()), ..UserChanges::default() },
        UserChanges { is_admin: Some(true), ..UserChanges::default() },
        UserChanges { is_active: Some(false), ..UserChanges::default() },
        UserChanges { roles: Some(RoleSet::default()), ..UserChanges::default() },
        UserChanges { scopes: Some(ScopeSet::default()), ..UserChanges::default() },
        UserChanges {
            username: Some("anna".to_owned()),
            email: Some(String::new()),
            first_name: Some("B".to_owned()),
            last_name: Some("C".to_owned()),
            is_active: Some(true),
            is_admin: Some(false),
            roles: Some(RoleSet::parse("a b").unwrap()),
            scopes: Some(ScopeSet::parse("x y").unwrap()),
        },
        UserChanges::default(),
    ];
    for change in changes {
        assert_eq!(world.users.update(&anna.id, &change, &crate::change()).await.unwrap(), Update::Done);
        expected = change.applied_to(&expected);
        let found = find(world, &anna.id).await;
        assert_eq!(whole(&User { tokens_valid_from: None, ..found }), whole(&expected), "{change:?}");
    }
    assert_eq!(whole(&find(world, &bert.id).await), whole(&bert));
    let mailed = UserChanges { email: Some("New@Example.org".to_owned()), ..UserChanges::default() };
    world.users.update(&anna.id, &mailed, &crate::change()).await.unwrap();
    assert_eq!(names(&world.users.find_by_email("nEW@eXAMPLE.ORG", 9).await.unwrap()), ["anna"]);
    assert!(world.users.find_by_email("other@example.org", 9).await.unwrap().is_empty());
}

pub async fn a_change_that_cannot_be_made_changes_nothing(world: &World) {
    let (anna, bert) = (insert(world, "anna").await, insert(world, "bert").await);
    let taken = UserChanges {
        username: Some("bert".to_owned()),
        email: Some("other@example.org".to_owned()),
        is_active: Some(false),
        is_admin: Some(true),
        ..UserChanges::default()
    };
    let before = world.invalidations.newest().await.unwrap();
    let told = world.audit.list(&every()).await.unwrap().len();
    assert_eq!(world.users.update(&anna.id, &taken, &change()).await.unwrap(), Update::Taken);
    assert_eq!(world.users.update(&UserId("nobody".to_owned()), &taken, &change()).await.unwrap(), Update::Unknown);
    assert!(!world.users.delete(&UserId("nobody".to_owned()), at(1), &change()).await.unwrap());
    for user in [&anna, &bert] {
        assert_eq!(whole(&find(world, &user.id).await), whole(user));
    }
    assert_eq!(world.invalidations.newest().await.unwrap(), before);
    assert_eq!(world.audit.list(&every()).await.unwrap().len(), told);
    // One's own name is not somebody else's.
    let same = UserChanges { username: Some("anna".to_owned()), ..UserChanges::default() };
    assert_eq!(world.users.update(&anna.id, &same, &change()).await.unwrap(), Update::Done);
    assert_eq!(world.invalidated_after(before).await, [Invalidation::User(anna.id)]);
}

fn every() -> AuditQuery {
    AuditQuery { limit: 1000, ..AuditQuery::default() }
}

/// A link that was mailed to a user.
async fn reset(world: &World, user: &UserId, digest: u8) -> Digest {
    let reset =
        PasswordReset { digest: Digest([digest; 32]), user_id: user.clone(), created_at: at(0), expires_at: at(1000) };
    world.password_resets.replace(&reset, &change()).await.unwrap();
    reset.digest
}

pub async fn a_new_address_makes_links_void_and_another_name_does_not(world: &World) {
    let anna = insert(world, "anna").await;
    let link = reset(world, &anna.id, 1).await;
    let found = || async { world.password_resets.find(&link).await.unwrap().is_some() };
    let name = UserChanges { first_name: Some("A".to_owned()), ..UserChanges::default() };
    world.users.update(&anna.id, &name, &change()).await.unwrap();
    assert!(found().await);
    let mailed = UserChanges { email: Some("new@example.org".to_owned()), ..UserChanges::default() };
    world.users.update(&anna.id, &mailed, &change()).await.unwrap();
    assert!(!found().await);
}

pub async fn switching_off_by_a_change_ends_what_disabling_ends(world: &World) {
    let (anna, bert) = (insert(world, "anna").await, insert(world, "bert").await);
    for (id, user) in [("a1", &anna), ("a2", &anna), ("b1", &bert)] {
        world.sessions.insert(&session(id, &user.id)).await.unwrap();
    }
    let link = reset(world, &anna.id, 1).await;
    let before = world.invalidations.newest().await.unwrap();
    let off = UserChanges { is_active: Some(false), ..UserChanges::default() };
    world.users.update(&anna.id, &off, &change_of(AuditAction::UserDisable, 10)).await.unwrap();
    let disabled = Some((at(10), SessionEnd::UserDisabled));
    for (id, ended) in [("a1", disabled), ("a2", disabled), ("b1", None)] {
        assert_eq!(world.sessions.find(&session(id, &anna.id).id).await.unwrap().unwrap().ended, ended, "{id}");
    }
    assert!(world.password_resets.find(&link).await.unwrap().is_none());
    assert_eq!(world.invalidated_after(before).await.len(), 3);
    let on = UserChanges { is_active: Some(true), ..UserChanges::default() };
    world.users.update(&anna.id, &on, &change()).await.unwrap();
    assert_eq!(world.sessions.find(&session("a1", &anna.id).id).await.unwrap().unwrap().ended, disabled);
}

pub async fn deleting_takes_everything_but_the_audit(world: &World) {
    let (anna, bert) = (insert(world, "anna").await, insert(world, "bert").await);
    for (id, user) in [("a1", &anna), ("b1", &bert)] {
        world.sessions.insert(&session(id, &user.id)).await.unwrap();
    }
    let key = |number, owner: &User| ApiKey { owner: KeyOwner::User(owner.id.clone()), ..api_key(number) };
    for key in [key(1, &anna), key(2, &anna), key(3, &bert), api_key(4)] {
        crate::api_keys::insert(world, &key).await;
    }
    let links = [reset(world, &anna.id, 1).await, reset(world, &bert.id, 2).await];
    for user in [&anna, &bert] {
        world.second_factors.begin(&device(&user.id), None, &change()).await.unwrap();
    }
    let policy = LockoutPolicy::account();
    let guesses = [
        GuessSubject::Account(anna.id.clone()),
        GuessSubject::Codes(anna.id.clone()),
        GuessSubject::ResetRequests(anna.id.clone()),
        GuessSubject::Account(bert.id.clone()),
    ];
    for subject in &guesses {
        world.guesses.reserve(&[(subject.clone(), policy)], at(1)).await.unwrap().unwrap();
    }
    let before = world.invalidations.newest().await.unwrap();
    let deletion = change_of(AuditAction::UserDelete, 10);
    let deletion = Change::from(deletion.audit.about(&anna.id));
    assert!(world.users.delete(&anna.id, at(10), &deletion).await.unwrap());

    assert!(world.users.find(&anna.id).await.unwrap().is_none());
    assert!(world.sessions.find(&session("a1", &anna.id).id).await.unwrap().is_none());
    for (number, there) in [(1, false), (2, false), (3, true), (4, true)] {
        assert_eq!(world.api_keys.find(&api_key(number).id).await.unwrap().is_some(), there, "{number}");
        assert_eq!(world.api_keys.find_by_digest(&api_key(number).digest).await.unwrap().is_some(), there, "{number}");
    }
    assert!(world.password_resets.find(&links[0]).await.unwrap().is_none());
    assert!(world.second_factors.of_user(&anna.id).await.unwrap().is_empty());
    for subject in guesses.iter().take(3) {
        assert!(world.guesses.find(subject).await.unwrap().is_none(), "{subject}");
    }
    let told = world.audit.list(&AuditQuery { user: Some(anna.id.clone()), ..every() }).await.unwrap();
    assert_eq!(told.iter().map(|event| event.action).collect::<Vec<_>>(), [AuditAction::UserDelete]);
    let mut forgotten: Vec<String> =
        world.invalidated_after(before).await.iter().map(|what| format!("{what:?}")).collect();
    forgotten.sort();
    let expected = [
        Invalidation::ApiKey(api_key(1).id),
        Invalidation::ApiKey(api_key(2).id),
        Invalidation::Session(session("a1", &anna.id).id),
        Invalidation::User(anna.id.clone()),
    ];
    assert_eq!(forgotten, expected.map(|what| format!("{what:?}")));

    assert_eq!(whole(&find(world, &bert.id).await), whole(&bert));
    assert!(world.sessions.find(&session("b1", &bert.id).id).await.unwrap().unwrap().ended.is_none());
    assert!(world.password_resets.find(&links[1]).await.unwrap().is_some());
    assert_eq!(world.second_factors.of_user(&bert.id).await.unwrap().len(), 1);
    assert!(world.guesses.find(&guesses[3]).await.unwrap().is_some());
    assert!(!world.users.delete(&anna.id, at(11), &change()).await.unwrap());
    assert_eq!(world.users.insert(&user("anna"), &change()).await.unwrap(), Insert::Done, "the name is free again");
}

fn device(user: &UserId) -> SecondFactor {
    SecondFactor {
        id: SecondFactorId(format!("device of {user}")),
        user_id: user.clone(),
        name: "Default".to_owned(),
        sealed_secret: vec![1, 2, 3],
        parameters: TotpParameters::default(),
        last_step: -1,
        confirmed_at: None,
        created_at: at(0),
        last_used_at: None,
    }
}

pub async fn are_searched_literally_and_filtered(world: &World) {
    for name in ["100%", "a_b", "a\\b", "Anna", "axb", "zo\u{eb}", "\u{c4}rger"] {
        let mail = if name == "axb" { "Some.Body@Example.ORG" } else { "" };
        let new = User { email: mail.to_owned(), is_admin: name == "Anna", is_active: name != "a_b", ..user(name) };
        world.users.insert(&new, &change()).await.unwrap();
    }
    let search = |text: &str| UserQuery { search: Some(text.to_owned()), limit: 100, ..UserQuery::default() };
    for (text, expected) in [
        ("%", vec!["100%"]),
        ("_", vec!["a_b"]),
        ("\\", vec!["a\\b"]),
        ("NN", vec!["Anna"]),
        ("some.body@", vec!["axb"]),
        ("o\u{eb}", vec!["zo\u{eb}"]),
        ("RGER", vec!["\u{c4}rger"]),
        ("a%b", vec![]),
        ("' OR 1=1 --", vec![]),
    ] {
        assert_eq!(names(&world.users.list(&search(text)).await.unwrap()), expected, "{text}");
    }
    let admins = UserQuery { is_admin: Some(true), limit: 100, ..UserQuery::default() };
    let off = UserQuery { is_active: Some(false), limit: 100, ..UserQuery::default() };
    assert_eq!(names(&world.users.list(&admins).await.unwrap()), ["Anna"]);
    assert_eq!(names(&world.users.list(&off).await.unwrap()), ["a_b"]);
    let none = UserQuery { is_active: Some(false), ..admins };
    assert_eq!(names(&world.users.list(&none).await.unwrap()), [""; 0]);
    let page = UserQuery { after: Some("Anna".to_owned()), is_active: Some(true), limit: 2, ..UserQuery::default() };
    assert_eq!(names(&world.users.list(&page).await.unwrap()), ["a\\b", "axb"]);
}

pub async fn with_foreign_passwords_are_counted_by_what_those_cost(world: &World) {
    let insert = async |name: &str, password: &str| {
        let user = User { password: PasswordHash::new(password.to_owned()), ..user(name) };
        assert_eq!(world.users.insert(&user, &change()).await.unwrap(), Insert::Done);
    };
    insert("ours", "$argon2id$v=19$m=64,t=2,p=1$salt$hash").await;
    assert_eq!(world.users.foreign_passwords().await.unwrap(), ForeignPasswords::default());
    for (number, password) in [
        "!unusable",
        "",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$one$1",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$two$2",
        "argon2$argon2i$v=19$m=512,t=2,p=2$one$1",
        "bcrypt_sha256$$2b$12$one",
        "bcrypt_sha256$$2b$12$two",
        "bcrypt_sha256$$2b$10$one",
        "pbkdf2_sha256$870000$one$1",
        "pbkdf2_sha256$870000$two$2",
        "pbkdf2_sha256$870000$two$3",
        "pbkdf2_sha256$260000$one$1",
        "md5$one$1",
        "md5$two$2",
        "0123456789abcdef0123456789abcdef",
        "1123456789abcdef0123456789abcdef",
    ]
    .into_iter()
    .enumerate()
    {
        insert(&number.to_string(), password).await;
    }
    let found = world.users.foreign_passwords().await.unwrap();
    assert_eq!(found.users, 17);
    let kinds: Vec<(u64, &str)> = found.kinds.iter().map(|(count, example)| (*count, example.text())).collect();
    let mut sorted = kinds.clone();
    sorted.sort_by_key(|(_, example)| *example);
    assert_eq!(
        sorted,
        [
            (2, "0123456789abcdef0123456789abcdef"),
            (1, "argon2$argon2i$v=19$m=512,t=2,p=2$one$1"),
            (2, "argon2$argon2id$v=19$m=102400,t=2,p=8$one$1"),
            (1, "bcrypt_sha256$$2b$10$one"),
            (2, "bcrypt_sha256$$2b$12$one"),
            (2, "md5$one$1"),
            (1, "pbkdf2_sha256$260000$one$1"),
            (3, "pbkdf2_sha256$870000$one$1"),
        ]
    );
    assert_eq!(world.users.foreign_passwords().await.unwrap(), found, "in one order");
}
