//! The upstream learns who is calling from the gateway and from nobody else.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::domain::clock::{Clock, ManualClock, SystemClock};
use portcullis::edge::reserved::ReservedNames;
use portcullis::server::ground::Nature;
use serde_json::{Value, json};

use crate::harness::{Plan, Seen, World};

const ROUTES: &str = "  - { path: /, upstream: backend, access: { any: [jwt, api_key] } }\n  \
     - { path: /public, upstream: backend, access: public }";

/// As the most generous backend reads names.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn spellings() -> [fn(&str) -> String; 6] {
    [
        |name| name.to_owned(),
        |name| name.to_uppercase(),
        |name| name.replace('-', "_"),
        |name| name.replace('-', ".").to_uppercase(),
        |name| name.replacen('-', "_", 1),
        |name| name.replace('-', "~"),
    ]
}

/// Every identity name that arrived, in its folded form, and how often.
fn identity_of(seen: &Seen) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for (name, value) in &seen.headers {
        assert!(!value.contains("forged"), "{name}: {value}");
        if ReservedNames::identity().contains(&folded(name).as_str()) {
            *arrived.entry(folded(name)).or_default() += 1;
        }
    }
    arrived
}

#[test]
fn a_forged_identity_is_stripped_in_every_spelling_on_every_route() {
    let world = World::with_routes(ROUTES);
    let (_, key) = world.key("orders:read");
    for spell in spellings() {
        let names: Vec<String> = ReservedNames::identity().iter().map(|name| spell(name)).collect();
        let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "forged")).collect();
        assert_eq!(identity_of(&world.get("/public", &headers).seen()), BTreeMap::new());
        headers.push(("X-API-Key", &key));
        let ours = identity_of(&world.get("/", &headers).seen());
        let names: Vec<&str> = ours.keys().map(String::as_str).collect();
        assert_eq!(names, ["x-auth-assertion", "x-auth-key-id", "x-auth-method", "x-auth-scopes", "x-auth-user-id"]);
        assert!(ours.values().all(|count| *count == 1), "{ours:?}");
    }
}

#[test]
fn naming_an_identity_header_in_connection_neither_deletes_ours_nor_saves_a_forged_one() {
    let world = World::with_routes(ROUTES);
    let (_, key) = world.key("");
    for spell in spellings() {
        // More options in one field are refused.
        for nine in ReservedNames::identity().chunks(9) {
            let names: Vec<String> = nine.iter().map(|name| spell(name)).collect();
            let connection = names.join(", ");
            let mut headers = vec![("Connection", connection.as_str())];
            headers.extend(names.iter().map(|name| (name.as_str(), "forged")));
            assert_eq!(identity_of(&world.get("/public", &headers).seen()), BTreeMap::new());
            headers.push(("X-API-Key", &key));
            let ours = identity_of(&world.get("/", &headers).seen());
            assert_eq!(ours.get("x-auth-user-id"), Some(&1), "{connection}");
            assert_eq!(ours.get("x-auth-assertion"), Some(&1), "{connection}");
        }
    }
}

type Fields = Vec<(String, String)>;

/// The identity that arrives under a preset, of a user and of a service, without the assertion, which must be there; and
/// the ids of the two.
fn under_preset(preset: &str) -> (Fields, Fields, [String; 2]) {
    let world = World::plan(Plan { extra: format!("identity: {{ headers: {preset} }}"), ..Plan::default() });
    let user = world.user_with("anna", false, "orders:read orders:write");
    let (access, _) = world.sign_in("anna");
    let (record, key) = world.key("");
    let identity = |seen: Seen| {
        assert!(seen.header("x-auth-assertion").is_some());
        let ours = |(name, _): &(String, String)| ReservedNames::identity().contains(&folded(name).as_str());
        let found = seen.headers.into_iter().filter(ours).filter(|(name, _)| name.to_lowercase() != "x-auth-assertion");
        let mut found: Vec<_> = found.map(|(name, value)| (name.to_lowercase(), value)).collect();
        found.sort();
        found
    };
    let as_user = identity(world.get_as("/", &access).seen());
    let as_service = identity(world.get("/", &[("X-API-Key", &key)]).seen());
    (as_user, as_service, [user.id.as_str().to_owned(), record.id.as_str().to_owned()])
}

