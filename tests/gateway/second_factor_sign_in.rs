//! Signing in with a second factor: the challenge, the codes, each for one use, and what a session of two factors may do.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::AuditAction;
use portcullis::domain::clock::{Clock, ManualClock};
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::secret::Secret;
use portcullis::server::ground::Nature;
use portcullis::server::run::Running;
use serde_json::{Value, json};

use crate::harness::authenticator::{Authenticator, CHALLENGE, Enrolled, SETUP, TOKEN, VERIFY};
use crate::harness::forge::claims;
use crate::harness::{Client, PASSWORD, Plan, Reply, World, operator};

const DISABLE: &str = "/api/v1/auth/2fa/totp/disable/";
const RECOVERY_CODES: &str = "/api/v1/auth/2fa/recovery-codes/";
const STEP: Duration = Duration::from_secs(30);

/// `anna` has enrolled and has a session of one factor, which was there before.
struct Enrolment {
    world: World,
    clock: Arc<ManualClock>,
    access: String,
    phone: Authenticator,
    codes: Vec<String>,
}

fn enrolled_in(plan: Plan) -> Enrolment {
    let (plan, clock) = plan.timed();
    let world = World::plan(plan);
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let Enrolled { authenticator, recovery_codes } = world.enrol(&access, &clock);
    clock.advance(STEP);
    Enrolment { world, clock, access, phone: authenticator, codes: recovery_codes }
}

fn enrolled() -> Enrolment {
    enrolled_in(Plan::default())
}

impl Enrolment {
    fn code(&self) -> String {
        self.phone.now(&self.clock)
    }

    fn wrong(&self) -> String {
        self.phone.wrong(&self.clock)
    }

    fn answer(&self, challenge: &str, otp: &str) -> Reply {
        self.world.post_json(CHALLENGE, &json!({ "challenge": challenge, "otp": otp }))
    }

    fn recover(&self, code: &str) -> Reply {
        let body = json!({ "challenge": self.world.challenge("anna"), "recovery_code": code });
        self.world.post_json(CHALLENGE, &body)
    }

    fn login(&self, otp: &Value) -> Reply {
        self.world.post_json(TOKEN, &json!({ "username": "anna", "password": PASSWORD, "otp": otp }))
    }
}

#[track_caller]
fn assert_refused(reply: &Reply, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (401, code), "{reply:?}");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.json().get("access").is_none());
}

#[track_caller]
fn pair(reply: &Reply) -> (String, String) {
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    let body = reply.json();
    (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
}

#[test]
fn the_password_gives_a_ticket_and_the_code_a_session() {
    let it = enrolled();
    let reply = it.world.post_json(TOKEN, &json!({ "username": "anna", "password": PASSWORD }));
    assert_refused(&reply, "mfa_required");
    let body = reply.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["detail", "code", "challenge", "expires_in"]);
    assert_eq!((&body["detail"], &body["expires_in"]), (&json!("A second factor is required."), &json!(300)));
    let ticket = body["challenge"].as_str().unwrap();
    assert!(ticket.len() >= 43, "256 bits");

    // It is good for nothing else.
    assert_eq!(it.world.me(ticket).status, 401);
    assert_eq!(it.world.refresh(ticket).status, 401);
    let verify = it.world.post_json("/api/v1/auth/token/verify/", &json!({ "token": ticket }));
    assert_eq!(verify.status, 401);
    assert_eq!(it.world.get("/", &[("X-API-Key", ticket)]).status, 401);

    it.clock.advance(Duration::from_secs(7));
    let (access, refresh) = pair(&it.answer(ticket, &it.code()));
    let now = it.clock.now().as_secs();
    for token in [&access, &refresh] {
        let claims = claims(token);
        assert_eq!((&claims["amr"], &claims["auth_time"]), (&json!(["pwd", "otp"]), &json!(now)));
    }
    let me = it.world.me(&access).json();
    assert_eq!((&me["assurance"], &me["amr"]), (&json!("two_factors"), &json!(["pwd", "otp"])));
    let seen = it.world.get_as("/", &access).seen();
    assert_eq!(seen.header("x-auth-amr"), Some("pwd otp"));
    let (refreshed, _) = pair(&it.world.refresh(&refresh));
    assert_eq!(it.world.me(&refreshed).json()["assurance"], "two_factors");
    assert_eq!(it.world.get_as("/", &it.access).status, 200, "sessions from before go on");
}

