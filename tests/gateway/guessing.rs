//! Guessing at passwords: how soon it is slowed down, what it tells about who is there, and whom it does not concern.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{AuditAction, AuditEvent, AuditQuery, StoredOutcome};
use portcullis::domain::clock::{Clock, ManualClock, Timestamp};
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::user::PasswordHash;
use portcullis::server::ground::Nature;
use portcullis::server::run::Running;
use serde_json::json;

use crate::harness::{Client, PASSWORD, Plan, Reply, World, eventually, operator};

pub const TOKEN: &str = "/api/v1/auth/token/";
pub const WRONG: &str = "not the password";
pub const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A world with `anna`, whose hash costs next to nothing, behind a proxy that says where a request comes from.
pub fn world(lockout: &str) -> (World, Arc<ManualClock>) {
    let extra = format!("trusted_proxies: [127.0.0.1]\nlockout: {{ {lockout} }}");
    let (plan, clock) = Plan { extra, ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user_with_id("1", "anna");
    (world, clock)
}

fn ask(gateway: SocketAddr, from: &str, username: &str, password: &str) -> Reply {
    let body = json!({"username": username, "password": password}).to_string();
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
    Client::connect(gateway).request("POST", TOKEN, &headers, body.as_bytes())
}

/// From a private network, which is never slowed down as such.
pub fn sign_in(world: &World, username: &str, password: &str) -> Reply {
    ask(world.http(), "10.1.2.3", username, password)
}

pub fn fail(world: &World, username: &str, times: usize) {
    for number in 1..=times {
        let reply = sign_in(world, username, WRONG);
        assert_eq!((reply.status, reply.code().as_str()), (401, "no_active_account"), "{number} of {times}: {reply:?}");
    }
}

/// How long the answer says to wait.
#[track_caller]
pub fn wait_of(reply: &Reply) -> u64 {
    assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_attempts"), "{reply:?}");
    assert_eq!((reply.header("www-authenticate"), reply.header("cache-control")), (None, Some("no-store")));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    let unit = if wait == 1 { "second" } else { "seconds" };
    let detail = format!("Request was throttled. Expected available in {wait} {unit}.");
    assert_eq!(reply.json(), json!({ "detail": detail, "code": "too_many_attempts" }));
    wait
}

fn events(world: &World, action: AuditAction) -> Vec<AuditEvent> {
    let query = AuditQuery { action: Some(action), limit: 1000, ..AuditQuery::default() };
    world.wait(world.stores.audit.list(&query)).unwrap()
}

fn gateway_beside(world: &World, clock: &Arc<ManualClock>) -> Running {
    let nature = Nature { clock: Arc::clone(clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) };
    Running::start_with(&world.settings, &nature).unwrap()
}

#[test]
fn ten_guesses_are_free_and_each_further_one_has_to_wait_longer() {
    let (world, clock) = world("");
    fail(&world, "anna", 10);
    for seconds in [10, 20, 40, 80, 160, 320, 640, 900, 900] {
        assert_eq!(wait_of(&sign_in(&world, "anna", WRONG)), seconds);
        assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), seconds, "the right one waits too");
        clock.advance(Duration::from_secs(seconds) - Duration::from_millis(1500));
        assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 2, "rounded up, and knocking extends nothing");
        clock.advance(Duration::from_millis(1499));
        assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 1);
        clock.advance(Duration::from_millis(1));
        fail(&world, "anna", 1);
    }
}

#[test]
fn waiting_as_long_as_told_is_enough_and_a_success_forgets_the_failures() {
    let (world, clock) = world("");
    for _ in 0..2 {
        fail(&world, "anna", 10);
        clock.advance(Duration::from_secs(wait_of(&sign_in(&world, "anna", PASSWORD))));
        assert_eq!(sign_in(&world, "anna", PASSWORD).status, 200);
    }
    fail(&world, "anna", 9);
    assert_eq!(sign_in(&world, "anna", PASSWORD).status, 200, "the tenth may be right");
    fail(&world, "anna", 10);
    assert_eq!(wait_of(&sign_in(&world, "anna", WRONG)), 10);
}

