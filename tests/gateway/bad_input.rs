//! Whatever is sent to whatever is served here: a clear refusal, and never our own failure. What is served, and what it
//! takes, is read from its description.

use std::cell::RefCell;
use std::time::Duration;

use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::user::UserId;
use portcullis::storage::guesses::{Extent, Forgiveness};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::harness::{Client, Plan, Reply, World};

const PREFIX: &str = "/api/v1/auth";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "gET"];

/// One described operation.
#[derive(Clone, Debug)]
struct Operation {
    method: String,
    /// With something in the place of each parameter.
    path: String,
    /// Of the body: name, and whether it is a text, required, and a password.
    fields: Vec<Field>,
    reads_a_body: bool,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    is_text: bool,
    is_password: bool,
    is_required: bool,
}

/// A world with an administrator who may do everything with a password alone, and is signed in.
struct Admin {
    world: World,
    access: RefCell<String>,
    id: UserId,
}

fn world() -> Admin {
    let extra =
        "second_factor: { administration: false }\nlockout: { address: { free: 10000, max_failures: 1000000 } }";
    let world = World::plan(Plan { extra: extra.to_owned(), ..Plan::default() });
    let id = world.user_with("root", true, "").id;
    let (access, _) = world.sign_in("root");
    Admin { world, access: RefCell::new(access), id }
}

/// Found by what it refers to, if it refers.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn fields(document: &Value, operation: &Value) -> Vec<Field> {
    let body = resolved(document, &operation["requestBody"]);
    let schema = &body["content"]["application/json"]["schema"];
    // A body that may be left out is described as a choice.
    let choices = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    let schema = choices.and_then(|choices| choices.iter().find(|one| one["type"] != "null")).unwrap_or(schema);
    let schema = resolved(document, schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, property): (&String, &Value)| Field {
        name: name.clone(),
        is_text: property["type"] == "string" && property.get("enum").is_none(),
        is_password: property["format"] == "password",
        is_required: required.contains(&name.as_str()),
    };
    properties.map(field).collect()
}

