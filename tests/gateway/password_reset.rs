//! Setting a password instead of one that is forgotten, by a link in a mail.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use portcullis::crypto::random::OsRandom;
use portcullis::crypto::{master_key::MasterKey, totp};
use portcullis::domain::audit::AuditAction;
use portcullis::domain::clock::ManualClock;
use portcullis::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use portcullis::domain::secret::Secret;
use portcullis::domain::user::{PasswordHash, User};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};

use crate::harness::{Client, PASSWORD, Plan, Reply, World, eventually, operator, operators_change};

const RESET: &str = "/api/v1/auth/password/reset/";
const CONFIRM: &str = "/api/v1/auth/password/reset/confirm/";
const CHANGE: &str = "/api/v1/auth/password/change/";
const NEW: &str = "purple monkey dishwasher";

fn world() -> World {
    World::plan(Plan::default().mailing())
}

fn timed() -> (World, Arc<ManualClock>) {
    let (plan, clock) = Plan::default().mailing().timed();
    (World::plan(plan), clock)
}

fn ask(world: &World, email: &str) -> Reply {
    world.post_json(RESET, &json!({ "email": email }))
}

/// Asks for a link and takes it out of the mail.
fn token(world: &World, email: &str) -> String {
    let mut mailbox = world.mailbox();
    for _ in 0..mailbox.count() {
        mailbox.next();
    }
    assert_eq!(ask(world, email).status, 200);
    mailbox.next_link()
}

fn confirm(world: &World, token: &str, new: &str) -> Reply {
    world.post_json(CONFIRM, &json!({ "token": token, "new_password": new }))
}

fn assert_invalid(reply: &Reply) {
    let sentence = "The link is invalid or has expired.";
    let body = json!({ "detail": sentence, "code": "reset_token_invalid", "token": [sentence] });
    assert_eq!((reply.status, reply.json()), (400, body));
}

/// Waits until nothing waits.
fn worked_off(world: &World) {
    eventually("the outbox to be empty", || (world.wait(world.stores.outbox.count()).unwrap() == 0).then_some(()));
}

#[test]
fn a_mailed_link_sets_a_password_once_and_ends_all_sessions() {
    let world = world();
    let user = world.user_mailed_at("anna", "anna@example.org");
    let (access, refresh) = world.sign_in("anna");
    assert_eq!(world.me(&access).status, 200, "and is remembered by now");
    let reply = ask(&world, "anna@example.org");
    let detail = "If this address belongs to an account, a link to set a new password is sent to it.";
    assert_eq!((reply.status, reply.json()), (200, json!({ "detail": detail })));
    let mut mailbox = world.mailbox();
    let mail = mailbox.next();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("anna@example.org", "Reset your password at Our Shop"));
    let token = mail.token();
    assert_eq!(world.me(&access).status, 200, "to ask for a link changes nothing");

    let done = confirm(&world, &token, NEW);
    assert_eq!((done.status, done.text().as_str()), (200, r#"{"message":"Password reset successfully"}"#));
    assert_eq!(world.me(&access).code(), "session_ended");
    assert_eq!(world.refresh(&refresh).status, 401);
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 401);
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
    let notice = mailbox.next();
    assert_eq!(notice.subject, "Your password at Our Shop was changed");
    assert!(notice.written.contains("was reset with a link from a mail"), "{}", notice.written);
    assert_invalid(&confirm(&world, &token, "another good password"));
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);

    let anna = Some(user.id);
    assert_eq!(world.audited(AuditAction::PasswordResetRequest), [(String::new(), anna.clone())]);
    let refused = ("reset_token_invalid".to_owned(), None);
    assert_eq!(world.audited(AuditAction::PasswordReset), [(String::new(), anna), refused]);
}

#[test]
fn the_answer_is_the_same_for_every_address() {
    let world = world();
    world.user_mailed_at("known", "known@example.org");
    world.user_mailed_at("disabled", "disabled@example.org");
    world.wait(world.administration.users.set_active("disabled", false, &operator())).unwrap();
    let known = ask(&world, "known@example.org");
    assert_eq!(known.status, 200);
    for other in ["disabled@example.org", "unknown@example.org", "known@example.com", "\"><@example.org"] {
        assert_eq!(ask(&world, other).comparable(), known.comparable(), "{other}");
    }
    worked_off(&world);
    assert_eq!(world.mailbox().count(), 1, "one of them was somebody's");
    let reasons: Vec<String> =
        world.audited(AuditAction::PasswordResetRequest).into_iter().map(|(reason, _)| reason).collect();
    let mut sorted = reasons.clone();
    sorted.sort();
    assert_eq!(sorted, ["", "user_inactive", "user_not_found", "user_not_found", "user_not_found"]);
    assert!(!world.audit_text().contains("unknown@"), "an address that is nobody's is told nowhere");
}