#[test]
fn the_last_failure_locks_for_a_day_and_no_longer() {
    let (world, clock) = world("account: { free: 3, max_failures: 5 }");
    fail(&world, "anna", 3);
    for seconds in [10, 20] {
        clock.advance(Duration::from_secs(wait_of(&sign_in(&world, "anna", WRONG))));
        fail(&world, "anna", 1);
        assert!(wait_of(&sign_in(&world, "anna", WRONG)) > seconds);
    }
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 86_400);
    clock.advance(24 * HOUR - SECOND);
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 1);
    clock.advance(SECOND);
    assert_eq!(sign_in(&world, "anna", PASSWORD).status, 200);
}

/// All that an answer can be told from another by: status, header fields, body.
type Visible = (u16, Vec<(String, String)>, String);

/// What is seen of a name through a whole series.
fn series(world: &World, clock: &ManualClock, spellings: [&str; 2]) -> Vec<Visible> {
    let [name, other] = spellings;
    let mut seen = Vec::new();
    let mut look = |name: &str, password: &str| seen.push(sign_in(world, name, password).comparable());
    for _ in 0..11 {
        look(other, WRONG);
    }
    look(name, WRONG);
    look(&format!(" {name}\t"), WRONG);
    for _ in 0..8 {
        look(name, WRONG);
    }
    look(name, PASSWORD);
    look(other, PASSWORD);
    look(&format!("{name}\u{200b}"), PASSWORD);
    clock.advance(10 * SECOND);
    look(name, WRONG);
    look(name, PASSWORD);
    look(other, WRONG);
    look(other, WRONG);
    clock.advance(25 * HOUR);
    look(name, WRONG);
    look(name, &"x".repeat(1025));
    seen
}

#[test]
fn nothing_in_a_whole_series_tells_whether_somebody_is_there() {
    let (world, clock) = world("");
    world.user_with_id("2", "dora");
    world.wait(world.administration.users.set_active("dora", false, &operator())).unwrap();
    let broken = world.user_with_id("3", "bert");
    let unusable = PasswordHash::new("!".to_owned());
    assert!(world.wait(world.stores.users.upgrade_password(&broken.id, &broken.password, &unusable)).unwrap());
    let known = series(&world, &clock, ["anna", "ANNA"]);
    let statuses: Vec<u16> = known.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses[..11], [vec![401; 10], vec![429]].concat(), "of another spelling, which is another name");
    assert_eq!(statuses[11..24], [vec![401; 10], vec![429; 2], vec![401]].concat());
    assert_eq!(statuses[24..], [401, 429, 401, 429, 401, 400]);
    for spellings in [["nobody", "NOBODY"], ["nemo", " Nemo "], ["dora", "Dora"], ["bert", "BERT"], ["Anna2", "anna2"]]
    {
        for (step, (found, expected)) in series(&world, &clock, spellings).iter().zip(&known).enumerate() {
            assert_eq!(found, expected, "{spellings:?}, step {step}");
        }
    }
    for event in events(&world, AuditAction::SignIn) {
        assert_eq!(event.outcome, StoredOutcome::Refused("sign_in_refused".to_owned()));
    }
}

