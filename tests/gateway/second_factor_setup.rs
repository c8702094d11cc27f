//! Setting a second factor up, confirming it, disabling it, and what that does to the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::domain::api_key::KeyOwner;
use portcullis::domain::audit::{AuditAction, AuditQuery, StoredOutcome};
use portcullis::domain::clock::{Clock as _, ManualClock};
use serde_json::{Value, json};

use crate::harness::authenticator::{Authenticator, CHALLENGE, Enrolled, SETUP, TOKEN, VERIFY};
use crate::harness::forge::{claims, hs256};
use crate::harness::{DJANGO_SECRET, PASSWORD, Plan, Reply, World, operator};

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

/// What the one code in a picture says, to a reader that is not ours.
fn scanned(directory: &Path, name: &str, picture: &[u8]) -> String {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).current_dir(directory).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(directory.join(name), picture).unwrap();
    let said = if name.ends_with(".svg") {
        run("rsvg-convert", &["--output", "drawn.png", name]);
        run("zbarimg", &["--quiet", "--raw", "drawn.png"])
    } else {
        run("zbarimg", &["--quiet", "--raw", name])
    };
    said.strip_suffix('\n').unwrap().to_owned()
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

fn session_of(access: &str) -> Value {
    claims(access)["sid"].clone()
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
fn a_phone_that_scans_the_code_signs_in() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let reply = world.post_as(SETUP, &access, &json!({}));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let body = reply.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["secret", "qr_url", "provisioning_uri", "secret_base32", "qr_png"]);
    let text = |name: &str| body[name].as_str().unwrap();

    let (hex, base32) = (text("secret"), text("secret_base32"));
    assert!(hex.len() == 40 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{hex}");
    let uri =
        format!("otpauth://totp/Portcullis%3Aanna?secret={base32}&algorithm=SHA1&digits=6&period=30&issuer=Portcullis");
    assert_eq!(text("provisioning_uri"), uri);
    let svg = STANDARD.decode(text("qr_url")).unwrap();
    assert!(svg.starts_with(b"<?xml") || svg.starts_with(b"<svg"), "no data: prefix, and SVG");
    assert_eq!(scanned(world.directory.path(), "code.svg", &svg), uri);
    let png = STANDARD.decode(text("qr_png").strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    let scanned = scanned(world.directory.path(), "code.png", &png);
    assert_eq!(scanned, uri);

    let phone = Authenticator::scan(&scanned);
    let secret: String = phone.secret.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(secret, hex);
    assert!(!is_asked(&world, "anna"), "it does not count yet");
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": phone.now(&clock) })).status, 200);
    assert!(is_asked(&world, "anna"));
    clock.advance(STEP);
    let (access, _) = world.sign_in_with("anna", &phone.now(&clock));
    assert_eq!(world.get_as("/", &access).status, 200);
}

#[test]
fn the_name_of_the_account_is_as_the_installation_had_it() {
    let uri = |world: &World, name: &str| {
        let (access, _) = world.sign_in(name);
        world.post_as(SETUP, &access, &json!({})).json()["provisioning_uri"].as_str().unwrap().to_owned()
    };
    let (world, _clock) = django();
    assert!(uri(&world, "anna").starts_with("otpauth://totp/anna?secret="), "no issuer, no prefix");
    assert!(uri(&world, "anna").ends_with("&algorithm=SHA1&digits=6&period=30"));
    let (world, _clock) =
        world_of(Plan { extra: "second_factor: { issuer: \"A: B & C\" }".to_owned(), ..Plan::default() });
    world.user("zoë/@x y");
    let uri = uri(&world, "zoë/@x y");
    assert!(uri.starts_with("otpauth://totp/A%20B%20%26%20C%3Azo%C3%AB/%40x%20y?secret="), "{uri}");
    assert!(uri.ends_with("&issuer=A%20B%20%26%20C"), "{uri}");
}

#[test]
fn setup_takes_no_fields_and_looks_at_no_body() {
    let (world, _clock) = world();
    let (access, _) = world.sign_in("anna");
    let bearer = format!("Bearer {access}");
    for (content_type, body) in
        [("application/json", "{"), ("application/json", "[]"), ("text/plain", "x"), ("multipart/form-data", "--")]
    {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", content_type)];
        let reply = world.request("POST", SETUP, &headers, body.as_bytes());
        assert_eq!(reply.status, 200, "{content_type} {body}: {reply:?}");
    }
    assert_eq!(world.request("POST", SETUP, &[("Authorization", &bearer)], b"x").status, 200);
    let headers = [("Authorization", bearer.as_str()), ("Content-Encoding", "gzip")];
    assert_eq!(world.request("POST", SETUP, &headers, b"x").status, 200);
}

#[test]
fn setting_up_again_replaces_what_was_not_confirmed() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let first = world.set_up(&access);
    let second = world.set_up(&access);
    assert_ne!(first.secret, second.secret);
    let devices = overview(&world, &access)["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
    let stale = world.post_as(VERIFY, &access, &json!({ "token": first.now(&clock) }));
    assert_answer(&stale, 400, json!({ "non_field_errors": ["Invalid token."] }));
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": second.now(&clock) })).status, 200);
}

#[test]
fn verify_judges_its_field_as_clients_know_it() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let phone = world.set_up(&access);
    for (token, message) in [
        (json!("12345"), "Ensure this field has at least 6 characters."),
        (json!("é"), "Ensure this field has at least 6 characters."),
        (json!("1234567"), "Ensure this field has no more than 6 characters."),
        (json!("x".repeat(1_000)), "Ensure this field has no more than 6 characters."),
        (json!(""), "This field may not be blank."),
        (Value::Null, "This field may not be null."),
        (json!(true), "Not a valid string."),
        (json!(["123456"]), "Not a valid string."),
        (json!({ "a": 1 }), "Not a valid string."),
        (json!("12\u{0}456"), "Null characters are not allowed."),
        // Only the Django stack's clients may send it.
        (json!(123_456), "Not a valid string."),
        (json!(" 123456"), "Ensure this field has no more than 6 characters."),
    ] {
        let reply = world.post_as(VERIFY, &access, &json!({ "token": token }));
        assert_answer(&reply, 400, json!({ "token": [message] }));
    }
    let missing = world.post_as(VERIFY, &access, &json!({ "otp": "123456" }));
    assert_answer(&missing, 400, json!({ "token": ["This field is required."] }));
    let headers = [("Authorization", &*format!("Bearer {access}")), ("Content-Type", "application/json")];
    assert_eq!(world.request("POST", VERIFY, &headers, b"{").code(), "parse_error");

    // Six characters, and no code.
    for token in ["abcdef", "１２３４５６", " 12345", "12 456", "+12345", "1e5000"] {
        let reply = world.post_as(VERIFY, &access, &json!({ "token": token }));
        assert_answer(&reply, 400, json!({ "non_field_errors": ["Invalid token."] }));
        // Wrong codes are counted, which is not what is tested here.
        clock.advance(Duration::from_secs(20));
    }
    assert_eq!(overview(&world, &access)["enabled"], false);
    clock.advance(Duration::from_secs(3600));
    let (access, _) = world.sign_in("anna");
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": phone.now(&clock) })).status, 200);
}