#[test]
fn one_address_is_one_string_and_mail_goes_to_the_stored_one() {
    let world = world();
    world.user_mailed_at("anna", "Anna.Smith@Example.org");
    world.user_mailed_at("bert", "bert@example.org");
    world.user_mailed_at("shared", "BERT@example.org");
    let mut mailbox = world.mailbox();
    assert_eq!(ask(&world, "  anna.smith@EXAMPLE.ORG\n").status, 200);
    assert_eq!(mailbox.next().to, "Anna.Smith@Example.org");
    assert_eq!(ask(&world, "bert@example.org").status, 200);
    let mut to = [mailbox.next().to, mailbox.next().to];
    to.sort();
    assert_eq!(to, ["BERT@example.org", "bert@example.org"], "everybody who has it, each a link of their own");

    // Alike to a person or to another program, and not the same.
    for alike in [
        "anna.smith@exa\u{217}mple.org",
        "ann\u{430}.smith@example.org",
        "anna.smith@example.org.",
        "anna.smith+x@example.org",
        "anna.\u{17f}mith@example.org",
        "annasmith@example.org",
    ] {
        assert_eq!(ask(&world, alike).status, 200, "{alike}");
    }
    let sentence = "Enter a valid email address.";
    for wrong in [
        "anna.smith@example.org,evil@example.net",
        "anna.smith@example.org evil@example.net",
        "anna.smith@example.org\r\nBcc: evil@example.net",
        "anna.smith@example.org\u{2028}x",
        "anna.smith",
        "@example.org",
        "anna.smith@",
        &format!("{}@example.org", "x".repeat(255)),
    ] {
        let reply = ask(&world, wrong);
        assert_eq!((reply.status, reply.json()), (400, json!({ "email": [sentence] })), "{wrong}");
    }
    for (body, sentence) in [
        (json!({}), "This field is required."),
        (json!({ "email": null }), "This field may not be null."),
        (json!({ "email": " " }), "This field may not be blank."),
        (json!({ "email": ["anna.smith@example.org", "evil@example.net"] }), "Not a valid string."),
        (json!({ "email": { "x": "anna.smith@example.org" } }), "Not a valid string."),
        (json!({ "email": "anna.smith@example.org\u{0}" }), "Null characters are not allowed."),
    ] {
        let reply = world.post_json(RESET, &body);
        assert_eq!((reply.status, reply.json()), (400, json!({ "email": [sentence] })), "{body}");
    }
    let twice = "email=evil%40example.net&email=bert%40example.org";
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(world.request("POST", RESET, &form, twice.as_bytes()).status, 200, "the last one counts, alone");
    mailbox.next();
    mailbox.next();
    worked_off(&world);
    assert_eq!(world.mailbox().count(), 5);
}

#[test]
fn the_link_is_never_made_from_the_request() {
    let world = world();
    world.user_mailed_at("anna", "anna@example.org");
    let headers = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("Forwarded", "host=evil.example"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
        ("User-Agent", "https://evil.example/"),
        ("Content-Type", "application/json"),
    ];
    let body = json!({ "email": "anna@example.org", "reset_url": "https://evil.example/{token}" }).to_string();
    assert_eq!(world.request("POST", RESET, &headers, body.as_bytes()).status, 200);
    let mail = world.mailbox().next();
    mail.token();
    assert!(!mail.written.contains("evil"), "{}", mail.written);
}

#[test]
fn a_token_holds_for_half_an_hour() {
    let (world, clock) = timed();
    world.user_mailed_at("anna", "anna@example.org");
    let link = token(&world, "anna@example.org");
    clock.advance(Duration::from_secs(30 * 60 - 1));
    assert_eq!(confirm(&world, &link, NEW).status, 200);
    let link = token(&world, "anna@example.org");
    clock.advance(Duration::from_secs(30 * 60));
    assert_invalid(&confirm(&world, &link, PASSWORD));
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
}

