//! Three processes on one PostgreSQL and one Redis are one gateway: in step, under attack, and while either is gone.

mod counting;
mod outages;

use std::process::Stdio;
use std::sync::Barrier;
use std::time::Duration;

use portcullis::crypto::totp;
use portcullis::domain::clock::{Clock as _, SystemClock};
use portcullis::domain::second_factor::TotpParameters;
use portcullis::domain::secret::Secret;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::postgres::{PostgresServer, ROLE};
use crate::harness::{CONFIGURATION, Client, PASSWORD, Place, Reply, Server, Upstream, eventually, pair};
use crate::redis_server::Redis;

const API: &str = "/api/v1/auth";
/// What the bus promises.
const PROMPTLY: Duration = Duration::from_secs(1);

struct Fleet {
    postgres: PostgresServer,
    redis: Redis,
    _upstream: Upstream,
    place: Place,
    nodes: Vec<Server>,
    /// May change users and keys.
    admin: String,
}

#[test]
fn three_gateways_are_one() {
    let mut fleet = Fleet::start();
    fleet.serves_a_session_anywhere();
    fleet.gives_one_successor_to_a_token_that_comes_everywhere_at_once();
    fleet.takes_a_code_once();
    fleet.hears_of_what_is_taken_away(PROMPTLY);
    fleet.counts_requests_together();
    fleet.counts_guesses_together();
    fleet.accepts_tokens_of_before_and_after_a_rotation();
    fleet.goes_on_without_redis();
    fleet.goes_on_while_the_database_hangs();
    for node in fleet.nodes {
        node.stop().success();
    }
}