#[test]
fn what_is_refused_is_not_hashed_and_what_we_could_not_hash_is_no_failure() {
    let extra = "passwords: { threads: 1, queue: 1 }";
    let (plan, _) = Plan { extra: extra.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    world.user_with_id("1", "anna");
    world.user_with_id("2", "bert");
    // A hash that takes seconds, which nobody knows a password for.
    let dear = "$argon2id$v=19$m=262144,t=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let slow = world.user_with_id("3", "slow");
    let dear = PasswordHash::new(dear.to_owned());
    assert!(world.wait(world.stores.users.upgrade_password(&slow.id, &slow.password, &dear)).unwrap());
    fail(&world, "anna", 10);
    let is_jammed = || world.metrics().contains("\nportcullis_hashing_waiting 2\n");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let jam: Vec<_> = (0..2).map(|_| scope.spawn(|| sign_in(&world, "slow", WRONG).status)).collect();
            eventually("both places to be taken", || is_jammed().then_some(()));
            let refused = sign_in(&world, "anna", PASSWORD);
            let busy: Vec<Reply> = (0..12).map(|_| sign_in(&world, "bert", WRONG)).collect();
            let in_time = is_jammed();
            for done in jam {
                assert_eq!(done.join().unwrap(), 401);
            }
            if in_time {
                assert_eq!(wait_of(&refused), 10);
                for reply in busy {
                    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"), "{reply:?}");
                }
                return;
            }
            sign_in(&world, "bert", PASSWORD);
        }
        panic!("the hashing threads were never busy for long enough");
    });
    fail(&world, "bert", 9);
    assert_eq!(sign_in(&world, "bert", PASSWORD).status, 200, "its ten are still free");
}

/// Of somebody whose password another installation has hashed, who has not signed in since.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is promised")]
fn a_name_that_nobody_has_takes_as_long_as_that_of_somebody_who_was_taken_over() {
    let (mut world, _) = world("");
    let anna = world.wait(world.stores.users.find_by_username("anna")).unwrap().unwrap();
    let dear = "pbkdf2_sha256$5000000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let dear = PasswordHash::new(dear.to_owned());
    assert!(world.wait(world.stores.users.upgrade_password(&anna.id, &anna.password, &dear)).unwrap());
    // It is found out at the start, and every hour.
    world.restart();
    let time_of = |name: &str| {
        let began = std::time::Instant::now();
        assert_eq!(sign_in(&world, name, WRONG).status, 401);
        began.elapsed()
    };
    let hers = time_of("anna");
    let mut names = (0..).map(|number| format!("nobody{number}"));
    let mut another = || time_of(&names.next().unwrap());
    eventually("a name of nobody that takes long", || (another() > hers / 2).then_some(()));
    for _ in 0..3 {
        assert!(another() > hers / 2);
    }
}

#[test]
fn guesses_at_once_do_not_get_more_than_those_that_are_free() {
    let (world, _) = world("");
    for name in ["anna", "nobody"] {
        let start = Barrier::new(64);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let guess = || {
                start.wait();
                sign_in(&world, name, WRONG).status
            };
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(guess)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(401), count(429)), (10, 54), "{name}: {statuses:?}");
    }
}

#[test]
fn neither_a_restart_nor_another_node_gives_more() {
    let (mut world, clock) = world("");
    let mut beside = gateway_beside(&world, &clock);
    for _ in 0..2 {
        fail(&world, "anna", 4);
        assert_eq!(ask(beside.http(), "10.1.2.3", "anna", WRONG).status, 401);
        beside = gateway_beside(&world, &clock);
        world.gateway = Some(gateway_beside(&world, &clock));
    }
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 10);
    assert_eq!(wait_of(&ask(beside.http(), "10.1.2.3", "anna", PASSWORD)), 10);
    clock.advance(10 * SECOND);
    assert_eq!(ask(beside.http(), "10.1.2.3", "anna", PASSWORD).status, 200);
    fail(&world, "anna", 10);
}