#[test]
fn both_factors_may_come_at_once() {
    let it = enrolled();
    assert_refused(&it.login(&json!(it.wrong())), "second_factor_invalid");
    let reply = it.world.post_json(TOKEN, &json!({ "username": "anna", "password": "no", "otp": it.code() }));
    assert_refused(&reply, "no_active_account");
    let (access, _) = pair(&it.login(&json!(it.code())));
    assert_eq!(claims(&access)["amr"], json!(["pwd", "otp"]));
    // Null is as if it were not there; and who has no second factor is not asked what it would be.
    assert_refused(&it.login(&Value::Null), "mfa_required");
    it.world.user("bert");
    let reply = it.world.post_json(TOKEN, &json!({ "username": "bert", "password": PASSWORD, "otp": "whatever" }));
    assert_eq!(claims(&pair(&reply).0)["amr"], json!(["pwd"]));
}

#[test]
fn a_recovery_code_signs_in_once_however_it_is_written() {
    let it = enrolled();
    for (number, written) in [
        it.codes[0].clone(),
        it.codes[1].to_uppercase(),
        it.codes[2].replace('-', ""),
        format!("  {}\t", it.codes[3].replace('-', " ")),
    ]
    .iter()
    .enumerate()
    {
        let (access, _) = pair(&it.recover(written));
        assert_eq!(claims(&access)["amr"], json!(["pwd", "recovery_code"]), "{written}");
        assert_eq!(it.world.me(&access).json()["assurance"], "two_factors");
        let left = it.world.get_as("/api/v1/auth/2fa/", &access).json()["recovery_codes_left"].clone();
        assert_eq!(left, 9 - number);
        assert_refused(&it.recover(written), "second_factor_invalid");
        assert_refused(&it.recover(&it.codes[number]), "second_factor_invalid");
    }
    // A code of one kind is none of the other.
    assert_refused(&it.login(&json!(it.codes[5])), "second_factor_invalid");
    it.clock.advance(Duration::from_secs(3600));
    assert_refused(&it.recover(&it.code()), "second_factor_invalid");
}

#[test]
fn a_code_works_once_on_whichever_route() {
    let it = enrolled();
    // Taken by the confirmation, a step ago and still within the tolerance.
    let taken = it.phone.code(it.phone.step(&it.clock) - 1);
    assert_refused(&it.login(&json!(taken)), "second_factor_invalid");
    let code = it.code();
    pair(&it.login(&json!(code)));
    assert_refused(&it.login(&json!(code)), "second_factor_invalid");
    let ticket = it.world.challenge("anna");
    assert_refused(&it.answer(&ticket, &code), "second_factor_invalid");
    for path in [DISABLE, RECOVERY_CODES, SETUP] {
        let reply = it.world.post_as(path, &it.access, &json!({ "password": PASSWORD, "otp": code }));
        assert_eq!((reply.status, reply.code().as_str()), (400, "second_factor_invalid"), "{path}: {reply:?}");
        it.clock.advance(Duration::from_secs(4));
    }
    // The next one is good already, and after it this one's successor is not any more.
    let step = it.phone.step(&it.clock);
    it.clock.advance(Duration::from_secs(60));
    pair(&it.login(&json!(it.phone.code(step + 3))));
    it.clock.advance(STEP);
    assert_refused(&it.login(&json!(it.phone.code(step + 2))), "second_factor_invalid");
    pair(&it.login(&json!(it.phone.code(step + 4))));
}