#[test]
fn a_newer_link_and_another_password_make_older_links_void() {
    let world = world();
    let user = world.user_mailed_at("anna", "anna@example.org");
    let first = token(&world, "anna@example.org");
    let second = token(&world, "anna@example.org");
    assert_ne!(first, second);
    assert_invalid(&confirm(&world, &first, NEW));
    let (access, _) = world.sign_in("anna");
    let body = json!({ "old_password": PASSWORD, "new_password": NEW });
    assert_eq!(world.post_json_as(CHANGE, &access, &body).status, 200);
    assert_invalid(&confirm(&world, &second, PASSWORD));
    let third = token(&world, "anna@example.org");
    let moved =
        portcullis::domain::user::UserChanges { email: Some("new@example.org".to_owned()), ..Default::default() };
    world.wait(world.stores.users.update(&user.id, &moved, &operators_change())).unwrap();
    assert_invalid(&confirm(&world, &third, PASSWORD));
    let fourth = token(&world, "new@example.org");
    world.wait(world.administration.users.set_active("anna", false, &operator())).unwrap();
    assert_invalid(&confirm(&world, &fourth, PASSWORD));
    world.wait(world.administration.users.set_active("anna", true, &operator())).unwrap();
    assert_invalid(&confirm(&world, &fourth, PASSWORD));
}

#[test]
fn a_weak_password_does_not_use_the_token_up() {
    let world = world();
    world.user_mailed_at("anna", "anna.weatherby@example.org");
    let link = token(&world, "anna.weatherby@example.org");
    let required = json!(["This field is required."]);
    let reply = world.post_json(CONFIRM, &json!({}));
    assert_eq!((reply.status, reply.json()), (400, json!({ "token": required, "new_password": required })));
    for (weak, sentences) in [
        (json!("anna.weatherby"), vec!["The password is too similar to the email address."]),
        (
            json!(12345),
            vec![
                "This password is too short. It must contain at least 8 characters.",
                "This password is too common.",
                "This password is entirely numeric.",
            ],
        ),
        (json!("x".repeat(1025)), vec!["Ensure this field has no more than 1024 bytes."]),
    ] {
        let reply = world.post_json(CONFIRM, &json!({ "token": link, "new_password": weak }));
        assert_eq!((reply.status, reply.json()), (400, json!({ "new_password": sentences })));
    }
    assert_invalid(&confirm(&world, "not-a-token", "12345"));
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 200, "and nothing has changed");
    assert_eq!(confirm(&world, &format!(" {link}\n"), NEW).status, 200);
}

#[test]
fn of_parallel_uses_of_one_token_one_counts() {
    let world = world();
    let user = world.user_mailed_at("anna", "anna@example.org");
    let link = token(&world, "anna@example.org");
    let barrier = Barrier::new(8);
    let ask = |number: usize| {
        barrier.wait();
        confirm(&world, &link, &format!("{NEW} {number}"))
    };
    let ask = &ask;
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<usize> = (0..8).filter(|number| replies[*number].status == 200).collect();
    assert_eq!(winners.len(), 1, "{replies:?}");
    replies.iter().filter(|reply| reply.status != 200).for_each(assert_invalid);
    assert_eq!(world.try_sign_in("anna", &format!("{NEW} {}", winners[0])).status, 200);
    let done = |(reason, about): &(String, Option<_>)| reason.is_empty() && *about == Some(user.id.clone());
    assert_eq!(world.audited(AuditAction::PasswordReset).iter().filter(|event| done(event)).count(), 1);
}

#[test]
fn neither_the_token_nor_the_address_is_written_where_others_read() {
    let mut world = world();
    world.user_mailed_at("anna", "anna@example.org");
    let link = token(&world, "anna@example.org");
    ask(&world, "nobody.at.all@example.org");
    worked_off(&world);
    assert_eq!(confirm(&world, &link, "12345").status, 400);
    assert_eq!(confirm(&world, &link, NEW).status, 200);
    assert_invalid(&confirm(&world, &link, NEW));
    world.access_log(5);
    world.gateway = None;
    let mut looked = 0;
    for entry in std::fs::read_dir(world.directory.path()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            for secret in [link.as_str(), NEW, "nobody.at.all"] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {}", entry.path().display());
            }
            looked += 1;
        }
    }
    assert!(looked >= 4, "database, key and two logs: {looked}");
}

