//! Limits and labels of keys over HTTP: set, changed, lifted, and never wider than those of the key that does it.

use serde_json::{Value, json};

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{Plan, World};
use portcullis::domain::api_key::KeyChanges;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_reach::MethodNames;
use portcullis::domain::network_set::NetworkSet;

const ALL: &str = "keys:read keys:write orders:read";

fn plan() -> Plan {
    Plan { extra: ONE_FACTOR.to_owned(), ..Plan::default() }
}

fn limits() -> Value {
    json!({
        "networks": ["192.0.2.0/24", "2001:db8::/32"],
        "routes": ["GET,POST /a, b/", "orders"],
        "methods": ["GET", "POST"],
        "idle_days": 90,
        "rate": "100/minute burst 20",
        "quota": "10000/day",
        "labels": { "team": "payments", "x/y.z": "" },
    })
}

fn nothing() -> Value {
    json!({
        "networks": [], "routes": [], "methods": [], "idle_days": null, "rate": null, "quota": null, "labels": {},
    })
}

/// Those fields that `like` has.
fn some_of(shown: &Value, like: &Value) -> Value {
    like.as_object()
        .unwrap()
        .keys()
        .map(|name| (name.clone(), shown[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn limits_and_labels_are_set_shown_changed_inherited_and_lifted() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    let plain = admin.post("keys/", &json!({ "name": "plain" })).done();
    assert_eq!(some_of(&plain, &nothing()), nothing());
    let made = admin.post("keys/", &with(json!({ "name": "x" }), &limits())).done();
    assert_eq!(some_of(&made, &limits()), limits());
    let path = format!("keys/{}/", made["id"].as_str().unwrap());
    assert_eq!(some_of(&admin.get(&path).done(), &limits()), limits());
    let rotated = admin.post(&format!("{path}rotate/"), &json!({})).done();
    assert_eq!(some_of(&rotated["new"], &limits()), limits());
    // One after the other, and the rest stays.
    let mut expected = limits();
    for (field, value) in nothing().as_object().unwrap() {
        expected[field] = value.clone();
        let changed = admin.patch(&path, &json!({ (field.as_str()): value })).done();
        assert_eq!(some_of(&changed, &expected), expected, "{field}");
    }
    let changed = admin.patch(&path, &limits()).done();
    assert_eq!(some_of(&changed, &limits()), limits());
    let events = world.wait(world.stores.audit.list(&portcullis::domain::audit::AuditQuery {
        action: Some(portcullis::domain::audit::AuditAction::KeyChange),
        limit: 1,
        ..Default::default()
    }));
    let detail = &events.unwrap()[0].detail;
    assert!(detail.contains("networks [] -> [192.0.2.0/24 2001:db8::/32]") && detail.ends_with("labels"), "{detail}");
}

#[test]
fn one_network_has_one_form() {
    let world = World::plan(plan());
    let body = json!({
        "name": "x",
        "networks": ["10.1.0.0/16", "::ffff:10.0.0.0/104", "192.0.2.7", "192.0.2.7/32"],
        "methods": ["POST", "GET", "GET"],
        "rate": "7/hour burst 7",
    });
    let made = world.by_scopes(ALL).post("keys/", &body).done();
    assert_eq!(made["networks"], json!(["10.0.0.0/8", "192.0.2.7/32"]));
    assert_eq!((&made["methods"], &made["rate"]), (&json!(["GET", "POST"]), &json!("7/hour")));
}

#[test]
fn what_does_not_fit_is_told_field_by_field() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    let (key, _) = world.key("");
    let path = format!("keys/{}/", key.id);
    let network = "A network is for example 192.0.2.0/24 or 2001:db8::/32, or one address.";
    let rate = "A rate is for example 100/minute, or 100/minute burst 20: 1 to 1000000000 per second, minute or hour.";
    let quota = "A quota is for example 10000/day or 200000/month: 1 to 1000000000 per day or month.";
    let route = "A route's name is 1 to 80 letters, digits, inner spaces and . _ - : / * , ( ) #.";
    let method = "A method is for example GET: 1 to 32 upper-case letters, digits, - or _, a letter first.";
    let name = "A label's name is 1 to 63 letters, digits and . _ - /, a letter or digit first.";
    let value = "A label's value is at most 128 characters, none of them a control character.";
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("l{n}"), json!("v"))).collect();
    let cases: Vec<(&str, Value, &str)> = vec![
        ("networks", json!("10.0.0.0/8"), "Expected a list of items but got type \"str\"."),
        ("networks", json!(null), "This field may not be null."),
        ("networks", json!(["10.0.0.0/33"]), network),
        ("networks", json!(["example.org"]), network),
        ("networks", json!(["10.0.0.1/8"]), "An address inside a network is no network: write 10.0.0.0/8."),
        ("networks", json!(vec!["10.0.0.1"; 65]), "Ensure this field has no more than 64 elements."),
        ("routes", json!([""]), route),
        ("routes", json!(["a\nb"]), route),
        ("methods", json!(["get"]), method),
        ("methods", json!([1]), "Not a valid string."),
        ("idle_days", json!(0), "Ensure this value is greater than or equal to 1."),
        ("idle_days", json!(3651), "Ensure this value is less than or equal to 3650."),
        ("idle_days", json!("7"), "A valid integer is required."),
        ("rate", json!("100"), rate),
        ("rate", json!("0/minute"), rate),
        ("rate", json!("1/day"), rate),
        ("rate", json!(5), "Not a valid string."),
        ("quota", json!("1/hour"), quota),
        ("quota", json!("1/day burst 2"), quota),
        ("labels", json!(["a"]), "Expected a dictionary of items but got type \"list\"."),
        ("labels", json!({ "a": 1 }), "Not a valid string."),
        ("labels", json!({ "a b": "" }), name),
        ("labels", json!({ "a": "x\ny" }), value),
        ("labels", Value::Object(many), "There are at most 16 labels."),
    ];
    let before = admin.get("keys/").done()["results"].as_array().unwrap().len();
    for (field, value, sentence) in cases {
        let body = json!({ "name": "x", (field): value });
        for reply in [admin.post("keys/", &body), admin.patch(&path, &json!({ (field): value }))] {
            assert_eq!((reply.status, reply.json()), (400, json!({ (field): [sentence] })), "{field} {value}");
        }
    }
    assert_eq!(admin.get("keys/").done()["results"].as_array().unwrap().len(), before);
}

