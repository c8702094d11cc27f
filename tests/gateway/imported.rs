//! A Django installation that was taken over, with every secret in it: its users, services and clients notice nothing.
//!
//! `imported/export` is one, written by real versions of the libraries; everybody in it is made up. `secrets.json` tells the
//! plain text of all that is digested there, and what is to come of it.

mod damaged;
mod ended_sessions;
mod guessed_keys;
mod postgres;
mod repeated;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::clock::{Clock as _, ManualClock};
use portcullis::domain::digest::from_hex;
use portcullis::domain::scope::ScopeSet;
use portcullis::domain::secret::Secret;
use portcullis::identity::import::report::{Report, Tally};
use portcullis::identity::import::{ImportOptions, UserTable};
use portcullis::server::import::import_django;
use serde_json::{Value, json};

use crate::harness::authenticator::{Authenticator, CHALLENGE, TOKEN};
use crate::harness::{Plan, Reply, World};
use portcullis::server::ground::Nature;

const SIGNING_KEY: &str = "export-one-signing-key-7f3b9d51c2e84a06-made-up-for-import-checks";
const USERS: &str = "auth_user";
const KEYS: &str = "rest_framework_api_key_apikey";
const DEVICES: &str = "otp_totp_totpdevice";
const CODES: &str = "otp_static_statictoken";
const OUTSTANDING: &str = "token_blacklist_outstandingtoken";

pub fn export(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/imported/export").join(name)
}

pub fn secrets() -> Value {
    serde_json::from_str(&std::fs::read_to_string(export("secrets.json")).unwrap()).unwrap()
}

fn rows<'a>(secrets: &'a Value, name: &str) -> &'a [Value] {
    secrets[name].as_array().unwrap()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

/// Where everything is taken over from, and where it goes.
pub struct Journey {
    pub from: String,
    /// As [`Plan::storage`].
    pub storage: Option<String>,
}

impl From<&str> for Journey {
    /// A file of the export.
    fn from(name: &str) -> Self {
        Self { from: export(name).to_str().unwrap().to_owned(), storage: None }
    }
}

/// A gateway in the place of that installation, a second before anything is taken over.
pub struct Successor {
    pub world: World,
    pub clock: Arc<ManualClock>,
}

impl Successor {
    pub fn start(second_factor: &str) -> Self {
        Self::start_on(None, second_factor)
    }

    /// Behind a proxy that says where a request comes from.
    pub fn start_behind_a_proxy() -> Self {
        let further = "trusted_proxies: [127.0.0.1]\nlimits: { unknown_keys_burst: 1000 }";
        Self::start_with(None, &format!("second_factor: {{ at_sign_in: false }}\n{further}"))
    }

    fn start_on(storage: Option<String>, second_factor: &str) -> Self {
        Self::start_with(storage, &format!("second_factor: {{ {second_factor} }}"))
    }

    fn start_with(storage: Option<String>, further: &str) -> Self {
        let (mut plan, clock) = Plan { storage, ..Plan::django("") }.timed();
        plan.environment.insert("DJANGO_SECRET".to_owned(), SIGNING_KEY.to_owned());
        plan.extra.push_str(&format!("\n{further}"));
        Self { world: World::plan(plan), clock }
    }

    pub fn import(&self, from: &str, options: &ImportOptions) -> Report {
        self.try_import(from, options).unwrap_or_else(|fault| panic!("{from}: {fault}"))
    }

    pub fn try_import(&self, from: &str, options: &ImportOptions) -> Result<Report, String> {
        let nature = Nature { clock: Arc::clone(&self.clock) as _, ..Nature::real() };
        let (world, from) = (&self.world, Secret::new(from.to_owned()));
        let done = world.wait(import_django(&world.settings, &world.stores, &nature, &from, options));
        // A later run is another one.
        self.clock.advance(Duration::from_secs(1));
        world.settle();
        done.map_err(|error| error.to_string())
    }

    pub fn clock_now(&self) -> portcullis::domain::clock::Timestamp {
        self.clock.now()
    }

    fn of(journey: impl Into<Journey>, second_factor: &str) -> Self {
        let journey = journey.into();
        let successor = Self::start_on(journey.storage, second_factor);
        successor.import(&journey.from, &options());
        successor
    }

    fn login(&self, username: &str, password: &str) -> Reply {
        self.world.post_json(TOKEN, &json!({ "username": username, "password": password }))
    }

    fn login_with(&self, username: &str, password: &str, otp: &str) -> u16 {
        self.world.post_json(TOKEN, &json!({ "username": username, "password": password, "otp": otp })).status
    }