#[test]
fn a_challenge_is_for_one_sign_in_a_few_codes_and_five_minutes() {
    let it = enrolled();
    let used = it.world.challenge("anna");
    pair(&it.answer(&used, &it.code()));
    it.clock.advance(STEP);
    assert_refused(&it.answer(&used, &it.code()), "challenge_invalid");

    let tried = it.world.challenge("anna");
    let fresh = it.world.challenge("anna");
    for number in 1..=5 {
        assert_refused(&it.answer(&tried, &it.wrong()), "second_factor_invalid");
        // A right code through another challenge takes the failures of the account back, and none of this one's.
        if number == 3 {
            it.clock.advance(STEP);
            pair(&it.answer(&fresh, &it.code()));
        }
    }
    it.clock.advance(STEP);
    assert_refused(&it.answer(&tried, &it.code()), "challenge_invalid");

    let over = it.world.challenge("anna");
    let just = it.world.challenge("anna");
    it.clock.advance(Duration::from_micros(299_999_999));
    pair(&it.answer(&just, &it.code()));
    it.clock.advance(Duration::from_micros(1));
    it.clock.advance(STEP);
    assert_refused(&it.answer(&over, &it.code()), "challenge_invalid");

    for unknown in ["x", &"x".repeat(43), "ü", "' OR 1=1"] {
        assert_refused(&it.answer(unknown, &it.code()), "challenge_invalid");
    }

    let anna = it.world.wait(it.world.administration.users.find("anna")).unwrap().id;
    let mut told = it.world.audited(AuditAction::SecondFactorCheck);
    told.retain(|(reason, _)| reason == "challenge_invalid");
    let one = ("challenge_invalid".to_owned(), Some(anna));
    assert_eq!(told, [one.clone(), one], "of the one that was used up and of the one that was over");
}

#[test]
fn a_challenge_ends_with_what_it_vouches_for() {
    type Change = fn(&Enrolment);
    let changes: [(&str, Change); 4] = [
        ("another password", |it| {
            let (password, by) = (Secret::new("another password".to_owned()), operator());
            it.world.wait(it.world.administration.users.set_password("anna", password, &by)).unwrap();
        }),
        ("disabled, and enabled again", |it| {
            for active in [false, true] {
                it.world.wait(it.world.administration.users.set_active("anna", active, &operator())).unwrap();
            }
        }),
        ("another second factor", |it| {
            let body = json!({ "password": PASSWORD, "recovery_code": it.codes[0] });
            assert_eq!(it.world.post_as(DISABLE, &it.access, &body).status, 200);
            it.world.enrol(&it.access, &it.clock);
            it.clock.advance(STEP);
        }),
        ("reset by an administrator", |it| {
            let user = it.world.wait(it.world.administration.users.find("anna")).unwrap();
            assert!(it.world.wait(it.world.administration.second_factors.reset(&user.id, &operator())).unwrap());
        }),
    ];
    for (what, change) in changes {
        let it = enrolled();
        let ticket = it.world.challenge("anna");
        change(&it);
        let reply = it.answer(&ticket, &it.code());
        assert_eq!((reply.status, reply.code().as_str()), (401, "challenge_invalid"), "{what}: {reply:?}");
    }
    // While the user is off, too.
    let it = enrolled();
    let ticket = it.world.challenge("anna");
    it.world.wait(it.world.administration.users.set_active("anna", false, &operator())).unwrap();
    assert_refused(&it.answer(&ticket, &it.code()), "challenge_invalid");
}

