//! What an owner does to a second factor that there is: another device, new recovery codes, disabling it.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::clock::ManualClock;
use serde_json::{Value, json};

use crate::harness::authenticator::{Authenticator, CHALLENGE, Enrolled, SETUP, TOKEN, VERIFY};
use crate::harness::{PASSWORD, Plan, Reply, World};

const OVERVIEW: &str = "/api/v1/auth/2fa/";
const DISABLE: &str = "/api/v1/auth/2fa/totp/disable/";
const RECOVERY_CODES: &str = "/api/v1/auth/2fa/recovery-codes/";
const STEP: Duration = Duration::from_secs(30);

fn world_of(plan: Plan) -> (World, Arc<ManualClock>) {
    let (plan, clock) = plan.timed();
    let world = World::plan(plan);
    world.user("anna");
    (world, clock)
}

fn world() -> (World, Arc<ManualClock>) {
    world_of(Plan::default())
}

fn django() -> (World, Arc<ManualClock>) {
    world_of(Plan::django(""))
}

#[track_caller]
fn assert_answer(reply: &Reply, status: u16, body: Value) {
    assert_eq!((reply.status, reply.json()), (status, body), "{reply:?}");
}

fn overview(world: &World, access: &str) -> Value {
    let reply = world.get_as(OVERVIEW, access);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    reply.json()
}

/// Whom a login tells that a second factor is asked for.
fn is_asked(world: &World, name: &str) -> bool {
    let reply = world.post_json(TOKEN, &json!({ "username": name, "password": PASSWORD }));
    match (reply.status, reply.code().as_str()) {
        (200, _) => false,
        (401, "mfa_required") => true,
        _ => panic!("{reply:?}"),
    }
}

#[test]
fn disabling_takes_the_password_and_a_current_factor() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let disable = |body: Value| world.post_as(DISABLE, &access, &body);
    let error = |error: &str, code: &str| json!({ "error": error, "code": code });
    let required = error("Password is required", "password_required");
    let wrong = error("Invalid password", "password_invalid");
    for nothing in [Value::Null, json!(""), json!(0), json!(false), json!([]), json!({})] {
        assert_answer(&disable(json!({ "password": nothing })), 400, required.clone());
    }
    assert_answer(&disable(json!({})), 400, required);
    assert_answer(&disable(json!({ "password": [1] })), 400, json!({ "password": ["Not a valid string."] }));
    let not_enabled = error("2FA is not enabled", "second_factor_not_enabled");
    assert_answer(&disable(json!({ "password": PASSWORD })), 400, not_enabled.clone());
    for other in [json!("no"), json!(5), json!("  "), json!(format!(" {PASSWORD}")), json!("x".repeat(2_000))] {
        assert_answer(&disable(json!({ "password": other })), 400, wrong.clone());
        // The right one takes them back.
        assert_answer(&disable(json!({ "password": PASSWORD })), 400, not_enabled.clone());
    }

    let Enrolled { authenticator, recovery_codes } = world.enrol(&access, &clock);
    let used = authenticator.now(&clock);
    assert_answer(&disable(json!({ "password": "no", "otp": used })), 400, wrong);
    let missing = error("A second factor is required.", "mfa_required");
    assert_answer(&disable(json!({ "password": PASSWORD })), 400, missing.clone());
    assert_answer(&disable(json!({ "password": PASSWORD, "otp": null })), 400, missing);
    let invalid = error("The code is not valid.", "second_factor_invalid");
    for code in [
        json!({ "otp": used }),
        json!({ "otp": authenticator.wrong(&clock) }),
        json!({ "recovery_code": "aaaa-aaaa-aaaa-aaaa" }),
    ] {
        let mut body = json!({ "password": PASSWORD });
        body.as_object_mut().unwrap().extend(code.as_object().unwrap().clone());
        assert_answer(&disable(body), 400, invalid.clone());
    }
    let both = json!({ "password": PASSWORD, "otp": "123456", "recovery_code": "x" });
    assert_answer(&disable(both), 400, json!({ "recovery_code": ["Give either otp or recovery_code."] }));
    assert_eq!(overview(&world, &access)["enabled"], true);

    clock.advance(STEP);
    let (other, _) = world.sign_in_with("anna", &authenticator.now(&clock));
    clock.advance(STEP);
    let reply = disable(json!({ "password": PASSWORD, "otp": authenticator.now(&clock) }));
    assert_answer(&reply, 200, json!({ "message": "2FA disabled successfully" }));
    assert_eq!(world.get_as("/", &other).code(), "session_ended", "another session of the user");
    assert_eq!(world.get_as("/", &access).status, 200);
    let after = overview(&world, &access);
    assert_eq!(after, json!({ "enabled": false, "devices": [], "recovery_codes_left": 0 }));
    assert!(!is_asked(&world, "anna"));

    // The codes of the old device open nothing.
    let Enrolled { authenticator, .. } = world.enrol(&access, &clock);
    let body = json!({ "password": PASSWORD, "recovery_code": recovery_codes[0] });
    assert_answer(&disable(body), 400, invalid);
    clock.advance(STEP);
    let body = json!({ "password": PASSWORD, "otp": authenticator.now(&clock) });
    assert_eq!(disable(body).status, 200);
}