/// A device that counts, and the code that it shows.
fn device(world: &World, user: &User) -> String {
    let random = OsRandom::new();
    let text = std::fs::read_to_string(world.directory.path().join("master.key")).unwrap();
    let master_key = MasterKey::parse(&Secret::new(text)).unwrap();
    let (id, secret) = (SecondFactorId("device".to_owned()), totp::new_secret(&random));
    let now = user.created_at;
    let device = SecondFactor {
        sealed_secret: master_key.seal(&totp::sealing_purpose(&id), secret.expose(), &random).unwrap(),
        id,
        user_id: user.id.clone(),
        name: "phone".to_owned(),
        parameters: TotpParameters::default(),
        last_step: SecondFactor::NO_STEP,
        confirmed_at: Some(now),
        created_at: now,
        last_used_at: None,
    };
    world.wait(world.stores.second_factors.begin(&device, None, &operators_change())).unwrap();
    totp::code(&secret, &device.parameters, now.as_secs() / 30).expose().clone()
}

#[test]
fn a_reset_signs_nobody_in_and_a_second_factor_is_asked_for_as_ever() {
    let (world, _clock) = timed();
    let user = world.user_mailed_at("anna", "anna@example.org");
    let code = device(&world, &user);
    let challenge = world.try_sign_in("anna", PASSWORD).json()["challenge"].as_str().unwrap().to_owned();
    let link = token(&world, "anna@example.org");
    let done = confirm(&world, &link, NEW);
    assert_eq!((done.status, done.json()), (200, json!({ "message": "Password reset successfully" })));
    let answer = |challenge: &str| {
        world.post_json("/api/v1/auth/token/challenge/", &json!({ "challenge": challenge, "otp": code }))
    };
    assert_eq!(answer(&challenge).code(), "challenge_invalid", "what vouched for the old password is void");
    let reply = world.try_sign_in("anna", NEW);
    assert_eq!((reply.status, reply.code().as_str()), (401, "mfa_required"));
    assert_eq!(answer(reply.json()["challenge"].as_str().unwrap()).status, 200);
}

#[test]
fn a_user_without_a_usable_password_gets_one_by_this() {
    let world = world();
    let user = world.user_mailed_at("anna", "anna@example.org");
    let unusable = PasswordHash::new("!imported".to_owned());
    assert!(world.wait(world.stores.users.upgrade_password(&user.id, &user.password, &unusable)).unwrap());
    let link = token(&world, "anna@example.org");
    assert_eq!(confirm(&world, &link, NEW).status, 200);
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
}

#[test]
fn a_locked_account_is_opened_by_its_owner() {
    let extra = "lockout: { account: { free: 1, delay: 5m } }".to_owned();
    let world = World::plan(Plan { extra, ..Plan::default() }.mailing());
    world.user_mailed_at("anna", "anna@example.org");
    assert_eq!(world.try_sign_in("anna", "wrong").status, 401);
    assert_eq!(world.try_sign_in("anna", PASSWORD).status, 429);
    let link = token(&world, "anna@example.org");
    assert_eq!(confirm(&world, &link, NEW).status, 200);
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
}

#[test]
fn one_account_gets_five_mails_an_hour() {
    let (world, clock) = timed();
    let user = world.user_mailed_at("anna", "anna@example.org");
    world.user_mailed_at("bert", "bert@example.org");
    for _ in 0..7 {
        assert_eq!(ask(&world, "anna@example.org").status, 200);
        worked_off(&world);
    }
    assert_eq!(world.mailbox().count(), 5);
    let dropped = ("too_many_attempts".to_owned(), Some(user.id));
    let told = world.audited(AuditAction::PasswordResetRequest);
    assert_eq!((told.len(), told.iter().filter(|event| **event == dropped).count()), (7, 2));
    token(&world, "bert@example.org");
    clock.advance(Duration::from_secs(3600));
    let link = token(&world, "anna@example.org");
    assert_eq!(confirm(&world, &link, NEW).status, 200);
}

/// From a network that others do not share.
fn from(world: &World, address: &str, target: &str, body: &Value) -> Reply {
    let headers = [("X-Forwarded-For", address), ("Content-Type", "application/json")];
    Client::connect(world.http()).request("POST", target, &headers, body.to_string().as_bytes())
}