/// What a service calls itself, and what is empty is absent.
#[test]
fn every_preset_speaks_the_names_of_its_model() {
    let mail = "someone@example.org";
    type Named<'a> = Vec<(&'a str, &'a str)>;
    type Expected = for<'a> fn(&'a str, &'a str, &'a str) -> (Named<'a>, Named<'a>);
    let presets: [(&str, Expected); 4] = [
        ("oauth2-proxy", |id, _, mail| {
            let email = ("x-forwarded-email", mail);
            let user = vec![
                email,
                ("x-forwarded-groups", "orders:read,orders:write"),
                ("x-forwarded-preferred-username", "anna"),
            ];
            let user = [user, vec![("x-forwarded-user", id)]].concat();
            let robot = "service:robot";
            (user, vec![("x-forwarded-preferred-username", robot), ("x-forwarded-user", robot)])
        }),
        ("authelia", |_, _, mail| {
            let groups = ("remote-groups", "orders:read,orders:write");
            let user = vec![("remote-email", mail), groups, ("remote-name", "anna"), ("remote-user", "anna")];
            (user, vec![("remote-name", "service:robot"), ("remote-user", "service:robot")])
        }),
        ("kong", |id, key_id, _| {
            let scope = ("x-authenticated-scope", "orders:read orders:write");
            let ids = vec![scope, ("x-consumer-custom-id", id), ("x-consumer-id", id), ("x-consumer-username", "anna")];
            let robot = "service:robot";
            let service = vec![("x-consumer-custom-id", robot), ("x-consumer-id", robot)];
            let service = [service, vec![("x-consumer-username", robot), ("x-credential-identifier", key_id)]].concat();
            (ids, service)
        }),
        ("django", |id, _, _| {
            let user = vec![("remote-user", "anna"), ("x-auth-user-id", id)];
            (user, vec![("remote-user", "service:robot"), ("x-auth-user-id", "service:robot")])
        }),
    ];
    for (preset, expected) in presets {
        let (as_user, as_service, [user_id, key_id]) = under_preset(preset);
        let (user, service) = expected(&user_id, &key_id, mail);
        let owned = |list: Named<'_>| list.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Fields>();
        assert_eq!(as_user, owned(user), "{preset}");
        assert_eq!(as_service, owned(service), "{preset}");
    }
}

#[test]
fn the_callers_credential_stays_here_unless_the_route_forwards_it_and_its_aliases_always_do() {
    let routes = format!(
        "{ROUTES}\n  - {{ path: /with, upstream: backend, access: {{ any: [api_key] }}, forward_credentials: true }}"
    );
    let world = World::with_routes(&routes);
    let (_, key) = world.key("");
    let aliases = ["X_API_Key", "X.Api.Key", "x-api_key", "X_API-KEY", "X-API-Key-", "_x-api-key", "Authorization_"];
    let mut headers: Vec<(&str, &str)> = aliases.iter().map(|name| (*name, "alias")).collect();
    headers.push(("X-API-Key", &key));
    for path in ["/", "/public"] {
        let seen = world.get(path, &headers).seen();
        assert!(seen.headers.iter().all(|(_, value)| *value != key && value != "alias"), "{seen:?}");
    }
    // On a public route nothing is judged, and nothing is forwarded either.
    let seen = world.get("/public", &[("Authorization", "Bearer x.y.z")]).seen();
    assert_eq!(seen.header("authorization"), None);
    let seen = world.get("/with", &headers).seen();
    assert_eq!(seen.header("x-api-key"), Some(key.as_str()));
    assert!(seen.headers.iter().all(|(_, value)| value != "alias"), "{seen:?}");
    for alias in aliases {
        assert_eq!(world.get("/", &[(alias, &key)]).status, 401, "{alias} is no credential");
    }
}

/// Verifies as a backend in another language would, by the published keys alone.
const VERIFY: &str = r#"
import json, sys
import jwt
asked = json.load(sys.stdin)
try:
    header = jwt.get_unverified_header(asked["token"])
    if header["typ"] != "portcullis-assertion+jwt":
        raise ValueError("typ is " + header["typ"])
    key = jwt.PyJWKSet.from_dict(asked["jwks"])[header["kid"]]
    claims = jwt.decode(asked["token"], key.key, algorithms=["ES256"], audience=asked["aud"], issuer="portcullis-assertions",
                        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]})
    print(json.dumps(claims))
except Exception as error:
    print(json.dumps({"refused": str(error)}))
"#;

fn verified_elsewhere(jwks: &Value, token: &str, audience: &str) -> Value {
    let mut python = Command::new("/usr/bin/python3");
    let mut child = python.args(["-c", VERIFY]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let asked = json!({ "jwks": jwks, "token": token, "aud": audience }).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).expect("needs python3 with PyJWT and cryptography: tests/prepare.sh")
}

