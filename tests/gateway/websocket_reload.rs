//! Tunnels that are open while another configuration comes into force.

use std::time::Duration;

use portcullis::domain::clock::ManualClock;

use crate::harness::{Client, Plan, World};
use crate::websocket::{HANDSHAKE, upgrade};

struct Case {
    route: &'static str,
    /// What is shown of `t`oken and `k`ey.
    shown: &'static str,
    before: &'static str,
    /// Without it there is no such route any more.
    after: Option<&'static str>,
    stays: bool,
}

const fn stays(route: &'static str, shown: &'static str, before: &'static str, after: &'static str) -> Case {
    Case { route, shown, before, after: Some(after), stays: true }
}

const fn ends(route: &'static str, shown: &'static str, before: &'static str, after: Option<&'static str>) -> Case {
    Case { route, shown, before, after, stays: false }
}

const TOKEN: &str = "{ any: [jwt] }";
const KEY: &str = "{ any: [api_key] }";
const EITHER: &str = "{ any: [jwt, api_key] }";
const STRONG: &str = "{ any: [jwt, api_key], assurance: two_factors }";

/// They are looked at in the order in which they were opened: once the last has ended, those that stay were looked at too.
const CASES: [Case; 18] = [
    stays("same-token", "t", TOKEN, TOKEN),
    stays("same-key", "k", KEY, KEY),
    stays("same-open", "", "public", "public"),
    stays("wider", "t", TOKEN, EITHER),
    stays("opened", "k", KEY, "public"),
    stays("held", "k", KEY, "{ any: [api_key], scopes: [held] }"),
    ends("scope-token", "t", TOKEN, Some("{ any: [jwt], scopes: [live] }")),
    ends("scope-key", "k", KEY, Some("{ any: [api_key], scopes: [live] }")),
    ends("scope-of-key", "tk", EITHER, Some("{ any: [api_key], scopes: [desk] }")),
    ends("gone-token", "t", TOKEN, None),
    ends("gone-key", "k", KEY, None),
    ends("gone-open", "", "public", None),
    ends("guarded", "", "public", Some(EITHER)),
    ends("no-token", "t", EITHER, Some(KEY)),
    ends("no-key", "k", EITHER, Some(TOKEN)),
    ends("both", "t", TOKEN, Some("{ all: [jwt, api_key] }")),
    ends("strong-token", "t", EITHER, Some(STRONG)),
    ends("strong-key", "k", EITHER, Some(STRONG)),
];

fn routes<'a>(accesses: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let line = |(name, access)| {
        format!("  - {{ name: {name}, path: /{name}, strip_prefix: true, upstream: backend, access: {access} }}\n")
    };
    accesses.map(line).collect()
}

#[test]
fn tunnels_end_that_the_routes_of_a_reload_would_not_open() {
    let world = World::with_routes(&routes(CASES.iter().map(|case| (case.route, case.before))));
    world.user_with("anna", false, "desk");
    let ((token, _), (_, key)) = (world.sign_in("anna"), world.key("held"));
    let open = |case: &Case| {
        let mut fields = HANDSHAKE.to_owned();
        for shown in case.shown.chars() {
            fields.push_str(&match shown {
                't' => format!("Authorization: Bearer {token}\r\n"),
                _ => format!("X-API-Key: {key}\r\n"),
            });
        }
        let (reply, client) = world.exchange(upgrade(&format!("/{}/socket", case.route), &fields).as_bytes());
        assert_eq!(reply.status, 101, "{}: {reply:?}", case.route);
        client
    };
    let mut opened: Vec<Client> = CASES.iter().map(open).collect();
    world.reload_routes(&routes(CASES.iter().filter_map(|case| Some((case.route, case.after?)))));

    std::thread::scope(|scope| {
        for (case, client) in CASES.iter().zip(&mut opened).filter(|(case, _)| !case.stays) {
            scope.spawn(move || assert!(client.is_closed(), "{} is still open", case.route));
        }
    });
    for (case, client) in CASES.iter().zip(&mut opened).filter(|(case, _)| case.stays) {
        assert!(client.try_write(b"still here"), "{}", case.route);
        assert_eq!(client.read_exactly(10), b"still here", "{}", case.route);
    }
}

