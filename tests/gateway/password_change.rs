//! Changing a password: what clients of the Django stack know of it, and what it brings about.

use std::sync::Barrier;
use std::time::Duration;

use portcullis::domain::audit::AuditAction;
use serde_json::{Value, json};

use crate::harness::{DJANGO_SECRET, PASSWORD, Plan, Reply, World, cheap_hash, forge, operators_change};

const CHANGE: &str = "/api/v1/auth/password/change/";
const NEW: &str = "purple monkey dishwasher";

fn both(old: impl Into<Value>, new: impl Into<Value>) -> Value {
    json!({ "old_password": old.into(), "new_password": new.into() })
}

fn change(world: &World, token: &str, old: &str, new: &str) -> Reply {
    world.post_json_as(CHANGE, token, &both(old, new))
}

/// A bad request that says this.
fn assert_refused(reply: &Reply, body: &Value) {
    assert_eq!((reply.status, reply.json()), (400, body.clone()));
}

#[test]
fn the_right_old_password_and_a_good_new_one_change_it() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let reply = change(&world, &access, PASSWORD, NEW);
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"message":"Password changed successfully"}"#));
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 401);
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
    assert_eq!(change(&world, &access, NEW, NEW).status, 200, "nothing forbids the same one again");
}

#[test]
fn faults_of_both_fields_are_collected() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let ask = |body: &Value| world.post_json_as(CHANGE, &access, body);
    let required = json!(["This field is required."]);
    assert_refused(&ask(&json!({})), &json!({ "old_password": required, "new_password": required }));
    for (value, sentence) in [
        (json!(null), "This field may not be null."),
        (json!(""), "This field may not be blank."),
        (json!(true), "Not a valid string."),
        (json!(["x"]), "Not a valid string."),
        (json!("a\u{0}b"), "Null characters are not allowed."),
    ] {
        let fault = json!([sentence]);
        assert_refused(&ask(&both(value.clone(), value)), &json!({ "old_password": fault, "new_password": fault }));
    }
    // The shape comes first: what cannot be read is not compared.
    assert_refused(&ask(&json!({ "old_password": "wrong" })), &json!({ "new_password": required }));

    let wrong = json!(["Invalid old password"]);
    assert_refused(&ask(&both("wrong", NEW)), &json!({ "old_password": wrong }));
    let weak = json!([
        "This password is too short. It must contain at least 8 characters.",
        "This password is too common.",
        "This password is entirely numeric.",
    ]);
    assert_refused(&ask(&both("wrong", 12345)), &json!({ "old_password": wrong, "new_password": weak }));
    assert_refused(&ask(&both(PASSWORD, 12345)), &json!({ "new_password": weak }));
    let long = json!(["Ensure this field has no more than 1024 bytes."]);
    let huge = "x".repeat(1025);
    assert_refused(&ask(&both(huge.clone(), huge)), &json!({ "old_password": long, "new_password": long }));
    assert_eq!(world.me(&access).status, 200);
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 200, "and nothing has changed");
}

#[test]
fn the_new_password_is_compared_with_what_is_known_of_the_user() {
    let world = World::start();
    let user = world.user_mailed_at("marion", "kestrel.weaver@example.org");
    let names = portcullis::domain::user::UserChanges {
        first_name: Some("Bartholomew".to_owned()),
        last_name: Some("Featherstone".to_owned()),
        ..Default::default()
    };
    world.wait(world.stores.users.update(&user.id, &names, &operators_change())).unwrap();
    world.settle();
    let (access, _) = world.sign_in("marion");
    for (new, what) in [
        ("marion2026", "username"),
        ("bartholomew!", "first name"),
        ("Featherstone", "last name"),
        ("kestrel.weaver", "email address"),
    ] {
        let sentence = format!("The password is too similar to the {what}.");
        assert_refused(&change(&world, &access, PASSWORD, new), &json!({ "new_password": [sentence] }));
    }
}

