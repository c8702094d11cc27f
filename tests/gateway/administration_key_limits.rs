//! Limits and labels of keys over HTTP: set, changed, lifted, and never wider than those of the key that does it.

use serde_json::{Value, json};

use crate::harness::asker::{Asker, ONE_FACTOR};
use crate::harness::{Plan, World};
use portcullis::domain::api_key::KeyChanges;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_reach::MethodNames;
use portcullis::domain::key_terms::{IdleDays, KeyTerms};
use portcullis::domain::network_set::NetworkSet;
use portcullis::domain::rate::{Quota, Rate};

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

/// Somebody who acts by a key that is limited so, and the key's path.
fn held_to(world: &World, changes: KeyChanges) -> (Asker<'_>, String) {
    let (record, key) = world.key(&format!("{ALL} users:write"));
    world.wait(world.administration.keys.change(&record, changes, &crate::harness::operator())).unwrap();
    world.settle();
    (world.by_key(&key), format!("keys/{}/", record.id))
}

/// By a key that is good only from here, and only with some methods.
fn limited(world: &World) -> Asker<'_> {
    let changes = KeyChanges {
        networks: Some(NetworkSet::parse("127.0.0.0/8 10.0.0.0/8").unwrap()),
        methods: Some(MethodNames::parse("GET POST PATCH").unwrap()),
        ..KeyChanges::default()
    };
    held_to(world, changes).0
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
fn a_key_with_a_rate_or_a_quota_lifts_no_limit_and_makes_no_second_one() {
    let world = World::plan(plan());
    let rate = Some(Some(Rate::parse("10000/hour").unwrap()));
    let quota = Some(Some(Quota::parse("10000/day").unwrap()));
    for held in [KeyChanges { rate, ..KeyChanges::default() }, KeyChanges { quota, ..KeyChanges::default() }] {
        let (who, own) = held_to(&world, held);
        let before = who.get(&own).done();
        let slow = json!({ "rate": "1/hour", "quota": "1/day", "idle_days": 1 });
        let terms = KeyTerms {
            rate: Some(Rate::parse("1/hour").unwrap()),
            quota: Some(Quota::parse("1/day").unwrap()),
            idle: IdleDays::new(1),
            ..KeyTerms::default()
        };
        let (other, _) = world.limited_key(terms);
        let (free, _) = world.key("");
        let (other, free) = (format!("keys/{}/", other.id), format!("keys/{}/", free.id));
        // Nothing is lifted, of whatever key, to whatever there may be in the end.
        let (limit, value) = if before["rate"].is_null() { ("quota", "20000/day") } else { ("rate", "20000/hour") };
        for looser in [json!({ (limit): null }), json!({ (limit): value })] {
            who.patch(&own, &looser).assert_refused(403, "permission_denied");
        }
        for looser in [
            json!({ "rate": null }),
            json!({ "rate": "2/hour" }),
            json!({ "rate": "1/hour burst 2" }),
            json!({ "quota": null }),
            json!({ "quota": "1000000/month" }),
            json!({ "idle_days": null }),
            json!({ "idle_days": 2 }),
            json!({ "scopes": ["orders:read"] }),
        ] {
            who.patch(&other, &looser).assert_refused(403, "permission_denied");
        }
        who.patch(&free, &json!({ "scopes": ["orders:read"] })).assert_refused(403, "permission_denied");
        // Nor is there one key more, not even one that is slower.
        for (path, body) in [
            ("keys/".to_owned(), with(json!({ "name": "twin" }), &slow)),
            (format!("{own}rotate/"), json!({})),
            (format!("{other}rotate/"), json!({})),
        ] {
            let reply = who.post(&path, &body);
            let said = json!({
                "detail": "A key that has a rate or a quota makes no keys and replaces none.",
                "code": "permission_denied",
            });
            assert_eq!((reply.status, reply.json()), (403, said), "{path}");
        }
        who.post("users/", &json!({ "username": "new", "password": "a quite different password" }))
            .assert_refused(403, "permission_denied");
        assert_eq!(some_of(&who.get(&own).done(), &limits()), some_of(&before, &limits()));
        assert_eq!(some_of(&who.get(&other).done(), &slow), slow);
        // Whatever limits more, or has nothing to do with it, is done.
        who.patch(&own, &json!({ "name": "y", "labels": { "a": "b" }, "scopes": ["keys:read", "keys:write"] })).done();
        who.patch(&free, &slow).done();
        who.post(&format!("{other}revoke/"), &json!({})).done();
    }
}

#[test]
fn what_a_key_makes_or_widens_lies_idle_no_later_than_it_does_itself() {
    let world = World::plan(plan());
    let idle = |days| KeyChanges { idle: Some(IdleDays::new(days)), ..KeyChanges::default() };
    let (who, own) = held_to(&world, idle(30));
    let made = who.post("keys/", &json!({ "name": "x" })).done();
    assert_eq!(made["idle_days"], 30, "where it says nothing, no longer");
    let (made, own) = (format!("keys/{}/", made["id"].as_str().unwrap()), own.as_str());
    who.post("keys/", &json!({ "name": "x", "idle_days": 31 })).assert_refused(403, "permission_denied");
    who.patch(&made, &json!({ "idle_days": 7 })).done();
    who.patch(&made, &json!({ "idle_days": 30 })).done();
    for longer in [json!({ "idle_days": 31 }), json!({ "idle_days": null })] {
        who.patch(&made, &longer).assert_refused(403, "permission_denied");
        who.patch(own, &longer).assert_refused(403, "permission_denied");
    }
    // Of a key that may lie idle for ever nothing is made that is worth having.
    let (free, _) = world.key("");
    let free = format!("keys/{}/", free.id);
    who.post(&format!("{free}rotate/"), &json!({})).assert_refused(403, "permission_denied");
    who.patch(&free, &json!({ "scopes": ["orders:read"] })).assert_refused(403, "permission_denied");
    who.patch(&free, &json!({ "scopes": ["orders:read"], "idle_days": 30 })).done();
    let rotated = who.post(&format!("{own}rotate/"), &json!({})).done();
    assert_eq!(rotated["new"]["idle_days"], 30);
}

#[test]
fn a_key_that_ends_gives_nothing_to_one_that_does_not() {
    let world = World::plan(plan());
    let (_, key) = world.key_of(KeyOwner::Service("desk".into()), ALL, Some(std::time::Duration::from_secs(3600)));
    let (endless, _) = world.key("");
    let (who, path) = (world.by_key(&key), format!("keys/{}/", endless.id));
    who.patch(&path, &json!({ "scopes": ["orders:read"] })).assert_refused(403, "permission_denied");
    who.patch(&path, &json!({ "scopes": ["orders:read"], "expires_in": 60 })).done();
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