#[test]
fn fields_of_the_second_step_are_judged_like_all_others() {
    let it = enrolled();
    let required = json!(["This field is required."]);
    for (body, faults) in [
        (json!({}), json!({ "challenge": required, "otp": required })),
        (json!({ "challenge": "x" }), json!({ "otp": required })),
        (json!({ "challenge": "x", "otp": null, "recovery_code": null }), json!({ "otp": required })),
        (json!({ "otp": "123456" }), json!({ "challenge": required })),
        (json!({ "challenge": "x", "otp": "" }), json!({ "otp": ["This field may not be blank."] })),
        (json!({ "challenge": "x", "otp": 123_456 }), json!({ "otp": ["Not a valid string."] })),
        (
            json!({ "challenge": ["x"], "otp": ["1"] }),
            json!({ "challenge": ["Not a valid string."], "otp": ["Not a valid string."] }),
        ),
        (json!({ "challenge": "x", "recovery_code": true }), json!({ "recovery_code": ["Not a valid string."] })),
        (
            json!({ "challenge": "x", "otp": "1", "recovery_code": "2" }),
            json!({ "recovery_code": ["Give either otp or recovery_code."] }),
        ),
    ] {
        let reply = it.world.post_json(CHALLENGE, &body);
        assert_eq!((reply.status, reply.json()), (400, faults), "{body}");
    }
    assert_eq!(it.world.get(CHALLENGE, &[]).status, 405);
    let junk = [("Authorization", "Bearer junk"), ("Content-Type", "application/x-www-form-urlencoded")];
    let form = format!("challenge={}&otp={}", it.world.challenge("anna"), it.code());
    pair(&it.world.request("POST", CHALLENGE, &junk, form.as_bytes()));
}

#[test]
fn odd_ways_to_write_a_code_are_for_django_clients_only() {
    let digits = |code: &str, zero: u32| -> String {
        code.chars().map(|c| char::from_u32(zero + c.to_digit(10).unwrap()).unwrap()).collect()
    };
    for (plan, accepted) in [(Plan::default(), false), (Plan::django(""), true)] {
        let it = enrolled_in(plan);
        let written = |number: usize| {
            let code = it.code();
            match number {
                0 => json!(format!(" {code} ")),
                1 => json!(format!("00{code}")),
                2 => json!(digits(&code, 0x966)),
                _ => json!(code.parse::<u32>().unwrap()),
            }
        };
        for number in 0..4 {
            let reply = it.login(&written(number));
            let expected = match (accepted, number) {
                (true, _) => 200,
                (false, 3) => 400,
                (false, _) => 401,
            };
            assert_eq!(reply.status, expected, "{number}: {reply:?}");
            it.clock.advance(STEP);
        }
        for never in [json!("+12345"), json!("12 456"), json!("12345a"), json!("0x1F"), json!("1e3"), json!("")] {
            assert_ne!(it.login(&never).status, 200, "{never}");
            it.clock.advance(Duration::from_secs(600));
        }
        pair(&it.login(&json!(it.code())));
    }
}

#[test]
fn of_many_answers_with_one_code_one_gets_a_session_whichever_gateway_they_come_to() {
    let it = enrolled();
    let nature = Nature { clock: Arc::clone(&it.clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) };
    let other = Running::start_with(&it.world.settings, &nature).unwrap();
    let user = it.world.wait(it.world.administration.users.find("anna")).unwrap();
    let live = || it.world.wait(it.world.stores.sessions.list_live(&user.id, it.clock.now(), 100)).unwrap().len();
    for round in 0..3 {
        // The last round with a recovery code.
        let shown = if round < 2 { json!({ "otp": it.code() }) } else { json!({ "recovery_code": it.codes[0] }) };
        let tickets: Vec<String> = (0..16).map(|_| it.world.challenge("anna")).collect();
        let before = live();
        let barrier = Barrier::new(tickets.len());
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let threads: Vec<_> = tickets
                .iter()
                .enumerate()
                .map(|(number, ticket)| {
                    let mut body = shown.clone();
                    body["challenge"] = json!(ticket);
                    let address = if number % 2 == 0 { it.world.http() } else { other.http() };
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let mut client = Client::connect(address);
                        barrier.wait();
                        let json = [("Content-Type", "application/json")];
                        client.request("POST", CHALLENGE, &json, body.to_string().as_bytes())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 401 | 429)), "{statuses:?}");
        assert_eq!(live(), before + 1, "{statuses:?}");
        it.clock.advance(Duration::from_secs(1800));
    }
}