#[test]
fn one_network_may_ask_and_guess_so_often_and_others_are_not_kept_from_it() {
    let extra = "trusted_proxies: [127.0.0.1]\nlockout: { address: { free: 3, delay: 1m } }".to_owned();
    let (plan, clock) = Plan { extra, ..Plan::default() }.mailing().timed();
    let world = World::plan(plan);
    world.user_mailed_at("anna", "anna@example.org");
    let link = token(&world, "anna@example.org");

    let email = |email: &str| json!({ "email": email });
    for address in ["anna@example.org", "nobody@example.org", "nobody@example.com"] {
        assert_eq!(from(&world, "203.0.113.7", RESET, &email(address)).status, 200);
    }
    let known = from(&world, "203.0.113.7", RESET, &email("anna@example.org"));
    let unknown = from(&world, "203.0.113.7", RESET, &email("nobody@example.org"));
    assert_eq!((known.status, known.header("retry-after")), (429, Some("60")));
    assert_eq!(known.comparable(), unknown.comparable(), "whoever is named");
    assert_eq!(from(&world, "203.0.113.8", RESET, &email("anna@example.org")).status, 200);
    worked_off(&world);

    let guess = |token: &str| json!({ "token": token, "new_password": NEW });
    for number in 0..3 {
        assert_invalid(&from(&world, "203.0.113.7", CONFIRM, &guess(&format!("guess-{number}"))));
    }
    assert_eq!(from(&world, "203.0.113.7", CONFIRM, &guess("guess")).status, 429);
    assert_eq!(from(&world, "203.0.113.7", CONFIRM, &guess(&link)).status, 429, "the right one as well");
    clock.advance(Duration::from_secs(60));
    let link = token(&world, "anna@example.org");
    for weak in 0..5 {
        let weak = json!({ "token": link, "new_password": format!("{weak}") });
        assert_eq!(from(&world, "203.0.113.9", CONFIRM, &weak).status, 400, "to choose badly is no guess");
    }
    assert_eq!(from(&world, "203.0.113.9", CONFIRM, &guess(&link)).status, 200);
}

#[test]
fn neither_asks_for_a_credential_nor_minds_one() {
    let world = world();
    let headers = [("Authorization", "Bearer junk"), ("X-API-Key", "junk"), ("Content-Type", "application/json")];
    assert_eq!(world.request("POST", RESET, &headers, br#"{"email":"a@example.org"}"#).status, 200);
    let reply = world.request("POST", CONFIRM, &headers, br#"{"token":"x","new_password":"y"}"#);
    assert_eq!((reply.status, reply.code().as_str()), (400, "reset_token_invalid"));
    for target in [RESET, CONFIRM] {
        let get = world.get(target, &[]);
        assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")));
        assert_eq!(world.request("POST", target, &[("Content-Type", "text/plain")], b"x").status, 415);
    }
    let metrics = world.metrics();
    for line in ["portcullis_mail_total{outcome=\"sent\"} 0", "portcullis_mail_total{outcome=\"given_up\"} 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[test]
fn requests_are_turned_away_while_very_much_mail_waits() {
    let world = world();
    world.user_mailed_at("anna", "anna@example.org");
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}/portcullis.db", world.directory.path().display());
    let mut connection = world.wait(AnyConnection::connect(&url)).unwrap();
    let waiting = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
                   INSERT INTO outbox (id, kind, sealed, created_at, expires_at, attempts, next_attempt_at) \
                   SELECT 'x' || i, 'password_reset', '', 0, 9000000000000000, 0, 9000000000000000 FROM n";
    world.wait(sqlx::raw_sql(waiting).execute(&mut connection)).unwrap();
    token(&world, "anna@example.org");
    let count = || world.wait(world.stores.outbox.count()).unwrap();
    eventually("the request and its mail to be gone", || (count() == 9999).then_some(()));
    let more =
        "INSERT INTO outbox SELECT 'y', kind, sealed, 0, expires_at, 0, next_attempt_at, NULL FROM outbox LIMIT 1";
    world.wait(sqlx::raw_sql(more).execute(&mut connection)).unwrap();
    for email in ["anna@example.org", "nobody@example.org"] {
        let reply = ask(&world, email);
        assert_eq!((reply.status, reply.code().as_str()), (503, "busy"));
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(count(), 10_000);
}