/// The upstream's answer to it comes back.
fn assert_open(client: &mut Client, which: &str) {
    assert!(client.try_write(b"still here"), "{which}");
    assert_eq!(client.read_exactly(10), b"still here", "{which}");
}

fn open(world: &World, route: &str, field: &str) -> Client {
    let request = upgrade(&format!("/{route}/socket"), &format!("{HANDSHAKE}{field}\r\n"));
    let (reply, client) = world.exchange(request.as_bytes());
    assert_eq!(reply.status, 101, "{route}: {reply:?}");
    client
}

#[test]
fn tunnels_end_when_a_reload_wants_a_more_recent_sign_in_than_theirs() {
    let accesses = |added: &'static str, tightened: &'static str, kept: &'static str| {
        routes([("added", added), ("tightened", tightened), ("kept", kept)].into_iter())
    };
    let (plan, clock) = Plan {
        routes: Some(accesses(
            "{ any: [jwt, api_key] }",
            "{ any: [jwt], max_auth_age: 1h }",
            "{ any: [jwt], max_auth_age: 15m }",
        )),
        ..Plan::default()
    }
    .timed();
    let world = World::plan(plan);
    world.user("anna");
    let later = |clock: &ManualClock, minutes: u64| clock.advance(Duration::from_secs(60 * minutes));
    let sign_in = || format!("Authorization: Bearer {}", world.sign_in("anna").0);
    let (_, key) = world.key("");
    let (old, kept) = (sign_in(), open(&world, "kept", &sign_in()));
    let by_old = ["added", "tightened"].map(|route| open(&world, route, &old));
    let by_key = open(&world, "added", &format!("X-API-Key: {key}"));
    later(&clock, 20);
    let young = sign_in();
    let by_young = ["added", "tightened"].map(|route| open(&world, route, &young));
    let mut stay: Vec<Client> = by_young.into_iter().chain([kept]).collect();

    let fifteen = "{ any: [jwt], max_auth_age: 15m }";
    world.reload_routes(&accesses("{ any: [jwt, api_key], max_auth_age: 15m }", fifteen, fifteen));
    for mut client in by_old.into_iter().chain([by_key]) {
        assert!(client.is_closed());
    }
    // A sign-in that grows old under the rule that it was judged by ends nothing.
    later(&clock, 20);
    let gone = open(&world, "kept", &sign_in());
    world.reload_routes(&accesses(fifteen, fifteen, "{ any: [jwt], scopes: [nobody] }"));
    for mut client in [gone].into_iter().chain(stay.pop()) {
        assert!(client.is_closed());
    }
    stay.iter_mut().for_each(|client| assert_open(client, "young"));
}

#[test]
fn tunnels_end_of_users_who_owe_a_second_factor_after_a_reload() {
    let plan = |required: &str| Plan {
        routes: Some(routes([("any", EITHER)].into_iter())),
        extra: format!("second_factor: {{ required: {required} }}"),
        ..Plan::default()
    };
    let world = World::plan(plan("none"));
    world.user_with("root", true, "");
    world.user("anna");
    let bearer = |name: &str| format!("Authorization: Bearer {}", world.sign_in(name).0);
    let (_, key) = world.key("");
    let mut by_key = open(&world, "any", &format!("X-API-Key: {key}"));
    let (mut root, mut anna) = (open(&world, "any", &bearer("root")), open(&world, "any", &bearer("anna")));
    world.reload(&plan("admins"));
    assert!(root.is_closed());
    assert_open(&mut anna, "anna");
    world.reload(&plan("all"));
    assert!(anna.is_closed());
    assert_open(&mut by_key, "a key is no sign-in");
}