    fn key(&self, key: &str) -> Reply {
        self.world.get("/p", &[("X-API-Key", key)])
    }

    /// From there, as the proxy says.
    fn key_from(&self, address: &str, key: &str) -> Reply {
        self.world.get("/p", &[("X-API-Key", key), ("X-Forwarded-For", address)])
    }

    fn recover(&self, username: &str, password: &str, code: &str) -> u16 {
        let challenge = self.login(username, password).json()["challenge"].as_str().unwrap().to_owned();
        self.world.post_json(CHALLENGE, &json!({ "challenge": challenge, "recovery_code": code })).status
    }
}

pub fn options() -> ImportOptions {
    ImportOptions {
        users: UserTable::named(USERS.to_owned()),
        key_scopes: ScopeSet::default(),
        accept_weak: false,
        overwrite: false,
        dry_run: false,
    }
}

pub fn tally(report: &Report, table: &str) -> Tally {
    report.tables.get(table).copied().unwrap_or_default()
}

fn password_of(secrets: &Value, username: &str) -> String {
    let users = rows(secrets, "users").iter();
    let user = users.into_iter().find(|user| text(user, "username") == username).unwrap();
    text(user, "password").to_owned()
}

/// The device of a row, as its owner holds it.
fn authenticator(row: &Value) -> Authenticator {
    Authenticator {
        digits: u32::try_from(row["digits"].as_u64().unwrap()).unwrap(),
        period: row["step"].as_i64().unwrap(),
        t0: row["t0"].as_i64().unwrap(),
        ..Authenticator::new(from_hex(text(row, "key_hex")).unwrap())
    }
}

/// A second factor is not asked for here, as it was not there.
fn every_password(journey: impl Into<Journey>) {
    let (successor, secrets) = (Successor::of(journey, "at_sign_in: false"), secrets());
    let world = &successor.world;
    for user in rows(&secrets, "users") {
        let (username, password) = (text(user, "username"), text(user, "password"));
        let right = user["login"] == json!(true);
        if password.is_empty() {
            for guess in ["!", "x"] {
                assert_eq!(successor.login(username, guess).status, 401, "{user}");
            }
            continue;
        }
        assert_eq!(successor.login(username, &format!("{password}x")).status, 401, "{user}");
        assert_eq!(successor.login(username, password).status, if right { 200 } else { 401 }, "{user}");
        let stored = world.wait(world.stores.users.find_by_username(username)).unwrap().unwrap();
        assert_eq!(stored.password.text().starts_with("$argon2id$"), right, "{user}: upgraded by a sign-in alone");
        if right {
            assert_eq!(successor.login(username, password).status, 200, "{user}: a second time");
        }
    }
}

#[test]
fn every_password_of_the_database_is_known() {
    every_password("db.sqlite3");
}

#[test]
fn every_password_of_a_dump_is_known() {
    every_password("dump.json");
}

#[test]
fn every_password_of_a_dump_with_natural_keys_is_known() {
    every_password("dump-natural.json");
}

#[test]
fn disused_formats_are_accepted_where_that_is_asked_for() {
    let (successor, secrets) = (Successor::start("at_sign_in: false"), secrets());
    let accepting = ImportOptions { accept_weak: true, ..options() };
    let report = successor.import(export("db.sqlite3").to_str().unwrap(), &accepting);
    assert_eq!(report.password_formats["sha1"], 3);
    let mut weak = 0;
    for user in rows(&secrets, "users") {
        let (username, password) = (text(user, "username"), text(user, "password"));
        if text(user, "note").contains("cannot read it") {
            assert_eq!(successor.login(username, &password.to_lowercase()).status, 401, "{user}");
            assert_eq!(successor.login(username, password).status, 200, "{user}");
            let world = &successor.world;
            let stored = world.wait(world.stores.users.find_by_username(username)).unwrap().unwrap();
            assert!(stored.password.text().starts_with("$argon2id$"), "{user}");
            weak += 1;
        }
    }
    assert_eq!(weak, 9);
}

fn every_key(journey: impl Into<Journey>) {
    let (successor, secrets) = (Successor::of(journey, ""), secrets());
    let world = &successor.world;
    for row in rows(&secrets, "api_keys") {
        let (key, prefix) = (text(row, "key"), text(row, "prefix"));
        let status = if row["valid"] == json!(true) { 200 } else { 401 };
        assert_eq!(successor.key(&format!("{prefix}.{}", "x".repeat(32))).status, 401, "{row}");
        for round in 0..2 {
            let reply = successor.key(key);
            assert_eq!(reply.status, status, "{row}, {round}: {reply:?}");
            if status == 200 {
                assert_eq!(
                    reply.seen().header("x-auth-user-id"),
                    Some(format!("service:{}", text(row, "name")).as_str())
                );
            }
        }
        let slow = world.wait(world.stores.slow_keys.find(prefix, successor.clock.now())).unwrap();
        assert_eq!(slow, None, "{row}: looked at no more");
    }
}