#[test]
fn wrong_codes_count_over_all_routes_until_time_has_passed() {
    let it = enrolled();
    let session = |path: &str, body: Value| it.world.post_as(path, &it.access, &body);
    let waits = |reply: &Reply| -> u64 {
        assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_attempts"), "{reply:?}");
        reply.header("retry-after").unwrap().parse().unwrap()
    };
    let ticket = it.world.challenge("anna");
    let wrong = it.wrong();
    assert_refused(&it.login(&json!(wrong)), "second_factor_invalid");
    assert_refused(&it.answer(&ticket, &wrong), "second_factor_invalid");
    let invalid = |reply: Reply| assert_eq!((reply.status, reply.code().as_str()), (400, "second_factor_invalid"));
    invalid(session(DISABLE, json!({ "password": PASSWORD, "otp": wrong })));
    invalid(session(RECOVERY_CODES, json!({ "password": PASSWORD, "recovery_code": "aaaa-aaaa-aaaa-aaaa" })));
    invalid(session(SETUP, json!({ "password": PASSWORD, "otp": wrong })));

    // The right one is not looked at either, on none of them, and on no other gateway.
    let nature = Nature { clock: Arc::clone(&it.clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) };
    let other = Running::start_with(&it.world.settings, &nature).unwrap();
    let code = it.code();
    let fresh = it.world.challenge("anna");
    for reply in [
        it.login(&json!(code)),
        it.answer(&fresh, &code),
        it.recover(&it.codes[0]),
        session(DISABLE, json!({ "password": PASSWORD, "otp": code })),
        session(RECOVERY_CODES, json!({ "password": PASSWORD, "otp": code })),
        session(SETUP, json!({ "password": PASSWORD, "otp": code })),
        Client::connect(other.http()).request(
            "POST",
            CHALLENGE,
            &[("Content-Type", "application/json")],
            json!({ "challenge": fresh, "otp": code }).to_string().as_bytes(),
        ),
    ] {
        assert_eq!(waits(&reply), 10, "{reply:?}");
    }
    // A password is another matter, and does not lift it.
    it.world.challenge("anna");
    it.clock.advance(Duration::from_secs(10));
    assert_refused(&it.answer(&fresh, &it.wrong()), "second_factor_invalid");
    assert_eq!(waits(&it.answer(&fresh, &code)), 20, "it grows");
    it.clock.advance(Duration::from_secs(20));
    pair(&it.answer(&fresh, &it.code()));
    // All is forgiven.
    for _ in 0..4 {
        assert_refused(&it.login(&json!(it.wrong())), "second_factor_invalid");
    }
    it.clock.advance(STEP);
    pair(&it.login(&json!(it.code())));
}

#[test]
fn first_codes_count_as_well() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let phone = world.set_up(&access);
    for _ in 0..5 {
        let reply = world.post_as(VERIFY, &access, &json!({ "token": phone.wrong(&clock) }));
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    let reply = world.post_as(VERIFY, &access, &json!({ "token": phone.now(&clock) }));
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("10")), "{reply:?}");
    // Another device is no fresh budget.
    let phone = world.set_up(&access);
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": phone.now(&clock) })).status, 429);
    clock.advance(Duration::from_secs(10));
    assert_eq!(world.post_as(VERIFY, &access, &json!({ "token": phone.now(&clock) })).status, 200);
    // The right one takes them back, there and wherever else a session shows one.
    let anna = world.wait(world.administration.users.find("anna")).unwrap();
    let failures = || world.wait(world.stores.guesses.find(&GuessSubject::Codes(anna.id.clone()))).unwrap();
    assert_eq!(failures(), None);
    for path in [RECOVERY_CODES, SETUP, DISABLE] {
        let show = |otp: String| world.post_as(path, &access, &json!({ "password": PASSWORD, "otp": otp })).status;
        clock.advance(STEP);
        assert_eq!((show(phone.wrong(&clock)), failures().map(|lockout| lockout.failures)), (400, Some(1)), "{path}");
        assert_eq!((show(phone.now(&clock)), failures()), (200, None), "{path}");
    }
}