#[test]
fn forms_are_taken_and_other_methods_and_callers_are_not() {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    let form = format!("old_password=wrong&old_password={}&new_password={NEW}", PASSWORD.replace(' ', "+"));
    let form = form.replace(NEW, &NEW.replace(' ', "%20"));
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let reply = world.request("POST", CHANGE, &headers, form.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);

    let get = world.get_as(CHANGE, &access);
    assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")));
    assert_eq!(world.get(CHANGE, &[]).status, 401, "who is nobody does not learn which methods there are");
    assert_eq!(world.post_json(CHANGE, &both(NEW, PASSWORD)).status, 401);
    let (_, key) = world.key("all");
    let body = both(NEW, PASSWORD).to_string();
    let headers = [("X-API-Key", key.as_str()), ("Content-Type", "application/json")];
    assert_eq!(world.request("POST", CHANGE, &headers, body.as_bytes()).status, 401, "a key has no password");
    assert_eq!(
        world.request("POST", CHANGE.trim_end_matches('/'), &[], b"").status,
        401,
        "both slash forms are served"
    );
}

#[test]
fn white_space_at_the_ends_counts_but_where_it_never_did() {
    let padded = format!("  {NEW}\t");
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    assert_eq!(change(&world, &access, PASSWORD, &padded).status, 200);
    assert_eq!(world.try_sign_in("anna", NEW).status, 401);
    assert_eq!(world.try_sign_in("anna", &padded).status, 200);

    let world = World::plan(Plan::django("rotate: false"));
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    assert_eq!(change(&world, &access, &format!(" {PASSWORD} "), &padded).status, 200);
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
}

#[test]
fn other_sessions_end_at_once_and_this_one_goes_on() {
    let world = World::start();
    world.user("anna");
    world.user("bert");
    let (mine, my_refresh) = world.sign_in("anna");
    let (other, other_refresh) = world.sign_in("anna");
    let (foreign, _) = world.sign_in("bert");
    for token in [&mine, &other, &foreign] {
        assert_eq!(world.me(token).status, 200, "and is remembered by now");
    }
    assert_eq!(change(&world, &mine, PASSWORD, NEW).status, 200);
    assert_eq!(world.me(&other).code(), "session_ended");
    let refresh = world.refresh(&other_refresh);
    assert_eq!((refresh.status, refresh.code().as_str()), (401, "token_not_valid"));
    assert_eq!(world.me(&mine).status, 200);
    let refreshed = world.refresh(&my_refresh);
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(world.me(refreshed.json()["access"].as_str().unwrap()).status, 200);
    assert_eq!(world.me(&foreign).status, 200);
}