#[test]
fn every_key_of_the_database_is_known() {
    every_key("db.sqlite3");
}

#[test]
fn every_key_of_a_dump_is_known() {
    every_key("dump.json");
    every_key("dump-natural.json");
}

fn every_device(journey: impl Into<Journey>) {
    let (successor, secrets) = (Successor::of(journey, ""), secrets());
    let mut asked = 0;
    for row in rows(&secrets, "totp") {
        let username = text(row, "username");
        let password = password_of(&secrets, username);
        let phone = authenticator(row);
        let login = |code: &str| successor.login_with(username, &password, code);
        if row["confirmed"] == json!(false) {
            assert_eq!(login("junk"), 200, "{row}: asks for nothing");
            continue;
        }
        if ["inactive", "spaced"].contains(&username) {
            assert_eq!(login(&phone.now(&successor.clock)), 401, "{row}");
            continue;
        }
        let (tolerance, drift) = (row["tolerance"].as_i64().unwrap(), row["drift"].as_i64().unwrap());
        let now = phone.step(&successor.clock) + drift;
        assert_eq!(successor.login(username, &password).code(), "mfa_required", "{row}");
        assert_eq!(login(&phone.code(now - tolerance - 1)), 401, "{row}: too old");
        assert_eq!(login(&phone.code(now + tolerance + 1)), 401, "{row}: too early");
        for step in now - tolerance..=now + tolerance {
            assert_eq!(login(&phone.code(step)), 200, "{row}: {}", step - now);
            assert_eq!(login(&phone.code(step)), 401, "{row}: once");
        }
        asked += 1;
        // Wrong codes are counted, which is not what is tested here.
        successor.clock.advance(Duration::from_secs(86_400 * 2));
    }
    assert_eq!(asked, 13, "two of them are one user's");
}

#[test]
fn every_device_of_the_database_shows_codes_that_hold() {
    every_device("db.sqlite3");
}

#[test]
fn every_device_of_a_dump_shows_codes_that_hold() {
    every_device("dump.json");
    every_device("dump-natural.json");
}

#[test]
fn a_code_that_was_used_there_is_not_used_again_here() {
    let (successor, secrets) = (Successor::start(""), secrets());
    let root = &rows(&secrets, "totp")[0];
    let phone = authenticator(root);
    let last = root["last_t"].as_i64().unwrap();
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    let devices = successor.world.wait(successor.world.stores.second_factors.of_user(&user_id("45"))).unwrap();
    assert_eq!(devices[0].last_step, last);
    let steps: Vec<i64> = devices[0]
        .parameters
        .candidate_steps(devices[0].last_step, portcullis::domain::clock::Timestamp::from_secs(last * 30))
        .collect();
    assert_eq!(steps, [last + 1]);
    assert_ne!(phone.code(last), phone.code(last + 1));
}

fn user_id(id: &str) -> portcullis::domain::user::UserId {
    portcullis::domain::user::UserId(id.to_owned())
}

fn every_backup_code(journey: impl Into<Journey>) {
    let (successor, secrets) = (Successor::of(journey, ""), secrets());
    for row in rows(&secrets, "static") {
        let (username, code) = (text(row, "username"), text(row, "token"));
        let password = password_of(&secrets, username);
        let good = row["unspent"] == json!(true) && row["confirmed"] == json!(true);
        let times = match (good, text(row, "note").contains("twice")) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let other_case = if code == code.to_lowercase() { code.to_uppercase() } else { code.to_lowercase() };
        assert!(other_case == code || successor.recover(username, &password, &other_case) == 401, "{row}");
        for round in 0..=times {
            let status = successor.recover(username, &password, code);
            assert_eq!(status, if round < times { 200 } else { 401 }, "{row}, {round}");
        }
        successor.clock.advance(Duration::from_secs(86_400 * 2));
    }
}

#[test]
fn every_backup_code_works_as_often_as_it_did() {
    every_backup_code("db.sqlite3");
    every_backup_code("dump.json");
    every_backup_code("dump-natural.json");
}