fn assertion(world: &World, target: &str, token: &str) -> String {
    world.get_as(target, token).seen().header("x-auth-assertion").unwrap().to_owned()
}

#[test]
fn an_assertion_verifies_elsewhere_for_its_upstream_and_is_no_token_here() {
    let world = World::plan(Plan {
        routes: Some(format!("{ROUTES}\n  - {{ path: /other, upstream: other, access: {{ any: [jwt] }} }}")),
        upstreams: "  other: { servers: [\"{live}\"] }\n".to_owned(),
        ..Plan::default()
    });
    let user = world.user_with("anna", false, "orders:read");
    let (access, refresh) = world.sign_in("anna");
    let jwks = world.get("/.well-known/jwks.json", &[]).json();
    for key in jwks["keys"].as_array().unwrap() {
        assert!(key.get("d").is_none() && key.get("k").is_none() && key["kty"] == "EC", "{key}");
    }

    let token = assertion(&world, "/", &access);
    let claims = verified_elsewhere(&jwks, &token, "backend");
    assert_eq!((&claims["sub"], &claims["username"]), (&json!(user.id.as_str()), &json!("anna")), "{claims}");
    assert_eq!((&claims["method"], &claims["scope"]), (&json!("jwt"), &json!("orders:read")));
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=60).contains(&life), "{claims}");
    let other = assertion(&world, "/other", &access);
    assert_eq!(verified_elsewhere(&jwks, &other, "other")["aud"], "other");

    for (token, audience) in [(&token, "other"), (&other, "backend"), (&access, "backend"), (&access, "api")] {
        let verdict = verified_elsewhere(&jwks, token, audience);
        assert!(verdict["refused"].is_string(), "{audience}: {verdict}");
    }
    let reply = world.get_as("/", &token);
    assert_eq!((reply.status, reply.code().as_str()), (401, "token_not_valid"));
    for (path, field) in [("token/refresh/", "refresh"), ("token/verify/", "token")] {
        let reply = world.post_json(&format!("/api/v1/auth/{path}"), &json!({ field: token }));
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
    }
    assert_eq!(world.get_as("/", &refresh).status, 401);
}

#[test]
fn an_assertion_is_reused_for_half_its_life_for_one_caller_and_one_upstream() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::plan(Plan {
        routes: Some(format!("{ROUTES}\n  - {{ path: /other, upstream: other, access: {{ any: [jwt] }} }}")),
        upstreams: "  other: { servers: [\"{live}\"] }\n".to_owned(),
        nature: Some(Nature { clock: Arc::clone(&clock) as _, ..Nature::real() }),
        ..Plan::default()
    });
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let (_, key) = world.key("");
    let first = assertion(&world, "/", &access);
    clock.advance(Duration::from_secs(29));
    assert_eq!(assertion(&world, "/again", &access), first);
    assert_ne!(assertion(&world, "/other", &access), first);
    let service = world.get("/", &[("X-API-Key", &key)]).seen();
    assert_ne!(service.header("x-auth-assertion"), Some(first.as_str()));
    let (access_again, _) = world.sign_in("anna");
    assert_ne!(assertion(&world, "/", &access_again), first, "another session is another caller");
    clock.advance(Duration::from_secs(2));
    assert_ne!(assertion(&world, "/", &access), first, "the upstream always has the other half");
}

/// A token in its leeway is accepted, so what is said about its bearer must not be out of date from the start.
#[test]
fn an_assertion_is_never_handed_out_after_its_end() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::plan(Plan {
        tokens: Some("{ access_lifetime: 5m, leeway: 30s }".to_owned()),
        nature: Some(Nature { clock: Arc::clone(&clock) as _, ..Nature::real() }),
        ..Plan::default()
    });
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    clock.advance(Duration::from_secs(270));
    for _ in 0..12 {
        let token = assertion(&world, "/", &access);
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert!(claims["exp"].as_i64().unwrap() > clock.now().as_secs(), "{claims} at {}", clock.now().as_secs());
        clock.advance(Duration::from_secs(5));
    }
    assert_eq!(world.get_as("/", &access).status, 401, "and the token has its end too");
}

#[test]
fn the_keys_that_a_backend_has_read_are_those_of_the_next_process_too() {
    let mut world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let jwks = world.get("/.well-known/jwks.json", &[]).json();
    world.restart();
    assert_eq!(world.get("/.well-known/jwks.json", &[]).json(), jwks);
    let claims = verified_elsewhere(&jwks, &assertion(&world, "/", &access), "backend");
    assert_eq!(claims["username"], "anna", "{claims}");
}