#[test]
fn a_token_without_a_session_goes_on_and_older_ones_do_not() {
    let (plan, clock) = Plan::django("rotate: false, access_lifetime: 1h").timed();
    let world = World::plan(plan);
    let user = world.user_with_id("17", "anna");
    let now = 1_800_000_000;
    let token = |kind: &str, issued_at: i64, jti: &str| {
        let exp = now + 3000;
        let claims = json!({"token_type": kind, "exp": exp, "iat": issued_at, "jti": jti, "user_id": "17"});
        forge::hs256(DJANGO_SECRET, &claims)
    };
    let (mine, mine_too) = (token("access", now - 60, "a"), token("refresh", now - 60, "b"));
    let (older, older_refresh) = (token("access", now - 61, "c"), token("refresh", now - 61, "d"));
    for access in [&mine, &older] {
        assert_eq!(world.me(access).status, 200);
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(change(&world, &mine, PASSWORD, NEW).status, 200);
    assert_eq!(world.me(&mine).status, 200);
    assert_eq!(world.refresh(&mine_too).status, 200, "issued with it");
    assert_eq!(world.me(&older).status, 401);
    assert_eq!(world.refresh(&older_refresh).status, 401);
    assert_ne!(world.wait(world.stores.users.find(&user.id)).unwrap().unwrap().password, cheap_hash());

    // A session of the gateway's own names itself, so that no token without one outlives its change.
    let own = world.try_sign_in("anna", NEW).json()["access"].as_str().unwrap().to_owned();
    clock.advance(Duration::from_secs(1));
    assert_eq!(change(&world, &own, NEW, PASSWORD).status, 200);
    assert_eq!(world.me(&own).status, 200);
    assert_eq!(world.me(&mine).status, 401);
}

#[test]
fn guesses_at_the_old_password_are_counted_with_those_at_sign_in() {
    let extra = "lockout: { account: { free: 3 } }".to_owned();
    let (plan, clock) = Plan { extra, ..Plan::default() }.timed();
    let world = World::plan(plan);
    let user = world.user("anna");
    let (access, _) = world.sign_in("anna");
    assert_eq!(world.try_sign_in("anna", "wrong").status, 401);
    assert_eq!(change(&world, &access, "wrong", NEW).status, 400);
    assert_eq!(change(&world, &access, "wrong", NEW).status, 400);
    let blocked = change(&world, &access, PASSWORD, NEW);
    assert_eq!(blocked.status, 429, "the right one too: {blocked:?}");
    let wait: u64 = blocked.header("retry-after").unwrap().parse().unwrap();
    let detail = format!("Request was throttled. Expected available in {wait} seconds.");
    assert_eq!(blocked.json()["detail"], detail);
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 429);
    assert_refused(
        &world.post_json_as(CHANGE, &access, &json!({ "old_password": PASSWORD })),
        &json!({ "new_password": ["This field is required."] }),
    );
    clock.advance(Duration::from_secs(wait));
    assert_eq!(change(&world, &access, PASSWORD, NEW).status, 200);
    assert_eq!(world.try_sign_in("anna", "wrong").status, 401, "the owner has come, and counting begins anew");
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);

    let wrong = ("password_invalid".to_owned(), Some(user.id.clone()));
    assert_eq!(world.audited(AuditAction::PasswordCheck), [wrong.clone(), wrong]);
    assert_eq!(world.audited(AuditAction::PasswordChange), [(String::new(), Some(user.id))]);
    world.assert_counted("password_invalid", 2);
}

#[test]
fn of_two_changes_from_one_password_one_counts() {
    let world = World::start();
    let user = world.user("anna");
    let tokens: Vec<String> = (0..4).map(|_| world.sign_in("anna").0).collect();
    let barrier = Barrier::new(tokens.len());
    let ask = |number: usize| {
        let new = format!("{NEW} {number}");
        barrier.wait();
        change(&world, &tokens[number], PASSWORD, &new)
    };
    let ask = &ask;
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..tokens.len()).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<usize> = (0..replies.len()).filter(|number| replies[*number].status == 200).collect();
    assert_eq!(winners.len(), 1, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        // Too late for the password, or for the session that it was asked in.
        assert!(matches!(reply.status, 400 | 401), "{reply:?}");
    }
    assert_eq!(world.try_sign_in("anna", &format!("{NEW} {}", winners[0])).status, 200);
    assert_eq!(world.audited(AuditAction::PasswordChange), [(String::new(), Some(user.id))]);
}

#[test]
fn the_user_is_told_by_mail() {
    let world = World::plan(Plan::default().mailing());
    world.user_mailed_at("anna", "Anna@Example.org");
    let (access, _) = world.sign_in("anna");
    assert_eq!(change(&world, &access, "wrong", NEW).status, 400);
    assert_eq!(change(&world, &access, PASSWORD, NEW).status, 200);
    let mail = world.mailbox().next();
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        ("Anna@Example.org", "Your password at Our Shop was changed")
    );
    assert!(mail.written.contains("anna") && mail.written.contains("127.0.0.1"), "{}", mail.written);
    assert!(!mail.written.contains(PASSWORD) && !mail.written.contains(NEW));
    world.user_with_id("1", "nowhere");
    world.settle();
    let (access, _) = world.sign_in("nowhere");
    assert_eq!(change(&world, &access, PASSWORD, NEW).status, 200, "nobody to tell");
    assert_eq!(world.wait(world.stores.outbox.count()).unwrap(), 0);
}