#[test]
fn a_django_client_disables_with_the_password_alone() {
    let (world, clock) = django();
    let (access, _) = world.sign_in("anna");
    let disable = |body: Value| world.post_as(DISABLE, &access, &body);
    world.enrol(&access, &clock);
    for (body, sentence) in [
        (json!({}), "Password is required"),
        (json!({ "password": "" }), "Password is required"),
        (json!({ "password": "no" }), "Invalid password"),
        (json!({ "password": format!("{PASSWORD} ") }), "Invalid password"),
    ] {
        let reply = disable(body);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(sentence)), "{reply:?}");
    }
    assert_answer(&disable(json!({ "password": PASSWORD })), 200, json!({ "message": "2FA disabled successfully" }));
    let reply = disable(json!({ "password": PASSWORD }));
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("2FA is not enabled")), "{reply:?}");
}

#[test]
fn another_device_is_set_up_by_the_owner_only() {
    for plan in [Plan::default(), Plan::django("")] {
        let (world, clock) = world_of(plan);
        let (access, _) = world.sign_in("anna");
        let Enrolled { authenticator: first, recovery_codes } = world.enrol(&access, &clock);
        let set_up = |body: Value| world.post_as(SETUP, &access, &body);
        let required = json!(["This field is required."]);
        assert_answer(&set_up(json!({})), 400, json!({ "password": required, "otp": required }));
        assert_answer(&set_up(json!({ "password": PASSWORD })), 400, json!({ "otp": required }));
        assert_answer(&set_up(json!({ "otp": "123456" })), 400, json!({ "password": required }));
        let body = json!({ "password": "no", "otp": first.now(&clock) });
        assert_answer(&set_up(body), 400, json!({ "error": "Invalid password", "code": "password_invalid" }));
        let invalid = json!({ "error": "The code is not valid.", "code": "second_factor_invalid" });
        assert_answer(&set_up(json!({ "password": PASSWORD, "otp": first.now(&clock) })), 400, invalid.clone());
        assert_eq!(overview(&world, &access)["devices"].as_array().unwrap().len(), 1);

        clock.advance(STEP);
        let code = first.now(&clock);
        let reply = set_up(json!({ "password": PASSWORD, "otp": code }));
        assert_eq!(reply.status, 200, "{reply:?}");
        let second = Authenticator::scan(reply.json()["provisioning_uri"].as_str().unwrap());
        assert_answer(&set_up(json!({ "password": PASSWORD, "otp": code })), 400, invalid);
        let reply = world.post_as(VERIFY, &access, &json!({ "token": second.now(&clock) }));
        assert_answer(&reply, 200, json!({ "message": "2FA enabled successfully" }));
        let after = overview(&world, &access);
        assert_eq!(after["recovery_codes_left"], 10, "they go on");
        let confirmed = after["devices"].as_array().unwrap().iter().filter(|device| device["confirmed"] == true);
        assert_eq!(confirmed.count(), 2);

        // Either one signs in, each of its codes once.
        clock.advance(STEP);
        for phone in [&first, &second] {
            world.sign_in_with("anna", &phone.now(&clock));
        }
        let body = json!({ "password": PASSWORD, "recovery_code": recovery_codes[0] });
        assert_eq!(set_up(body).status, 200, "a recovery code does as well");
        assert_eq!(overview(&world, &access)["recovery_codes_left"], 9);
    }
}

#[test]
fn new_recovery_codes_void_the_old_ones() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let renew = |body: Value| world.post_as(RECOVERY_CODES, &access, &body);
    let body = json!({ "password": PASSWORD, "otp": "123456" });
    let not_enabled = json!({ "error": "2FA is not enabled", "code": "second_factor_not_enabled" });
    assert_answer(&renew(body), 400, not_enabled);

    let Enrolled { authenticator, recovery_codes: old } = world.enrol(&access, &clock);
    let required = json!(["This field is required."]);
    assert_answer(&renew(json!({})), 400, json!({ "password": required, "otp": required }));
    let body = json!({ "password": "no", "recovery_code": old[0] });
    assert_answer(&renew(body), 400, json!({ "error": "Invalid password", "code": "password_invalid" }));
    let used = json!({ "password": PASSWORD, "otp": authenticator.now(&clock) });
    assert_answer(&renew(used), 400, json!({ "error": "The code is not valid.", "code": "second_factor_invalid" }));
    assert_eq!(overview(&world, &access)["recovery_codes_left"], 10);

    let reply = renew(json!({ "password": PASSWORD, "recovery_code": old[0] }));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let new: Vec<String> = serde_json::from_value(reply.json()["recovery_codes"].clone()).unwrap();
    assert_eq!((new.len(), reply.json().as_object().unwrap().len()), (10, 1));
    assert!(new.iter().all(|code| !old.contains(code)));
    for (code, status) in [(&old[1], 401), (&new[0], 200), (&new[0], 401), (&new[9], 200)] {
        let body = json!({ "challenge": world.challenge("anna"), "recovery_code": code });
        assert_eq!(world.post_json(CHALLENGE, &body).status, status, "{code}");
    }
    assert_eq!(overview(&world, &access)["recovery_codes_left"], 8);
}
