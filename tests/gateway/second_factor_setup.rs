//! Setting a second factor up, confirming it, disabling it, and what that does to the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::domain::audit::{AuditAction, AuditQuery, StoredOutcome};
use portcullis::domain::clock::{Clock as _, ManualClock};
use portcullis::domain::key_owner::KeyOwner;
use serde_json::{Value, json};

use crate::harness::authenticator::{Authenticator, CHALLENGE, SETUP, TOKEN, VERIFY};
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
    world.settle();
    let reply = world.me(&token);
    assert_eq!((reply.status, reply.code().as_str()), (401, "session_ended"), "{reply:?}");
}