#[test]
fn routes_may_demand_two_factors_and_a_recent_sign_in() {
    let routes = "  - { name: strong, path: /strong, upstream: backend, access: { any: [jwt, api_key], assurance: two_factors } }
  - { name: recent, path: /recent, upstream: backend, access: { any: [jwt, api_key], max_auth_age: 10m } }
  - { name: all, path: /all, upstream: backend, access: { all: [jwt, api_key], assurance: two_factors } }
  - { name: rest, path: /, upstream: backend, access: { any: [jwt, api_key] } }";
    let it = enrolled_in(Plan {
        routes: Some(routes.to_owned()),
        tokens: Some("{ access_lifetime: 1h }".to_owned()),
        ..Plan::default()
    });
    let anna = it.world.wait(it.world.administration.users.find("anna")).unwrap();
    let (_, key) = it.world.key_of(KeyOwner::User(anna.id), "", None);
    let key = ("X-API-Key", key.as_str());
    let one = format!("Bearer {}", it.access);
    let (strong, refresh) = pair(&it.login(&json!(it.code())));
    let two = format!("Bearer {strong}");
    let (one, two) = (("Authorization", one.as_str()), ("Authorization", two.as_str()));
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let reply = it.world.get(path, headers);
        let code = if reply.status == 200 { String::new() } else { reply.code() };
        (reply.status, code)
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    for (path, headers, expected) in [
        ("/strong", vec![one], refused(403, "second_factor_required")),
        ("/strong", vec![two], refused(200, "")),
        ("/strong", vec![key], refused(403, "second_factor_required")),
        ("/strong", vec![two, key], refused(200, "")),
        ("/all", vec![one, key], refused(403, "second_factor_required")),
        ("/all", vec![two, key], refused(200, "")),
        ("/recent", vec![one], refused(200, "")),
        ("/recent", vec![key], refused(401, "authentication_too_old")),
        ("/", vec![key], refused(200, "")),
    ] {
        assert_eq!(ask(path, &headers), expected, "{path} {}", headers.len());
    }
    it.clock.advance(Duration::from_secs(601));
    assert_eq!(ask("/recent", &[two]), refused(401, "authentication_too_old"));
    let (refreshed, _) = pair(&it.world.refresh(&refresh));
    let refreshed = format!("Bearer {refreshed}");
    let refreshed = ("Authorization", refreshed.as_str());
    assert_eq!(ask("/recent", &[refreshed]), refused(401, "authentication_too_old"), "a refresh is no sign-in");
    assert_eq!(ask("/strong", &[refreshed]), refused(200, ""));
    let (again, _) = pair(&it.login(&json!(it.code())));
    assert_eq!(ask("/recent", &[("Authorization", &format!("Bearer {again}"))]), refused(200, ""));
}

#[test]
fn a_session_counts_for_one_factor_once_the_second_is_gone() {
    let routes =
        "  - { name: strong, path: /strong, upstream: backend, access: { any: [jwt], assurance: two_factors } }
  - { name: rest, path: /, upstream: backend, access: { any: [jwt] } }";
    let it = enrolled_in(Plan { routes: Some(routes.to_owned()), ..Plan::default() });
    let (access, refresh) = pair(&it.login(&json!(it.code())));
    assert_eq!(it.world.get_as("/strong", &access).status, 200);
    it.clock.advance(STEP);
    let reply = it.world.post_as(DISABLE, &access, &json!({ "password": PASSWORD, "otp": it.code() }));
    assert_eq!(reply.status, 200, "{reply:?}");

    let (refreshed, _) = pair(&it.world.refresh(&refresh));
    for token in [&access, &refreshed] {
        let reply = it.world.get_as("/strong", token);
        assert_eq!((reply.status, reply.code().as_str()), (403, "second_factor_required"), "{reply:?}");
        assert_eq!(it.world.me(token).json()["assurance"], "one_factor");
        assert_eq!(it.world.get_as("/", token).status, 200, "the session itself goes on");
    }
}
