//! Tunnels that are open while other routes come into force.

use crate::harness::{Client, World};
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