#[test]
fn a_network_has_fifty_guesses_over_all_accounts() {
    let (world, clock) = world("");
    for number in 2..=60 {
        world.user_with_id(&number.to_string(), &format!("user{number}"));
    }
    let network = "198.51.100.7";
    let guess = |from: &str, number: usize| ask(world.http(), from, &format!("user{number}"), WRONG);
    for number in 2..=51 {
        assert_eq!(guess(network, number).status, 401);
    }
    assert_eq!(wait_of(&guess(network, 52)), 5);
    assert_eq!(wait_of(&ask(world.http(), network, "nobody", WRONG)), 5);
    assert_eq!(wait_of(&ask(world.http(), network, "anna", PASSWORD)), 5);
    assert_eq!(ask(world.http(), "198.51.100.8", "anna", PASSWORD).status, 200, "its neighbour is somebody else");
    clock.advance(5 * SECOND);
    assert_eq!(ask(world.http(), network, "anna", PASSWORD).status, 200);
    assert_eq!(guess(network, 53).status, 401, "that somebody could sign in takes back nothing");
    assert_eq!(wait_of(&guess(network, 54)), 10);
    // What the network was refused was counted against no account either.
    for _ in 0..20 {
        wait_of(&ask(world.http(), network, "anna", WRONG));
    }
    assert_eq!(sign_in(&world, "anna", PASSWORD).status, 200);
    clock.advance(15 * 60 * SECOND);
    assert_eq!(guess(network, 54).status, 401);
}

#[test]
fn addresses_that_many_share_are_never_slowed_down() {
    let extra = "trusted_proxies: [127.0.0.1, 203.0.113.9]\nlockout: { address: { free: 2, max_failures: 2 }, \
                 shared_networks: [198.51.100.0/24] }";
    let (plan, _) = Plan { extra: extra.to_owned(), ..Plan::default() }.timed();
    let world = World::plan(plan);
    for number in 1..=9 {
        world.user_with_id(&number.to_string(), &format!("user{number}"));
    }
    let guess = |from: &str, number: usize| ask(world.http(), from, &format!("user{number}"), WRONG).status;
    // Private, behind a carrier's translation, loopback, link-local; a proxy that does not say for whom it asks, or says it
    // badly; what the configuration calls shared.
    for from in [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.9",
        "127.0.0.9",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "203.0.113.9",
        "unknown, 203.0.113.9",
        "",
        "198.51.100.7",
    ] {
        for number in 1..=9 {
            assert_eq!(guess(from, number), 401, "{from}");
        }
        for number in 1..=9 {
            let reply = ask(world.http(), from, &format!("user{number}"), PASSWORD);
            assert_eq!(reply.status, 200, "{from}: {reply:?}");
        }
    }
    for (one, other, apart) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("203.0.113.1", "203.0.113.1:4711, 203.0.113.9", "203.0.113.2"),
    ] {
        assert_eq!((guess(one, 1), guess(other, 2), guess(one, 3), guess(other, 4)), (401, 401, 429, 429), "{one}");
        assert_eq!((guess(apart, 5), guess(apart, 6)), (401, 401), "{apart}");
    }
}

#[test]
fn who_signs_in_neither_excuses_nor_punishes_the_others_in_the_network() {
    let (world, _) = world("address: { free: 5 }");
    world.user_with_id("2", "bert");
    let network = "198.51.100.7";
    for _ in 0..20 {
        assert_eq!(ask(world.http(), network, "bert", PASSWORD).status, 200, "no success is a failure");
    }
    for number in 0..4 {
        assert_eq!(ask(world.http(), network, &format!("nobody{number}"), WRONG).status, 401);
        assert_eq!(ask(world.http(), network, "bert", PASSWORD).status, 200);
    }
    assert_eq!(ask(world.http(), network, "anna", WRONG).status, 401);
    assert_eq!(wait_of(&ask(world.http(), network, "bert", PASSWORD)), 5);
}