fn operations(world: &World) -> Vec<Operation> {
    let document = world.get(&format!("{PREFIX}/openapi.json"), &[]).json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let segments = path.split('/').map(|segment| if segment.starts_with('{') { "nobody" } else { segment });
            all.push(Operation {
                method: method.to_uppercase(),
                path: segments.collect::<Vec<_>>().join("/"),
                fields: fields(&document, operation),
                reads_a_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(all.len() >= 12, "{all:?}");
    all
}

impl Admin {
    fn ask(&self, operation: &Operation, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let ask = || {
            let bearer = format!("Bearer {}", self.access.borrow());
            let headers: Vec<_> = headers.iter().copied().chain([("Authorization", bearer.as_str())]).collect();
            self.world.request(&operation.method, &operation.path, &headers, body)
        };
        let mut reply = ask();
        // Some of what is asked for ends the session that it is asked in.
        if reply.status == 401 && self.world.me(&self.access.borrow()).status == 401 {
            // And some of it was a guess at the password.
            let forgiven = Forgiveness { subject: GuessSubject::Account(self.id.clone()), extent: Extent::All };
            self.world.wait(self.world.stores.guesses.forgive(&[forgiven])).unwrap();
            *self.access.borrow_mut() = self.world.sign_in("root").0;
            reply = ask();
        }
        assert_sound(&reply, operation);
        reply
    }

    fn assert_no_panic(&self) {
        assert!(self.world.metrics().contains("\nportcullis_panics_total 0\n"));
    }
}

/// Refused or not, the answer is one of ours, in the form that every answer has.
#[track_caller]
fn assert_sound(reply: &Reply, operation: &Operation) {
    let what = format!("{} {}: {reply:?}", operation.method, operation.path);
    assert!(reply.status >= 200 && reply.status < 500, "{what}");
    assert!(reply.header("allow").is_some_and(|allow| allow.contains("OPTIONS")), "{what}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert!(reply.header("x-request-id").is_some(), "{what}");
    if reply.status >= 400 && operation.method != "HEAD" {
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
        let body = reply.json();
        assert!(body.as_object().is_some_and(|body| !body.is_empty()), "{what}");
    }
    assert_eq!(reply.header("www-authenticate").is_some(), reply.status == 401, "{what}");
}

fn with_bodies(world: &World) -> Vec<Operation> {
    operations(world).into_iter().filter(|operation| operation.reads_a_body).collect()
}

/// A first device is set up without a look at the body, as clients of the Django stack know it.
fn that_are_read(world: &World) -> Vec<Operation> {
    with_bodies(world).into_iter().filter(|operation| !operation.path.ends_with("/2fa/totp/setup/")).collect()
}

#[test]
fn no_method_of_anything_fails_and_allow_is_everywhere() {
    let world = world();
    let operations = operations(&world.world);
    for operation in &operations {
        let served: Vec<_> =
            operations.iter().filter(|other| other.path == operation.path).map(|other| &other.method).collect();
        for method in METHODS {
            let asked = Operation { method: method.to_owned(), ..operation.clone() };
            let reply = world.ask(&asked, &[JSON], b"");
            let is_served = served.iter().any(|served| **served == method || (*served == "GET" && method == "HEAD"));
            assert_eq!(reply.status == 405, !is_served && method != "OPTIONS", "{method} {}: {reply:?}", asked.path);
            let anonymous = world.world.request(method, &operation.path, &[JSON], b"{malformed");
            assert_sound(&anonymous, &asked);
        }
    }
}

#[test]
fn a_body_that_is_none_is_refused_in_the_same_words_everywhere() {
    let world = world();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(17), "]".repeat(17));
    let long_key = format!("{{\"{}\":1}}", "k".repeat(60_000));
    for operation in that_are_read(&world.world) {
        let what = format!("{} {}", operation.method, operation.path);
        for malformed in [
            &b"{"[..],
            b"{\"a\":}",
            b"{\"a\":1}x",
            b"{}{}",
            b" \n",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"\xff\xfe{\0}\0",
            b"{\"a\":NaN}",
            b"{\"a\":01}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\\x\"}",
            b"{}\0",
            b"\0",
            deep.as_bytes(),
        ] {
            let reply = world.ask(&operation, &[JSON], malformed);
            assert_eq!((reply.status, reply.code().as_str()), (400, "parse_error"), "{what} {malformed:?}: {reply:?}");
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("JSON parse error - "), "{detail}");
        }
        for (body, word) in [("[]", "list"), ("\"x\"", "str"), ("5", "int"), ("1.5", "float"), ("true", "bool")] {
            let reply = world.ask(&operation, &[JSON], body.as_bytes());
            let message = format!("Invalid data. Expected a dictionary, but got {word}.");
            assert_eq!((reply.status, reply.json()), (400, json!({ "non_field_errors": [message] })), "{what}");
        }
        let reply = world.ask(&operation, &[JSON], b"null");
        assert_eq!((reply.status, reply.json()), (400, json!({"non_field_errors": ["No data provided"]})), "{what}");
        for content_type in ["text/plain", "application/xml", "application/jsonx", "", "\u{e9}", "x/y; charset=utf-8"] {
            let reply = world.ask(&operation, &[("Content-Type", content_type)], b"{}");
            assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{what} {content_type}");
        }
        let reply = world.ask(&operation, &[JSON, ("Content-Encoding", "gzip")], b"{}");
        assert_eq!(reply.status, 415, "{what}");
        // Unknown members, names included that mean something in some languages, have no effect.
        let empty = world.ask(&operation, &[JSON], b"{}").comparable();
        for ignored in
            ["{\"x\":1,\"y\":[{}]}", "{\"__proto__\":{\"a\":1}}", "{\"\":\"\"}", "{\"\\ud800\":1}", long_key.as_str()]
        {
            let found = world.ask(&operation, &[JSON], ignored.as_bytes()).comparable();
            assert_eq!((found.0, found.2), (empty.0, empty.2.clone()), "{what}");
        }
        for malformed in [&b"garbage"[..], b"--b\r\n\r\nx\r\n--b--\r\n", b"--b", b"--b\r\nContent-Disposition: x"] {
            let reply = world.ask(&operation, &[("Content-Type", "multipart/form-data; boundary=b")], malformed);
            assert!((400..410).contains(&reply.status), "{what}: {reply:?}");
        }
        for form in [&b"&&=&%zz=%"[..], b"a=%ff%00", b"\xff\x00", b"=1"] {
            let reply = world.ask(&operation, &[("Content-Type", "application/x-www-form-urlencoded")], form);
            assert!((200..410).contains(&reply.status), "{what}: {reply:?}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_everywhere_before_it_is_looked_at() {
    let world = world();
    for operation in with_bodies(&world.world) {
        let password = json!({"password": "x".repeat(1024 * 1024), "username": "root"}).to_string();
        let announced = [JSON, ("Content-Length", "10000000000")];
        for (headers, body) in [(&[JSON][..], password.as_bytes()), (&announced, b"")] {
            let bearer = format!("Bearer {}", world.access.borrow());
            let mut client = Client::connect(world.world.http());
            let headers: Vec<_> = headers.iter().copied().chain([("Authorization", bearer.as_str())]).collect();
            let mut head = format!("{} {} HTTP/1.1\r\nHost: gateway.test\r\n", operation.method, operation.path);
            for (name, value) in &headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            if !body.is_empty() {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            client.write(format!("{head}\r\n").as_bytes());
            // It may be refused before it is whole.
            client.try_write(body);
            let reply = client.reply(false);
            assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{operation:?}: {reply:?}");
            assert_sound(&reply, &operation);
        }
    }
}

/// Where clients of the Django stack expect another form of refusal for a field.
fn has_its_own_words(operation: &Operation, field: &Field) -> bool {
    operation.path.ends_with("/2fa/totp/disable/") && field.is_password
}

#[test]
fn a_text_that_is_none_is_told_by_field_everywhere() {
    let world = world();
    let mut checked = 0;
    for operation in that_are_read(&world.world) {
        for field in operation.fields.iter().filter(|field| field.is_text) {
            let what = format!("{} {} {}", operation.method, operation.path, field.name);
            let send = |value: &str| {
                let body = format!("{{\"{}\":{value}}}", field.name);
                world.ask(&operation, &[JSON], body.as_bytes())
            };
            let faults = [
                ("\"\"", "This field may not be blank."),
                ("true", "Not a valid string."),
                ("[\"x\"]", "Not a valid string."),
                ("{\"x\":1}", "Not a valid string."),
                ("\"a\\u0000b\"", "Null characters are not allowed."),
                ("\"\\udc00\\ud800\"", "Surrogate characters are not allowed: U+DC00."),
            ];
            for (value, fault) in faults {
                let reply = send(value);
                // A text that need not be there may be emptied where that means something.
                if has_its_own_words(&operation, field) || (value == "\"\"" && !field.is_required) {
                    continue;
                }
                assert_eq!(reply.status, 400, "{what} {value}: {reply:?}");
                assert_eq!(reply.json()[&field.name], json!([fault]), "{what} {value}: {reply:?}");
                checked += 1;
            }
            if field.is_required && !has_its_own_words(&operation, field) {
                assert_eq!(send("null").json()[&field.name], json!(["This field may not be null."]), "{what}");
                let reply = world.ask(&operation, &[JSON], b"{}");
                assert_eq!(reply.json()[&field.name], json!(["This field is required."]), "{what}");
            }
            // Odd, but texts: taken for what they are, or refused for what they are not.
            let long = format!("\"{}\"", "x".repeat(60_000));
            for value in [
                "5",
                "-0",
                "1.5",
                "1e308",
                "1e400",
                "123456789012345678901234567890",
                "\"\\u202eabc\\u200f\"",
                "\"\\ud83d\\ude00\"",
                "\"a\\nb\\tc\"",
                "\"\\udbff\\udffe\"",
                "\"' OR 1=1 --\"",
                "\"../../etc/passwd\"",
                "\"{{7*7}}${7*7}\"",
                "\"=1+1\"",
                "\"x@y@z\"",
                "\"a@b\\r\\nBcc: c@d\"",
                "\"2026-01-31T25:61:61Z\"",
                &long,
            ] {
                send(value);
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn a_password_beyond_its_length_is_refused_at_its_field_and_not_hashed() {
    let world = world();
    let body = |length: usize| json!({"username": "nobody", "password": "x".repeat(length)});
    let sign_in = |length: usize| world.world.post_json("/api/v1/auth/token/", &body(length));
    assert_eq!(sign_in(1024).status, 401);
    for length in [1025, 60_000] {
        // Far more often than there are free guesses: it is not counted as one.
        for _ in 0..15 {
            let reply = sign_in(length);
            let fault = json!({"password": ["Ensure this field has no more than 1024 bytes."]});
            assert_eq!((reply.status, reply.json()), (400, fault));
        }
    }
    assert_eq!(sign_in(1024).status, 401);
    assert_eq!(sign_in(1024 * 1024).status, 413);
}

#[test]
fn odd_places_of_things_are_not_found() {
    let world = world();
    let long = "x".repeat(4000);
    let with_parameters: Vec<_> =
        operations(&world.world).into_iter().filter(|operation| operation.path.contains("/nobody")).collect();
    assert!(!with_parameters.is_empty());
    for operation in with_parameters {
        for id in ["0", "-1", "null", "%F0%9F%A6%80", "%E2%80%AE", "'%20OR%201=1%20--", "a:b", "~", "*", &long] {
            let asked = Operation { path: operation.path.replace("nobody", id), ..operation.clone() };
            let reply = world.ask(&asked, &[JSON], b"{}");
            assert!(matches!(reply.status, 400 | 404), "{} {id}: {reply:?}", operation.path);
        }
        for id in ["%00", "%FF", "a%2Fb", "%2e%2e", "..", "a;b", "a%3fb"] {
            let asked = operation.path.replace("nobody", id);
            let reply = world.world.request(&operation.method, &asked, &[JSON], b"{}");
            assert!((400..500).contains(&reply.status), "{asked}: {reply:?}");
        }
    }
}

#[test]
fn odd_queries_are_no_failure() {
    let world = world();
    let long = format!("?search={}", "x".repeat(6000));
    for operation in operations(&world.world).into_iter().filter(|operation| operation.method == "GET") {
        for query in [
            "?",
            "?&&=",
            "?limit=0",
            "?limit=-1",
            "?limit=1e9",
            "?limit=99999999999999999999",
            "?limit=",
            "?limit=x&limit=1",
            "?cursor=x",
            "?cursor=%00%ff",
            "?before=x&after=y",
            "?search=%25_%5C%27%22",
            "?since=yesterday&until=-1",
            "?since=9999-12-31T23:59:59Z",
            "?is_active=maybe",
            "?action=x&user=%F0%9F%A6%80",
            &long,
        ] {
            let asked = Operation { path: format!("{}{query}", operation.path), ..operation.clone() };
            world.ask(&asked, &[], b"");
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[a-z0-9@.]{0,12}",
        Just("root".to_owned()),
        Just("2026-01-31T12:00:00Z".to_owned()),
        vec(any::<char>(), 0..10).prop_map(|chars| chars.into_iter().collect()),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(any_text(), inner, 0..5).prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// A body for one of the operations: mostly with fields that it has.
fn any_body(operations: Vec<Operation>) -> impl Strategy<Value = (Operation, Value)> {
    proptest::sample::select(operations).prop_flat_map(|operation| {
        let names: Vec<String> = operation.fields.iter().map(|field| field.name.clone()).collect();
        let name = if names.is_empty() { any_text().boxed() } else { proptest::sample::select(names).boxed() };
        let object = btree_map(name, any_json(), 0..6).prop_map(|map| map.into_iter().collect::<Map<_, _>>().into());
        (Just(operation), prop_oneof![9 => object, 1 => any_json()])
    })
}

#[test]
fn no_json_makes_anything_fail() {
    let world = world();
    let operations = with_bodies(&world.world);
    let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_body(operations), |(operation, body)| {
        let reply = world.ask(&operation, &[JSON], body.to_string().as_bytes());
        prop_assert!(reply.status < 500, "{reply:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    world.assert_no_panic();
}

#[test]
fn no_bytes_make_anything_fail() {
    let world = world();
    let operations = with_bodies(&world.world);
    let types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "x/y"];
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200),
        "[-{}\\[\\]\",:a-z0-9=&%\\\\ \r\n]{0,200}".prop_map(String::into_bytes),
        "--b\r\nContent-Disposition: form-data; name=\"[a-z]{1,8}\"\r\n\r\n.{0,20}\r\n(--b--)?"
            .prop_map(String::into_bytes),
    ];
    let strategy = (proptest::sample::select(operations), proptest::sample::select(types.to_vec()), bytes);
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&strategy, |(operation, content_type, body)| {
        let reply = world.ask(&operation, &[("Content-Type", content_type)], &body);
        prop_assert!(reply.status < 500, "{reply:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    world.assert_no_panic();
}

/// Steadily, but never whole: the connection is not kept for it.
#[test]
fn a_body_that_never_ends_is_not_waited_for() {
    let extra = "limits: { body_timeout: 1s }";
    let world = World::plan(Plan { extra: extra.to_owned(), ..Plan::default() });
    let mut client = Client::connect(world.http());
    client.write(b"POST /api/v1/auth/token/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{");
    let reply = client.reply(false);
    assert_eq!((reply.status, reply.code().as_str()), (408, "head_timeout"));
    assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
    client.socket().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(client.is_closed());
}