#[test]
fn a_django_client_may_write_its_code_in_many_ways() {
    for write in [
        (|code: &str| json!(code)) as fn(&str) -> Value,
        |code| json!(format!(" {code}\t")),
        |code| {
            json!(code.chars().map(|c| char::from_u32(0x660 + c.to_digit(10).unwrap()).unwrap()).collect::<String>())
        },
        |code| {
            json!(code.chars().map(|c| char::from_u32(0xff10 + c.to_digit(10).unwrap()).unwrap()).collect::<String>())
        },
    ] {
        let (world, clock) = django();
        let (access, _) = world.sign_in("anna");
        let phone = world.set_up(&access);
        let reply = world.post_as(VERIFY, &access, &json!({ "token": write(&phone.now(&clock)) }));
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let (world, clock) = django();
    let (access, _) = world.sign_in("anna");
    let phone = world.set_up(&access);
    // A number has no leading zeros; such a code is too short, there as here.
    while phone.now(&clock).starts_with('0') {
        clock.advance(STEP);
    }
    let number: u32 = phone.now(&clock).parse().unwrap();
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": number })).status, 200);
    let form = format!("token={}", phone.now(&clock));
    let headers =
        [("Authorization", &*format!("Bearer {access}")), ("Content-Type", "application/x-www-form-urlencoded")];
    let reply = world.request("POST", VERIFY, &headers, form.as_bytes());
    assert_answer(&reply, 400, json!({ "non_field_errors": ["No unconfirmed TOTP device found."] }));
}

#[test]
fn confirming_shows_recovery_codes_once_and_ends_the_other_sessions() {
    for plan in [Plan::default(), Plan::django("rotate: true")] {
        let (world, clock) = world_of(plan);
        let (access, refresh) = world.sign_in("anna");
        let (other, other_refresh) = world.sign_in("anna");
        let nothing = json!({ "token": "123456" });
        let reply = world.post_as(VERIFY, &access, &nothing);
        assert_answer(&reply, 400, json!({ "non_field_errors": ["No unconfirmed TOTP device found."] }));

        let phone = world.set_up(&access);
        let before = overview(&world, &access);
        assert_eq!((&before["enabled"], &before["recovery_codes_left"]), (&json!(false), &json!(0)));
        assert_eq!(before["devices"][0]["confirmed"], false);
        assert_eq!(world.get_as("/", &other).status, 200);

        let code = phone.now(&clock);
        let reply = world.post_as(VERIFY, &access, &json!({ "token": code }));
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
        let body = reply.json();
        assert_eq!((body["message"].as_str(), body.as_object().unwrap().len()), (Some("2FA enabled successfully"), 2));
        let codes: BTreeSet<&str> =
            body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(codes.len(), 10);
        for code in codes {
            let groups: Vec<&str> = code.split('-').collect();
            assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{code}");
        }

        let reply = world.get_as("/", &other);
        assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
        assert_eq!(world.refresh(&other_refresh).status, 401);
        assert_eq!(world.get_as("/", &access).status, 200, "this one goes on");
        let me = world.me(&access).json();
        assert_eq!((&me["assurance"], &me["amr"]), (&json!("one_factor"), &json!(["pwd"])), "as what it is");
        let refreshed = world.refresh(&refresh);
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        let refreshed = refreshed.json()["access"].as_str().unwrap().to_owned();
        assert_eq!(world.me(&refreshed).json()["assurance"], "one_factor", "nor stronger by a refresh");

        let after = overview(&world, &access);
        assert_eq!((&after["enabled"], &after["recovery_codes_left"]), (&json!(true), &json!(10)));
        let device = &after["devices"][0];
        let names: Vec<&String> = device.as_object().unwrap().keys().collect();
        assert_eq!(names, ["id", "name", "confirmed", "created_at", "last_used_at"]);
        assert_eq!((&device["name"], &device["confirmed"]), (&json!("Default"), &json!(true)));
        assert_eq!(device["last_used_at"], clock.now().rfc3339());

        let again = world.post_as(VERIFY, &access, &json!({ "token": code }));
        assert_answer(&again, 400, json!({ "non_field_errors": ["No unconfirmed TOTP device found."] }));
    }
}

#[test]
fn a_token_without_a_session_goes_on_and_older_ones_end() {
    let (world, clock) = world_of(Plan::django(""));
    world.user_with_id("17", "old");
    let now = clock.now().as_secs();
    let token = |issued_at: i64| {
        hs256(
            DJANGO_SECRET,
            &json!({
                "token_type": "access", "exp": now + 200, "iat": issued_at,
                "jti": format!("{issued_at}"), "user_id": "17",
            }),
        )
    };
    let (older, own) = (token(now - 10), token(now - 5));
    assert_eq!((world.me(&older).status, world.me(&own).status), (200, 200));
    world.enrol(&own, &clock);
    assert_eq!(world.me(&own).status, 200);
    let reply = world.me(&older);
    assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
}

#[test]
fn an_operator_ends_tokens_without_a_session_that_are_of_the_same_second() {
    let (world, clock) = world_of(Plan::django(""));
    world.user_with_id("17", "old");
    let now = clock.now().as_secs();
    let token = hs256(
        DJANGO_SECRET,
        &json!({ "token_type": "access", "exp": now + 200, "iat": now, "jti": "a", "user_id": "17" }),
    );
    assert_eq!(world.me(&token).status, 200);
    let user = world.wait(world.administration.users.find("old")).unwrap();
    world.wait(world.administration.users.end_sessions(&user, &operator())).unwrap();
    let reply = world.me(&token);
    assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
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

#[test]
fn these_endpoints_are_for_tokens_and_tell_others_nothing() {
    let (world, _clock) = world();
    let anna = world.user("bert");
    let (_, key) = world.key_of(KeyOwner::User(anna.id), "users:write", None);
    let (access, _) = world.sign_in("anna");
    for (method, path) in
        [("GET", OVERVIEW), ("POST", SETUP), ("POST", VERIFY), ("POST", DISABLE), ("POST", RECOVERY_CODES)]
    {
        let reply = world.request(method, path, &[("X-API-Key", &key)], b"");
        assert_eq!((reply.status, reply.code().as_str()), (401, "not_authenticated"), "{path}: {reply:?}");
        for other in ["DELETE", "PUT", if method == "GET" { "POST" } else { "GET" }] {
            assert_eq!(world.request(other, path, &[], b"").status, 401, "{other} {path}");
            let reply = world.request(other, path, &[("Authorization", &format!("Bearer {access}"))], b"");
            assert_eq!((reply.status, reply.header("allow").is_some()), (405, true), "{other} {path}: {reply:?}");
        }
    }
    // The description comes only with what opens the rest.
    assert_eq!(world.request("OPTIONS", SETUP, &[], b"").status, 401);
    let reply = world.request("OPTIONS", SETUP, &[("Authorization", &format!("Bearer {access}"))], b"");
    assert_eq!((reply.status, reply.json().get("actions")), (200, None), "{reply:?}");
    let reply = world.request("OPTIONS", VERIFY, &[("Authorization", &format!("Bearer {access}"))], b"");
    assert_eq!(reply.json()["actions"]["POST"]["token"]["label"], "Token", "{reply:?}");
}

#[test]
fn what_is_stored_and_logged_opens_nothing() {
    let (world, clock) = world();
    let (access, _) = world.sign_in("anna");
    let reply = world.post_as(SETUP, &access, &json!({}));
    let body = reply.json();
    let phone = Authenticator::scan(body["provisioning_uri"].as_str().unwrap());
    let wrong = phone.wrong(&clock);
    world.post_as(VERIFY, &access, &json!({ "token": wrong }));
    let code = phone.now(&clock);
    let reply = world.post_as(VERIFY, &access, &json!({ "token": code }));
    let codes: Vec<String> = serde_json::from_value(reply.json()["recovery_codes"].clone()).unwrap();
    let challenge = world.challenge("anna");
    let body_of = json!({ "challenge": challenge, "recovery_code": codes[0] });
    assert_eq!(world.post_json(CHALLENGE, &body_of).status, 200);

    let mut secrets: Vec<Vec<u8>> =
        vec![phone.secret.clone(), challenge.into_bytes(), STANDARD.encode(&phone.secret).into_bytes()];
    secrets.extend(["secret", "secret_base32"].map(|name| body[name].as_str().unwrap().as_bytes().to_vec()));
    secrets.extend(codes.iter().flat_map(|code| [code.clone().into_bytes(), code.replace('-', "").into_bytes()]));
    let mut looked_at = 0;
    for entry in std::fs::read_dir(world.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("portcullis.db") && !name.ends_with(".log") {
            continue;
        }
        looked_at += 1;
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{name} holds a secret");
        }
    }
    assert!(looked_at >= 3, "the database, its log, and the access log");
    let audit = serde_json::to_string(&audited(&world)).unwrap();
    for secret in secrets.iter().filter_map(|secret| std::str::from_utf8(secret).ok()).chain([code.as_str(), &wrong]) {
        assert!(!audit.contains(secret), "{audit}");
    }
}

/// Actions, outcomes and details of what the audit tells, the oldest first.
fn audited(world: &World) -> Vec<(String, String, String)> {
    let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
    let mut events = world.wait(world.stores.audit.list(&query)).unwrap();
    events.reverse();
    let outcome = |outcome: &StoredOutcome| match outcome {
        StoredOutcome::Done => "done".to_owned(),
        StoredOutcome::Refused(reason) => reason.clone(),
    };
    events
        .iter()
        .map(|event| (event.action.as_str().to_owned(), outcome(&event.outcome), event.detail.clone()))
        .collect()
}

#[test]
fn every_change_and_every_failed_proof_is_told() {
    let (world, clock) = world();
    clock.advance(Duration::from_secs(1));
    let (access, _) = world.sign_in("anna");
    // Events are in the order of their milliseconds.
    let ask = |path: &str, body: Value| {
        clock.advance(Duration::from_millis(2));
        world.post_as(path, &access, &body)
    };
    let reply = ask(SETUP, json!({}));
    let phone = Authenticator::scan(reply.json()["provisioning_uri"].as_str().unwrap());
    ask(VERIFY, json!({ "token": phone.wrong(&clock) }));
    ask(VERIFY, json!({ "token": phone.now(&clock) }));
    ask(DISABLE, json!({ "password": "no", "otp": "123456" }));
    ask(DISABLE, json!({ "password": PASSWORD, "otp": phone.now(&clock) }));
    ask(RECOVERY_CODES, json!({ "password": PASSWORD, "recovery_code": "aaaa-aaaa-aaaa-aaaa" }));
    clock.advance(STEP);
    ask(RECOVERY_CODES, json!({ "password": PASSWORD, "otp": phone.now(&clock) }));
    clock.advance(STEP);
    ask(DISABLE, json!({ "password": PASSWORD, "otp": phone.now(&clock) }));
    let told: Vec<(String, String)> =
        audited(&world).into_iter().map(|(action, outcome, _)| (action, outcome)).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(action, outcome)| (action.as_str(), outcome.as_str())).collect();
    assert_eq!(
        told,
        [
            ("user_create", "done"),
            ("sign_in", "done"),
            ("second_factor_setup", "done"),
            ("second_factor_check", "second_factor_invalid"),
            ("second_factor_enable", "done"),
            ("password_check", "password_invalid"),
            ("second_factor_check", "second_factor_invalid"),
            ("recovery_code_use", "second_factor_invalid"),
            ("recovery_codes_make", "done"),
            ("second_factor_disable", "done"),
        ]
    );
    let query = AuditQuery { action: Some(AuditAction::SecondFactorEnable), limit: 1, ..AuditQuery::default() };
    let event = world.wait(world.stores.audit.list(&query)).unwrap().remove(0);
    assert_eq!(json!(event.initiator.session_id.unwrap().as_str()), session_of(&access));
    assert!(event.user.is_some());
    // The access log names the same reasons.
    world.assert_counted("second_factor_invalid", 3);
    world.assert_counted("password_invalid", 1);
}
