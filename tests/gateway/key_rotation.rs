//! Signing keys that are replaced by the clock, on several gateways with one store.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::domain::signing_key::ANNOUNCED_FOR;
use portcullis::server::ground::{Nature, auditor};
use portcullis::server::rotation::{rotate, run_schedule};
use portcullis::server::run::Running;

use crate::harness::{Client, Plan, World, eventually, forge};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

struct Pair {
    world: World,
    nature: Nature,
    other: Running,
}

impl Pair {
    fn start(plan: Plan) -> Self {
        let nature = plan.nature.clone().unwrap_or_else(Nature::real);
        let world = World::plan(plan);
        let other = Running::start_with(&world.settings, &nature).unwrap();
        world.user("anna");
        Self { world, nature, other }
    }

    /// Of all nodes at once. How much was done.
    fn run_schedule(&self) -> usize {
        let World { settings, stores, .. } = &self.world;
        let auditor = auditor(settings, stores, &self.nature);
        let one = || run_schedule(settings, stores, &self.nature, &auditor);
        let all = self.world.wait(async { tokio::join!(one(), one(), one(), one()) });
        [all.0, all.1, all.2, all.3].into_iter().map(Result::unwrap).sum()
    }

    fn statuses(&self, token: &str) -> [u16; 2] {
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        [self.world.http(), self.other.http()]
            .map(|address| Client::connect(address).request("GET", "/", &headers, b"").status)
    }

    /// A new token by either gateway, which both accept, and the id of the key that signed it.
    fn signing_ids(&self) -> [String; 2] {
        let body = serde_json::json!({ "username": "anna", "password": crate::harness::PASSWORD }).to_string();
        [self.world.http(), self.other.http()].map(|address| {
            let json = [("Content-Type", "application/json")];
            let reply = Client::connect(address).request("POST", "/api/v1/auth/token/", &json, body.as_bytes());
            let token = reply.json()["access"].as_str().unwrap().to_owned();
            assert_eq!(self.statuses(&token), [200, 200], "{token}");
            id_of(&token)
        })
    }

    fn published(&self) -> [BTreeSet<String>; 2] {
        [self.world.http(), self.other.http()].map(|address| {
            let keys = Client::connect(address).request("GET", "/.well-known/jwks.json", &[], b"").json();
            keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
        })
    }
}

fn id_of(token: &str) -> String {
    let header: serde_json::Value = serde_json::from_str(&forge::header(token)).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_is_published_before_it_signs_and_kept_while_its_tokens_live() {
    let tokens = Some("{ rotate_keys_every: 2d, refresh_lifetime: 1d }".to_owned());
    let (plan, clock) = Plan { tokens, ..Plan::default() }.timed();
    let pair = Pair::start(plan);
    let [old, same] = pair.signing_ids();
    assert_eq!(old, same);
    assert_eq!(pair.run_schedule(), 0);
    assert_eq!(pair.published()[0].len(), 2, "one for tokens, another for assertions");

    clock.advance(2 * DAY);
    assert_eq!(pair.run_schedule(), 2, "one key of each use is announced, by one of the nodes");
    assert_eq!(pair.run_schedule(), 0);
    eventually("both publish", || pair.published().iter().all(|ids| ids.len() == 4).then_some(()));
    assert_eq!(pair.signing_ids(), [old.clone(), old.clone()], "it does not sign yet");
    clock.advance(ANNOUNCED_FOR - MINUTE);
    assert_eq!(pair.run_schedule(), 0);

    let (last, _) = pair.world.sign_in("anna");
    assert_eq!(id_of(&last), old);
    clock.advance(MINUTE);
    assert_eq!(pair.run_schedule(), 2);
    // At each moment what one of them signs is good at the other.
    let new = eventually("both sign with the new key", || {
        let [one, other] = pair.signing_ids();
        (one == other && one != old).then_some(one)
    });
    assert_eq!(pair.statuses(&last), [200, 200], "a token by the key before");
    assert!(pair.published().iter().all(|ids| ids.contains(&old) && ids.contains(&new) && ids.len() == 4));

    // The old one goes when no token can need it any more, and with it whatever claims to be signed by it.
    let kept = clock_now(&pair);
    clock.advance(DAY + MINUTE);
    assert_eq!(pair.world.wait(pair.world.stores.signing_keys.delete_retired(kept.plus(MINUTE))).unwrap(), 2);
    eventually("it is published no more", || pair.published().iter().all(|ids| ids.len() == 2).then_some(()));
    assert_eq!(pair.signing_ids(), [new.clone(), new]);
}

fn clock_now(pair: &Pair) -> portcullis::domain::clock::Timestamp {
    pair.nature.clock.now()
}

#[test]
fn at_the_operators_word_no_gateway_refuses_what_another_signs() {
    let pair = Pair::start(Plan::default());
    let [old, _] = pair.signing_ids();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pair.world.wait(rotate(&pair.world.settings, &pair.world.stores, &pair.nature)).unwrap();
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            pair.signing_ids();
        }
    });
    eventually("the new key", || pair.signing_ids().iter().all(|id| *id != old).then_some(()));
}

#[test]
fn a_token_that_is_remembered_expires_when_the_clock_jumps() {
    let (plan, clock) =
        Plan { tokens: Some("{ access_lifetime: 5m, leeway: 10s }".to_owned()), ..Plan::default() }.timed();
    let pair = Pair::start(plan);
    let (token, _) = pair.world.sign_in("anna");
    assert_eq!(pair.statuses(&token), [200, 200]);
    clock.advance(5 * MINUTE + Duration::from_secs(9));
    assert_eq!(pair.statuses(&token), [200, 200], "within the leeway");
    clock.advance(Duration::from_secs(1));
    assert_eq!(pair.statuses(&token), [401, 401]);
}