#[test]
fn right_sign_ins_at_once_all_succeed() {
    for lockout in ["", "account: { free: 1 }, address: { free: 1 }"] {
        let (world, _) = world(lockout);
        for number in 2..=64 {
            world.user_with_id(&number.to_string(), &format!("user{number}"));
        }
        let names: [fn(usize) -> String; 2] = [|_| "anna".to_owned(), |number| format!("user{}", number + 2)];
        for name in names {
            let start = Barrier::new(60);
            let statuses: Vec<u16> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..60)
                    .map(|number| {
                        let (world, start) = (&world, &start);
                        scope.spawn(move || {
                            start.wait();
                            ask(world.http(), "198.51.100.7", &name(number), PASSWORD).status
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(statuses, [200; 60], "{lockout}: {}", name(0));
        }
    }
}

#[test]
fn a_clock_that_jumps_frees_nobody_and_shuts_nobody_out() {
    let (world, clock) = world("");
    fail(&world, "anna", 10);
    let set = |to: Timestamp| clock.set(to);
    let start = clock.now();
    set(start.minus(HOUR));
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 10, "its own length, from now");
    set(start.minus(HOUR).plus(5 * SECOND));
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 5);
    set(start.minus(HOUR).plus(10 * SECOND));
    fail(&world, "anna", 1);
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 20, "nothing was forgotten");
    set(start.plus(HOUR));
    fail(&world, "anna", 1);
    set(start);
    assert_eq!(wait_of(&sign_in(&world, "anna", PASSWORD)), 40);
    set(start.plus(40 * SECOND));
    assert_eq!(sign_in(&world, "anna", PASSWORD).status, 200);
}

#[test]
fn the_audit_tells_of_each_guess_once_and_of_a_lock_once() {
    let (world, clock) = world("");
    fail(&world, "anna", 10);
    fail(&world, "nobody", 10);
    for _ in 0..7 {
        wait_of(&sign_in(&world, "anna", PASSWORD));
        wait_of(&sign_in(&world, "nobody", WRONG));
    }
    let locks = events(&world, AuditAction::Lock);
    assert_eq!(locks.len(), 2);
    for (user, what) in [(Some("1"), "account"), (None, "name")] {
        let is_it = |event: &&AuditEvent| event.user.as_ref().map(|user| user.as_str()) == user;
        let lock = locks.iter().find(is_it).unwrap();
        assert_eq!((lock.detail.as_str(), lock.initiator.address.as_str()), (what, "10.1.2.3"));
    }
    let refused = events(&world, AuditAction::SignIn);
    assert_eq!(refused.len(), 20);
    assert!(refused.iter().all(|event| event.outcome == StoredOutcome::Refused("sign_in_refused".to_owned())));
    clock.advance(10 * SECOND);
    fail(&world, "anna", 1);
    assert_eq!(events(&world, AuditAction::Lock).len(), 3, "the next delay is another lock");
    // Which of two was locked is told.
    let network = "198.51.100.7";
    for number in 0..50 {
        assert_eq!(ask(world.http(), network, &format!("nobody{}", number / 9), WRONG).status, 401);
    }
    let locks = events(&world, AuditAction::Lock);
    let of_network: Vec<_> = locks.iter().filter(|event| event.detail == "network").collect();
    assert_eq!(of_network.len(), 1);
    assert_eq!(of_network[0].initiator.address, network);
    let stored = format!("{:?}", events(&world, AuditAction::Lock));
    assert!(!stored.contains("nobody"), "a name that nobody has may be a password: {stored}");
}

#[test]
fn a_locked_account_goes_on_with_what_it_holds() {
    let (world, _) = world("");
    let reply = sign_in(&world, "anna", PASSWORD);
    let (access, refresh) = (reply.json()["access"].clone(), reply.json()["refresh"].clone());
    let user = world.wait(world.stores.users.find_by_username("anna")).unwrap().unwrap();
    let (_, key) = world.key_of(KeyOwner::User(user.id), "", None);
    fail(&world, "anna", 10);
    wait_of(&sign_in(&world, "anna", PASSWORD));
    assert_eq!(world.me(access.as_str().unwrap()).status, 200);
    assert_eq!(world.refresh(refresh.as_str().unwrap()).status, 200);
    world.get("/", &[("X-API-Key", &key)]).seen();
    wait_of(&sign_in(&world, "anna", PASSWORD));
}
