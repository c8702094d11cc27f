//! Users are told by mail what happened to their account, whoever did it.

use std::time::Duration;

use portcullis::crypto::totp;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::second_factor::TotpParameters;
use portcullis::domain::secret::Secret;
use serde_json::{Value, json};

use crate::harness::{Mail, Mailbox, PASSWORD, Plan, Reply, World, operator};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The next mail, which goes to anna, with its text in one line.
fn told(mailbox: &mut Mailbox, subject: &str) -> String {
    let Mail { to, subject: found, written } = mailbox.next();
    assert_eq!((to.as_str(), found.as_str()), ("anna@example.org", subject));
    written.replace("\r\n", " ")
}

fn ok(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[test]
fn each_change_of_the_second_factor_is_told() {
    let (plan, clock) = Plan::default().mailing().timed();
    let world = World::plan(plan);
    let user = world.user_mailed_at("anna", "anna@example.org");
    let mut mailbox = world.mailbox();
    let (access, _) = world.sign_in("anna");
    let post = |path: &str, body: &Value| world.post_json_as(&format!("/api/v1/auth/2fa/{path}"), &access, body);
    let (changed, used) = ("Your second factor at Our Shop was changed", "A recovery code was used at Our Shop");

    let secret = ok(&post("totp/setup/", &json!({})))["secret"].as_str().unwrap().to_owned();
    let secret: Vec<u8> =
        (0..secret.len() / 2).map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).unwrap()).collect();
    let code = |steps: i64| {
        clock.advance(Duration::from_secs(30));
        let step = START.as_secs() / 30 + steps;
        totp::code(&Secret::new(secret.clone()), &TotpParameters::default(), step).expose().clone()
    };
    let codes = ok(&post("totp/verify/", &json!({ "token": code(1) })))["recovery_codes"].clone();
    assert!(told(&mut mailbox, changed).contains("127.0.0.1"));

    let body = json!({ "username": "anna", "password": PASSWORD });
    let challenge = world.post_json("/api/v1/auth/token/", &body).json()["challenge"].clone();
    let answer = json!({ "challenge": challenge, "recovery_code": codes[0] });
    ok(&world.post_json("/api/v1/auth/token/challenge/", &answer));
    let text = told(&mut mailbox, used);
    assert!(text.contains('9') && !text.contains(codes[0].as_str().unwrap()), "{text}");

    let both = |code: String| json!({ "password": PASSWORD, "otp": code });
    ok(&post("recovery-codes/", &both(code(2))));
    let renewed = told(&mut mailbox, changed);
    assert!(renewed.contains("recovery codes"), "{renewed}");
    ok(&post("totp/disable/", &both(code(3))));
    told(&mut mailbox, changed);
    assert_eq!(post("totp/disable/", &both(code(4))).status, 400);
    world.wait(world.administration.second_factors.reset(&user.id, &operator())).unwrap();
    let removed = told(&mut mailbox, changed);
    assert!(
        removed.contains("administrator") && !removed.contains("from"),
        "whose address is nobody's concern: {removed}"
    );
    assert_eq!(mailbox.count(), 5, "what was refused is no change");
}

#[test]
fn a_password_that_somebody_else_has_set_is_told() {
    let world = World::plan(Plan::default().mailing());
    world.user_mailed_at("anna", "anna@example.org");
    let new = Secret::new("purple monkey dishwasher".to_owned());
    world.wait(world.administration.users.set_password("anna", new, &operator())).unwrap();
    let text = told(&mut world.mailbox(), "Your password at Our Shop was changed");
    assert!(text.contains("an administrator set a new password for you"), "{text}");
}
