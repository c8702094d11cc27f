//! The audit: who did what to whom, found by any of it, and never a secret in it.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::domain::audit::{AuditAction, AuditEvent, AuditQuery};
use portcullis::domain::key_owner::KeyOwner;
use serde_json::{Value, json};

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{PASSWORD, Plan, World, eventually};

const ALL: &str = "users:read users:write sessions:write keys:read keys:write audit:read orders:read";

fn plan() -> Plan {
    let roles = "roles: { support: { scopes: [users:read] } }";
    Plan { extra: format!("{ONE_FACTOR}\n{roles}"), ..Plan::default() }
}

fn events(world: &World) -> Vec<AuditEvent> {
    let query = AuditQuery { limit: 10_000, ..AuditQuery::default() };
    world.wait(world.stores.audit.list(&query)).unwrap()
}

fn results(asker: &Asker<'_>, query: &str) -> Vec<Value> {
    asker.get(&format!("audit/?{query}")).done()["results"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

#[test]
fn every_change_is_one_row_and_one_line_that_tells_what_changed() {
    let world = World::plan(plan());
    let root = world.user_with("root", true, "orders:read");
    let admin = world.by_user("root");
    let anna =
        admin.post("users/", &json!({ "username": "anna", "password": PASSWORD, "scopes": ["orders:read"] })).done();
    let anna = text(&anna, "id").to_owned();
    let at = |rest: &str| format!("users/{anna}/{rest}");
    let key = admin.post("keys/", &json!({ "name": "x", "owner": format!("user:{anna}"), "expires_in": 60 })).done();
    let key = text(&key, "id").to_owned();
    let before = events(&world).len();
    world.sign_in("anna");
    let session = text(&admin.get(&at("sessions/")).done()["results"][0], "id").to_owned();
    let mut expected: Vec<(&str, String, String)> = vec![("sign_in", String::new(), format!("session:{session}"))];
    let steps: Vec<(&str, String, Value, &str, String, String)> = vec![
        (
            "DELETE",
            at(&format!("sessions/{session}/")),
            json!({}),
            "session_end",
            String::new(),
            format!("session:{session}"),
        ),
        (
            "PATCH",
            at(""),
            json!({ "username": "bert", "last_name": "B" }),
            "user_change",
            "username [anna] -> [bert]; last_name".into(),
            String::new(),
        ),
        (
            "PATCH",
            at(""),
            json!({ "username": "anna" }),
            "user_change",
            "username [bert] -> [anna]".into(),
            String::new(),
        ),
        (
            "PATCH",
            at(""),
            json!({ "email": "anna@example.org", "first_name": "A" }),
            "user_change",
            "email; first_name".into(),
            String::new(),
        ),
        (
            "PATCH",
            at(""),
            json!({ "scopes": [], "roles": ["support"] }),
            "user_change",
            "roles [] -> [support]; scopes [orders:read] -> []".into(),
            String::new(),
        ),
        ("PATCH", at(""), json!({ "is_admin": true }), "user_change", "admin [false] -> [true]".into(), String::new()),
        (
            "PATCH",
            at(""),
            json!({ "is_admin": false, "is_active": false }),
            "user_disable",
            "active [true] -> [false]; admin [true] -> [false]".into(),
            String::new(),
        ),
        ("POST", at("enable/"), json!({}), "user_enable", String::new(), String::new()),
        ("POST", at("disable/"), json!({}), "user_disable", String::new(), String::new()),
        (
            "POST",
            at("set-password/"),
            json!({ "password": "another long password" }),
            "user_password_set",
            String::new(),
            String::new(),
        ),
        ("POST", at("reset-2fa/"), json!({}), "user_second_factor_reset", String::new(), String::new()),
        ("POST", at("end-sessions/"), json!({}), "sessions_end", String::new(), String::new()),
        (
            "PATCH",
            format!("keys/{key}/"),
            json!({ "name": "y", "scopes": ["orders:read"], "expires_at": null }),
            "key_change",
            "name; expires".into(),
            format!("key:{key}"),
        ),
        (
            "POST",
            format!("keys/{key}/rotate/"),
            json!({}),
            "key_rotate",
            "replaced by key:".into(),
            format!("key:{key}"),
        ),
        ("POST", format!("keys/{key}/revoke/"), json!({}), "key_revoke", String::new(), format!("key:{key}")),
        ("DELETE", at(""), json!({}), "user_delete", "username [anna]".into(), String::new()),
    ];
    for (method, path, body, action, detail, object) in steps {
        admin.ask(method, &path, Some(&body)).done();
        expected.push((action, detail, object));
    }
    // What changes nothing tells nothing.
    admin.patch(&format!("users/{}/", root.id), &json!({ "first_name": "" })).done();
    admin.get("users/").done();
    let told = results(&admin, "limit=200");
    assert_eq!(told.len(), before + expected.len());
    for (action, detail, object) in expected {
        let fits = |event: &&Value| {
            event["action"] == action
                && event["object"].as_str().unwrap_or_default() == object
                && text(event, "detail").starts_with(&detail)
                && (text(event, "detail").is_empty() == detail.is_empty() || action == "sign_in")
        };
        let event = told.iter().find(fits).unwrap_or_else(|| panic!("{action} {detail} {object}: {told:#?}"));
        assert_eq!((&event["outcome"], &event["reason"]), (&json!("done"), &Value::Null));
        assert_eq!(event["user_id"], anna.as_str(), "{event}");
        assert_eq!(event["client"], "127.0.0.1");
        if action != "sign_in" {
            assert_eq!(event["actor"], format!("user:{}", root.id));
            assert!(event["session_id"].is_string() && event["key_id"].is_null(), "{event}");
        }
        // The same in the log, told once.
        let line = eventually("the line of the event", || {
            let lines = world.audit_text();
            let found: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let found: Vec<Value> = found.into_iter().filter(|line: &Value| line["id"] == event["id"]).collect();
            assert!(found.len() < 2, "{found:?}");
            found.into_iter().next()
        });
        for field in ["time", "action", "outcome", "actor", "user_id", "request_id", "client"] {
            assert_eq!(line[field], event[field], "{field}");
        }
        // And the access log knows the request.
        world.access_line(text(event, "request_id"));
    }
    let created = results(&admin, "action=user_create");
    assert!(
        created.iter().any(|event| event["detail"] == "username [] -> [anna]; scopes [] -> [orders:read]"),
        "{created:?}"
    );
    let created = results(&admin, "action=key_create");
    assert!(
        created.iter().any(|event| text(event, "detail").starts_with(&format!("owner user:{anna}; expires ["))),
        "{created:?}"
    );
}

#[test]
fn events_are_found_by_any_of_it_and_by_all_of_it() {
    let (plan, clock) = plan().timed();
    let world = World::plan(plan);
    let (anna, bert) = (world.user("anna"), world.user("bert"));
    let (key, secret) = world.key_of(KeyOwner::Service("desk".into()), ALL, None);
    let admin = world.by_key(&secret);
    let start = "2027-01-15T08:00:10Z";
    clock.advance(Duration::from_secs(10));
    world.sign_in("anna");
    clock.advance(Duration::from_secs(10));
    world.post_json("/api/v1/auth/token/", &json!({ "username": "anna", "password": "wrong password" }));
    clock.advance(Duration::from_secs(10));
    let disabled = admin.post(&format!("users/{}/disable/", bert.id), &json!({}));
    let request = disabled.header("x-request-id").unwrap().to_owned();
    clock.advance(Duration::from_secs(10));
    let made = admin.post("keys/", &json!({ "name": "x", "owner": format!("user:{}", anna.id) })).done();
    let object = format!("key:{}", text(&made, "id"));

    let told = |query: &str| -> Vec<String> {
        results(&admin, query)
            .iter()
            .map(|event| format!("{} {}", text(event, "action"), text(event, "outcome")))
            .collect()
    };
    let all = ["key_create done", "user_disable done", "sign_in refused", "sign_in done"];
    assert_eq!(told(&format!("since={start}")), all);
    assert_eq!(
        told(&format!("user={}&since={start}", anna.id)),
        ["key_create done", "sign_in refused", "sign_in done"]
    );
    assert_eq!(told(&format!("user={}&since={start}", bert.id)), ["user_disable done"]);
    assert_eq!(told("actor=service:desk"), ["key_create done", "user_disable done"]);
    assert_eq!(told(&format!("actor=user:{}", anna.id)), [""; 0], "a sign-in is by whom nobody knows yet");
    assert_eq!(told("actor=anonymous"), ["sign_in refused", "sign_in done"]);
    assert_eq!(told("actor=operator").len(), 3, "the users and the key from before");
    assert_eq!(told("action=sign_in"), ["sign_in refused", "sign_in done"]);
    assert_eq!(told("outcome=refused"), ["sign_in refused"]);
    assert_eq!(told("action=sign_in&outcome=done"), ["sign_in done"]);
    assert_eq!(told(&format!("object={object}")), ["key_create done"]);
    assert_eq!(told(&format!("request_id={request}")), ["user_disable done"]);
    assert_eq!(told("since=2027-01-15T08:00:20Z&until=2027-01-15T08:00:30Z"), ["sign_in refused"], "from, and before");
    assert_eq!(told("since=2027-01-15T10:00:20%2B02:00&until=2027-01-15T08:00:30Z"), ["sign_in refused"]);
    assert_eq!(told("user=nobody"), [""; 0]);
    assert_eq!(told(&format!("user={}&action=sign_in", bert.id)), [""; 0]);

    let event = &results(&admin, &format!("request_id={request}"))[0];
    let names: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "time",
        "action",
        "outcome",
        "reason",
        "actor",
        "key_id",
        "session_id",
        "user_id",
        "object",
        "detail",
        "client",
        "user_agent",
        "request_id",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!((&event["time"], &event["key_id"]), (&json!("2027-01-15T08:00:30.000000Z"), &json!(key.id.as_str())));
    let refused = &results(&admin, "outcome=refused")[0];
    assert_eq!((&refused["reason"], &refused["user_id"]), (&json!("sign_in_refused"), &json!(anna.id.as_str())));

    let pages = admin.pages(&format!("audit/?since={start}"), 1, "action");
    assert_eq!(pages, [["key_create"], ["user_disable"], ["sign_in"], ["sign_in"]]);
    let first = admin.get("audit/?limit=2").done();
    clock.advance(Duration::from_secs(10));
    world.sign_in("anna");
    let rest = admin.get(&format!("audit/?cursor={}&since={start}", text(&first, "next"))).done();
    assert_eq!(rest["results"].as_array().unwrap().len(), 2, "what came later is not on a later page");
    for (query, field) in [
        ("action=nothing", "action"),
        ("actor=root", "actor"),
        ("outcome=maybe", "outcome"),
        ("since=yesterday", "since"),
        ("until=2027-01-15", "until"),
        ("user=", "user"),
        ("object=a%00b", "object"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let reply = admin.get(&format!("audit/?{query}"));
        assert_eq!((reply.status, reply.json()[field].is_array()), (400, true), "{query}: {reply:?}");
    }
    world
        .by_scopes("users:read users:write keys:read keys:write")
        .get("audit/")
        .assert_refused(403, "permission_denied");
    world.request("GET", "/api/v1/auth/audit/", &[], b"").assert_refused(401, "not_authenticated");
    assert_eq!(admin.ask("POST", "audit/", None).status, 405);
}

#[test]
fn an_action_of_each_kind_can_be_asked_for() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    for action in AuditAction::ALL {
        assert_eq!(admin.get(&format!("audit/?action={}", action.as_str())).status, 200, "{action:?}");
    }
}

#[test]
fn no_secret_is_in_the_audit_nor_in_any_log() {
    let world = World::plan(plan());
    world.user_with("root", true, "orders:read");
    let admin = world.by_user("root");
    let secrets = [
        "MarkerPasswordOne!",
        "MarkerPasswordTwo!",
        "MarkerMistypedName",
        "MarkerWrongPassword",
        "MarkerOtp123",
        "MarkerReason",
    ];
    let anna =
        admin.post("users/", &json!({ "username": "anna", "password": secrets[0], "scopes": ["orders:read"] })).done();
    let anna = text(&anna, "id").to_owned();
    let key = admin.post("keys/", &json!({ "name": "x", "owner": "shop" })).done();
    let rotated = admin.post(&format!("keys/{}/rotate/", text(&key, "id")), &json!({})).done();
    let sign_in = |name: &str, password: &str| {
        world.post_json("/api/v1/auth/token/", &json!({ "username": name, "password": password, "otp": secrets[4] }))
    };
    let pair = sign_in("anna", secrets[0]).done();
    sign_in("anna", secrets[3]);
    sign_in(secrets[2], secrets[3]);
    admin.post(&format!("users/{anna}/set-password/"), &json!({ "password": secrets[1] })).done();
    // What people write into the wrong field.
    for (path, body) in [
        (format!("users/{anna}/"), json!({ "first_name": secrets[0], "last_name": secrets[1] })),
        (format!("users/{anna}/"), json!({ "email": secrets[0], "is_admin": secrets[1] })),
        (format!("keys/{}/", text(&key, "id")), json!({ "name": text(&key, "key") })),
    ] {
        admin.patch(&path, &body);
    }
    admin.post(&format!("keys/{}/revoke/", text(&key, "id")), &json!({ "reason": secrets[5] })).done();
    admin.get(&format!("users/?search={}", secrets[0]));
    admin.get(&format!("users/{}/", secrets[1]));
    world.post_json("/api/v1/auth/token/challenge/", &json!({ "challenge": secrets[3], "otp": secrets[4] }));
    world.by_key(text(&key, "key")).get("users/");
    world.by_token(text(&pair, "access")).get("users/");
    admin.delete(&format!("users/{anna}/")).done();

    // The last request of all is in the log, and so are all before it.
    let last = admin.get("audit/?limit=1");
    world.access_line(last.header("x-request-id").unwrap());
    let told = events(&world);
    let newest = told.iter().map(|event| event.id.0.clone()).collect::<BTreeSet<_>>();
    eventually("all lines of the audit", || {
        let lines = world.audit_text();
        let seen = newest.iter().filter(|id| lines.contains(id.as_str())).count();
        // Also those of what the test did beside the gateway, as a command does.
        (seen == newest.len()).then_some(())
    });
    let over_http = admin.get("audit/?limit=200").text();
    let mut hidden: Vec<&str> = secrets.to_vec();
    for made in [&key, &rotated["new"]] {
        hidden.push(&text(made, "key")[12..]);
    }
    let tokens =
        [text(&pair, "access"), text(&pair, "refresh")].map(|token| token.rsplit('.').next().unwrap().to_owned());
    hidden.extend(tokens.iter().map(String::as_str));
    hidden.extend(["$argon2", "anna@"]);
    for (place, text) in [
        ("store", format!("{told:?}")),
        ("answer", over_http),
        ("audit log", world.audit_text()),
        ("access log", world.access_text().replace(&format!("/users/{}/", secrets[1]), "/users/{id}/")),
    ] {
        for secret in &hidden {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
        assert!(text.len() > 500, "there is something in the {place}");
    }
}

#[test]
fn what_is_refused_for_too_few_scopes_is_told_with_whom_it_was_aimed_at() {
    let world = World::plan(plan());
    let root = world.user_with("root", true, "");
    let (_, secret) = world.key_of(KeyOwner::Service("desk".into()), "users:write", None);
    world.by_key(&secret).post(&format!("users/{}/set-password/", root.id), &json!({ "password": "MarkerPassword!" }));
    let admin = world.by_scopes(ALL);
    let told = results(&admin, "outcome=refused");
    assert_eq!(told.len(), 1);
    let event = &told[0];
    assert_eq!((text(event, "action"), text(event, "reason")), ("user_password_set", "scope_missing"));
    assert_eq!((text(event, "actor"), text(event, "user_id")), ("service:desk", root.id.as_str()));
}