#[test]
fn keys_are_found_by_their_labels() {
    let world = World::plan(plan());
    let admin = world.by_scopes(ALL);
    for (name, labels) in [
        ("a", json!({ "team": "payments", "env": "prod" })),
        ("b", json!({ "team": "payments" })),
        ("c", json!({ "team": "Payments" })),
        ("d", json!({ "steam": "payments" })),
        ("e", json!({ "team": "x\",\"team\":\"payments" })),
        ("f", json!({ "odd": "100%_\\" })),
    ] {
        admin.post("keys/", &json!({ "name": name, "labels": labels })).done();
    }
    let found = |query: &str| {
        let list = admin.get(&format!("keys/?label={query}")).done();
        let names = list["results"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(found("team=payments"), ["b", "a"]);
    assert_eq!(found("env=prod"), ["a"]);
    assert_eq!(found("odd=100%25_%5C"), ["f"]);
    assert_eq!(found("team="), [""; 0]);
    let reply = admin.get("keys/?label=team");
    assert_eq!((reply.status, reply.json()), (400, json!({ "label": ["A label is written name=value."] })));
}

/// Somebody who acts by a key that is good only from here, and only with some methods.
fn limited(world: &World) -> Asker<'_> {
    let (record, key) = world.key(&format!("{ALL} users:write"));
    let changes = KeyChanges {
        networks: Some(NetworkSet::parse("127.0.0.0/8 10.0.0.0/8").unwrap()),
        methods: Some(MethodNames::parse("GET POST PATCH").unwrap()),
        ..KeyChanges::default()
    };
    world.wait(world.administration.keys.change(&record, changes, &crate::harness::operator())).unwrap();
    world.settle();
    world.by_key(&key)
}

#[test]
fn a_limited_key_makes_and_reaches_none_that_is_good_elsewhere() {
    let world = World::plan(plan());
    let who = limited(&world);
    let made = who.post("keys/", &json!({ "name": "x" })).done();
    assert_eq!(made["networks"], json!(["10.0.0.0/8", "127.0.0.0/8"]), "where it says nothing, no further");
    assert_eq!(made["methods"], json!(["GET", "PATCH", "POST"]));
    let narrower = json!({ "name": "x", "networks": ["10.1.0.0/16"], "methods": ["GET"], "routes": ["all"] });
    let narrow = who.post("keys/", &narrower).done();
    let path = |key: &Value| format!("keys/{}/", key["id"].as_str().unwrap());
    for wider in [
        json!({ "networks": ["10.0.0.0/7"] }),
        json!({ "networks": ["10.1.0.0/16", "11.0.0.0/8"] }),
        json!({ "networks": ["::/0"] }),
        json!({ "methods": ["GET", "DELETE"] }),
    ] {
        who.post("keys/", &with(json!({ "name": "x" }), &wider)).assert_refused(403, "permission_denied");
        who.patch(&path(&narrow), &wider).assert_refused(403, "permission_denied");
    }
    for lifted in [json!({ "networks": [] }), json!({ "methods": [] })] {
        who.patch(&path(&narrow), &lifted).assert_refused(403, "permission_denied");
    }
    who.patch(&path(&narrow), &json!({ "routes": [], "networks": ["10.0.0.0/8"] })).done();
    who.post(&format!("{}rotate/", path(&narrow)), &json!({})).done();
    // Of others, none that goes further: whoever rotates a key has it.
    let (free, _) = world.key("");
    for (method, rest, body) in
        [("POST", "rotate/", json!({})), ("POST", "revoke/", json!({})), ("PATCH", "", json!({ "name": "mine" }))]
    {
        who.ask(method, &format!("keys/{}/{rest}", free.id), Some(&body)).assert_refused(403, "permission_denied");
    }
    assert_eq!(who.get(&format!("keys/{}/", free.id)).status, 200, "looking takes nothing away");
}

#[test]
fn to_replace_the_key_of_another_user_takes_what_making_one_takes() {
    let world = World::plan(plan());
    let anna = world.user("anna");
    let of_anna = |scopes: &str| world.key_of(KeyOwner::User(anna.id.clone()), scopes, None).0;
    let rotate = |who: &Asker<'_>, id: &str| who.post(&format!("keys/{id}/rotate/"), &json!({}));
    let key = of_anna("");
    let keys_only = world.by_scopes("keys:read keys:write");
    let body = json!({ "name": "x", "owner": format!("user:{}", anna.id) });
    keys_only.post("keys/", &body).assert_refused(403, "permission_denied");
    rotate(&keys_only, key.id.as_str()).assert_refused(403, "permission_denied");
    assert!(world.wait(world.stores.api_keys.find(&key.id)).unwrap().unwrap().replaced.is_none());
    // To end or narrow one gives nobody anything.
    keys_only.patch(&format!("keys/{}/", key.id), &json!({ "name": "y" })).done();
    rotate(&world.by_scopes("keys:read keys:write users:write"), key.id.as_str()).done();
    let (_, own) = world.key_of(KeyOwner::User(anna.id.clone()), "", None);
    let other = of_anna("");
    world.by_key(&own).post(&format!("keys/{}/rotate/", other.id), &json!({})).assert_refused(403, "permission_denied");
    keys_only.post(&format!("keys/{}/revoke/", other.id), &json!({})).done();
}