fn every_token(journey: impl Into<Journey>) {
    let (successor, secrets) = (Successor::of(journey, ""), secrets());
    let world = &successor.world;
    for row in rows(&secrets, "refresh_tokens") {
        let token = text(row, "refresh");
        let reply = world.refresh(token);
        if row["usable"] == json!(true) {
            assert_eq!(reply.status, 200, "{row}: {reply:?}");
            assert!(reply.json().get("refresh").is_none(), "{row}: it stays the same");
            let access = reply.json()["access"].as_str().unwrap().to_owned();
            let proxied = world.get_as("/p", &access);
            let expected = if text(row, "username") == "root" { "45" } else { "1" };
            assert_eq!(proxied.seen().header("x-auth-user-id"), Some(expected), "{row}");
            assert_eq!(world.refresh(token).status, 200, "{row}: again");
            continue;
        }
        assert_eq!(reply.status, 401, "{row}: {reply:?}");
        let error = text(row, "error");
        if error != "(refused)" {
            assert_eq!(reply.json()["detail"], error, "{row}");
        }
    }
    let access = text(&secrets["access_token"], "access");
    assert_eq!(world.get_as("/p", access).seen().header("x-auth-user-id"), Some("45"));
    assert_eq!(world.get_as("/p", access).seen().header("x-auth-username"), Some("root"));

    // What is blacklisted from here on is dead too, whether it was listed there or not.
    for row in rows(&secrets, "refresh_tokens").iter().filter(|row| row["usable"] == json!(true)) {
        let token = text(row, "refresh");
        let blacklist = || world.post_json("/api/v1/auth/token/blacklist/", &json!({ "refresh": token })).status;
        assert_eq!((blacklist(), blacklist(), world.refresh(token).status), (200, 401, 401), "{row}");
    }
}

#[test]
fn every_token_in_circulation_lives_on_or_stays_dead() {
    every_token("db.sqlite3");
    every_token("dump.json");
}

#[test]
fn where_tokens_are_exchanged_those_in_circulation_are_too() {
    let (mut plan, clock) = Plan::django("rotate: true").timed();
    plan.environment.insert("DJANGO_SECRET".to_owned(), SIGNING_KEY.to_owned());
    let successor = Successor { world: World::plan(plan), clock };
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    for row in rows(&secrets(), "refresh_tokens") {
        let reply = successor.world.refresh(text(row, "refresh"));
        assert_eq!(reply.status == 200, row["usable"] == json!(true), "{row}: {reply:?}");
        assert_eq!(reply.json().get("refresh").is_some(), reply.status == 200, "{row}");
    }
}

#[test]
fn a_dump_with_natural_keys_serves_no_tokens_and_says_so() {
    let (successor, secrets) = (Successor::start(""), secrets());
    let report = successor.import(export("dump-natural.json").to_str().unwrap(), &options());
    assert!(report.remarks.iter().any(|remark| remark.contains("45 users have no ids")), "{:?}", report.remarks);
    assert_eq!(tally(&report, USERS).added, 45);
    for row in rows(&secrets, "refresh_tokens") {
        assert_eq!(successor.world.refresh(text(row, "refresh")).status, 401, "{row}");
    }
    assert_eq!(successor.world.get_as("/p", text(&secrets["access_token"], "access")).status, 401);
}

#[test]
fn an_older_schema_is_taken_over_too() {
    let (successor, secrets) = (Successor::of("older-schema.sqlite3", ""), secrets());
    let older = &secrets["older_schema"];
    let world = &successor.world;
    let phone = Authenticator::new(from_hex(text(&older["totp"][0], "key_hex")).unwrap());
    let users = rows(older, "users");
    let (user, admin) = (&users[0], &users[1]);
    let login = |otp: &str| successor.login_with(text(user, "username"), text(user, "password"), otp);
    assert_eq!(login(&phone.now(&successor.clock)), 200);
    assert_eq!(login(&phone.now(&successor.clock)), 401);
    assert_eq!(successor.login(text(admin, "username"), text(admin, "password")).status, 200);
    let admin = world.wait(world.stores.users.find_by_username("oldadmin")).unwrap().unwrap();
    assert!(admin.is_admin && admin.id.as_str() == "2", "{admin:?}");
    for row in rows(older, "api_keys") {
        assert_eq!(successor.key(text(row, "key")).status, 200, "{row}");
    }
    for row in rows(older, "static") {
        let recover = || successor.recover(text(user, "username"), text(user, "password"), text(row, "token"));
        assert_eq!((recover(), recover()), (200, 401), "{row}");
    }
    for row in rows(older, "tokens") {
        let status = if row["blacklisted"] == json!(true) { 401 } else { 200 };
        assert_eq!(world.refresh(text(row, "refresh")).status, status, "{row}");
    }
}