impl Fleet {
    /// All at once, on a database without a table.
    fn start() -> Self {
        let (postgres, redis, upstream) = (PostgresServer::start(), Redis::start(), Upstream::start());
        postgres.sql("postgres", &format!("CREATE DATABASE fleet OWNER {ROLE}"));
        let extra = format!("cache: {{ redis: \"{}\" }}", redis.url());
        let place = Place::configured_on(&postgres.url("fleet"), upstream.address(), &extra);
        place.write("data.key", &"0123456789abcdef".repeat(4));
        let text = std::fs::read_to_string(place.path(CONFIGURATION)).unwrap().replace("data/master.key", "data.key");
        let limited = "  - { path: /limited, upstream: backend, access: { any: [jwt, api_key] }, \
                       limit: { per_principal: 9/hour } }\n";
        place.write(CONFIGURATION, &(text + limited));
        let nodes = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| place.serve())).collect();
            starting.into_iter().map(|node| node.join().unwrap()).collect()
        });
        let admin = key(&place, &["--scope", "keys:write", "--scope", "users:write"]).1;
        let fleet = Self { postgres, redis, _upstream: upstream, place, nodes, admin };
        fleet.has_redis();
        fleet
    }

    fn has_redis(&self) {
        for node in &self.nodes {
            for name in ["portcullis_bus_connected", "portcullis_redis_up"] {
                eventually(name, || metrics(node).contains(&format!("\n{name} 1\n")).then_some(()));
            }
        }
    }

    /// What each of them answers when all are asked at the same moment.
    fn at_once(&self, ask: impl Fn(&Server) -> Reply + Sync) -> Vec<Reply> {
        let (barrier, ask) = (Barrier::new(self.nodes.len()), &ask);
        std::thread::scope(|scope| {
            let asked = self.nodes.iter().map(|node| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    ask(node)
                })
            });
            asked.collect::<Vec<_>>().into_iter().map(|reply| reply.join().unwrap()).collect()
        })
    }

    fn all_answer(&self, status: u16, ask: impl Fn(&Server) -> Reply) {
        for (number, node) in self.nodes.iter().enumerate() {
            let reply = ask(node);
            assert_eq!(reply.status, status, "node {number}: {reply:?}");
        }
    }

    /// Lets everybody know the credential, takes it away through the first, and waits for the refusal of all.
    fn is_taken_away(&self, what: &str, within: Duration, ask: impl Fn(&Server) -> Reply, take: impl Fn(&Server)) {
        self.all_answer(200, &ask);
        take(&self.nodes[0]);
        let since = Instant::now();
        for (number, node) in self.nodes.iter().enumerate() {
            while ask(node).status != 401 {
                assert!(since.elapsed() < within, "{what}: node {number} goes on letting it in");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.all_answer(401, &ask);
    }

    fn serves_a_session_anywhere(&self) {
        self.place.create_user("anna");
        let (_, refresh) = self.nodes[0].tokens("anna");
        let (access, _) = pair(&self.nodes[1].refresh(&refresh));
        self.all_answer(200, |node| node.get_with_token("/", &access));
    }

    fn gives_one_successor_to_a_token_that_comes_everywhere_at_once(&self) {
        let (_, mut refresh) = self.nodes[0].tokens("anna");
        let mut seen = Vec::new();
        for _ in 0..5 {
            for reply in self.at_once(|node| node.refresh(&refresh)) {
                let access;
                (access, refresh) = pair(&reply);
                seen.push(me(&self.nodes[2], &access)["session_id"].clone());
            }
        }
        assert!(seen[0].is_string() && seen.iter().all(|session| *session == seen[0]), "{seen:?}");
        let alarms = self.place.json(&["audit", "list", "--action", "refresh_reuse"], "");
        assert_eq!(alarms, json!([]));
    }

    fn takes_a_code_once(&self) {
        self.place.create_user("bert");
        let (access, _) = self.nodes[0].tokens("bert");
        let post = |path: &str, body: Value| {
            change(&self.nodes[0], "POST", &format!("2fa/totp/{path}"), ("Authorization", &bearer(&access)), &body)
                .json()
        };
        let setup = post("setup", json!({}));
        let hex = setup["secret"].as_str().unwrap();
        let secret = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let secret = Secret::new(secret);
        let step = SystemClock.now().as_secs() / 30;
        let code = |step| totp::code(&secret, &TotpParameters::default(), step).expose().clone();
        post("verify", json!({ "token": code(step) }));
        // The next one counts already, and the present one is spent.
        let body = json!({ "username": "bert", "password": PASSWORD, "otp": code(step + 1) });
        let replies = self.at_once(|node| node.post(&format!("{API}/token/"), &body));
        let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401, 401], "{replies:?}");
    }

    fn hears_of_what_is_taken_away(&self, within: Duration) {
        let admin = ("X-API-Key", &*self.admin);
        let (id, text) = key(&self.place, &[]);
        let with_key = |node: &Server| node.get("/", &[("X-API-Key", &text)]);
        self.is_taken_away("a key", within, with_key, |node| {
            change(node, "POST", &format!("keys/{id}/revoke"), admin, &json!({ "reason": "lost" }));
        });

        let (access, refresh) = self.nodes[1].tokens("anna");
        let session = me(&self.nodes[1], &access)["session_id"].as_str().unwrap().to_owned();
        self.is_taken_away(
            "a session",
            within,
            |node| node.get_with_token("/", &access),
            |node| {
                change(node, "DELETE", &format!("sessions/{session}"), ("Authorization", &bearer(&access)), &json!({}));
            },
        );
        self.all_answer(401, |node| node.refresh(&refresh));

        let name = format!("leaves-in-{}", within.as_secs());
        let user = self.place.create_user(&name)["id"].as_str().unwrap().to_owned();
        let (access, refresh) = self.nodes[2].tokens(&name);
        self.is_taken_away(
            "a user",
            within,
            |node| node.get_with_token("/", &access),
            |node| {
                change(node, "PATCH", &format!("users/{user}"), admin, &json!({ "is_active": false }));
            },
        );
        self.all_answer(401, |node| node.refresh(&refresh));
        self.all_answer(401, |node| node.sign_in(&name, PASSWORD));
    }

    fn accepts_tokens_of_before_and_after_a_rotation(&self) {
        let (before, mut refresh) = self.nodes[0].tokens("anna");
        // The head of a token names its key.
        let head = |token: &str| token.split('.').next().unwrap().to_owned();
        let mut rotating = self.place.command(&["signing-keys", "rotate"]);
        let mut rotating = rotating.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (since, mut signed_anew) = (Instant::now(), 0);
        // Until each of them has signed with the new key many times over.
        for signer in self.nodes.iter().cycle() {
            assert!(since.elapsed() < Duration::from_secs(20), "the new key does not sign");
            let access;
            (access, refresh) = pair(&signer.refresh(&refresh));
            for token in [&access, &before] {
                self.all_answer(200, |node| node.get_with_token("/", token));
            }
            signed_anew += usize::from(head(&access) != head(&before));
            if signed_anew > 60 {
                break;
            }
        }
        assert!(rotating.wait().unwrap().success());
    }
}

/// The id and the text of a new key.
fn key(place: &Place, more: &[&str]) -> (String, String) {
    let made = place.json(&[&["keys", "create", "--name", "robot"], more].concat(), "");
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

fn bearer(access: &str) -> String {
    format!("Bearer {access}")
}

/// Something that is allowed.
#[track_caller]
fn change(node: &Server, method: &str, path: &str, credential: (&str, &str), body: &Value) -> Reply {
    let headers = [("Content-Type", "application/json"), credential];
    let path = format!("{API}/{path}/");
    let reply = Client::connect(node.http).request(method, &path, &headers, body.to_string().as_bytes());
    assert!(matches!(reply.status, 200 | 204), "{reply:?}");
    reply
}

fn me(node: &Server, access: &str) -> Value {
    let reply = node.get_with_token(&format!("{API}/me/"), access);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn metrics(node: &Server) -> String {
    Client::connect(node.ops).request("GET", "/metrics", &[], b"").text()
}
