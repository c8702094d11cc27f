//! What an operator does about second factors and the key that they are sealed under, beside a running server.

use portcullis::crypto::totp;
use portcullis::domain::clock::{Clock as _, SystemClock};
use portcullis::domain::second_factor::TotpParameters;
use portcullis::domain::secret::Secret;
use serde_json::{Value, json};

use crate::harness::place::{CONFIGURATION, configuration};
use crate::harness::{Client, PASSWORD, Place, Reply, Server, Upstream, eventually};

pub struct Office {
    pub upstream: Upstream,
    pub place: Place,
    pub server: Server,
}

impl Office {
    fn open() -> Self {
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), "");
        let server = place.serve();
        Self { upstream, place, server }
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {token}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &bearer)];
        let path = format!("/api/v1/auth/{path}");
        let reply = Client::connect(self.server.http).request("POST", &path, &headers, body.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Enrols `name`, who has signed in.
    fn enrol(&self, name: &str) -> Enrolled {
        let (access, _) = self.server.tokens(name);
        let setup = self.post("2fa/totp/setup/", &access, &json!({}));
        let hex = setup["secret"].as_str().unwrap();
        let secret = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let secret = Secret::new(secret);
        let enabled = self.post("2fa/totp/verify/", &access, &json!({ "token": code_of(&secret, present_step()) }));
        let recovery_codes = serde_json::from_value(enabled["recovery_codes"].clone()).unwrap();
        Enrolled { access, secret, recovery_codes }
    }

    fn sign_in(&self, name: &str) -> Reply {
        self.server.sign_in(name, PASSWORD)
    }

    /// Recovery codes are digests: only a one-time code opens the secret, and so does one that is wrong.
    fn wrong_code(&self, name: &str, secret: &Secret<Vec<u8>>) -> (u16, String) {
        let near: Vec<String> = (-10..=10).map(|off| code_of(secret, present_step() + off)).collect();
        let wrong = (0..100).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap();
        let body = json!({ "username": name, "password": PASSWORD, "otp": wrong });
        let reply = self.server.post("/api/v1/auth/token/", &body);
        (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    fn configure(&mut self, secrets: &str) {
        let text = configuration("127.0.0.1:0", "127.0.0.1:0", self.upstream.address(), "");
        let present = "secrets: { master_key: { file: data/master.key } }";
        assert!(text.contains(present));
        self.place.write(CONFIGURATION, &text.replace(present, secrets));
    }
}

struct Enrolled {
    access: String,
    secret: Secret<Vec<u8>>,
    recovery_codes: Vec<String>,
}

fn present_step() -> i64 {
    SystemClock.now().as_secs() / 30
}

fn code_of(secret: &Secret<Vec<u8>>, step: i64) -> String {
    totp::code(secret, &TotpParameters::default(), step).expose().clone()
}

#[test]
fn a_second_factor_is_taken_away_from_who_has_lost_it() {
    is_taken_away(&Office::open());
}

pub fn is_taken_away(office: &Office) {
    office.place.create_user("anna");
    let access = office.enrol("anna").access;
    assert_eq!((office.sign_in("anna").status, office.server.get_with_token("/", &access).status), (401, 200));
    let said = office.place.run(&["users", "reset-2fa", "anna"]);
    assert_eq!(said.success().stdout, "The second factor of user anna is gone, and all sessions have ended.\n");
    eventually("the sessions to end", || (office.server.get_with_token("/", &access).status == 401).then_some(()));
    let (access, _) = office.server.tokens("anna");
    // Again is no fault, and by the id as well.
    let user = office.place.json(&["users", "list"], "")[0].clone();
    let reset = office.place.json(&["users", "reset-2fa", user["id"].as_str().unwrap()], "");
    assert_eq!(reset, user);
    eventually("the sessions to end", || (office.server.get_with_token("/", &access).status == 401).then_some(()));
    let none = office.place.run(&["users", "reset-2fa", "anna"]);
    assert_eq!(none.success().stdout, "User anna had no second factor; all sessions have ended.\n");
    let unknown = office.place.run(&["users", "reset-2fa", "nobody"]);
    assert_eq!(unknown.refusal(), "there is no user named or numbered `nobody`");
}

#[test]
fn the_master_key_is_replaced_as_the_configuration_says() {
    let mut office = Office::open();
    office.place.create_user("anna");
    let Enrolled { access, secret, recovery_codes: codes } = office.enrol("anna");
    let key = std::fs::read_to_string(office.place.path("data/master.key")).unwrap();
    let works = |office: &Office, code: &str| {
        assert_eq!(office.server.get_with_token("/", &access).status, 200);
        assert_eq!(office.wrong_code("anna", &secret), (401, "second_factor_invalid".to_owned()));
        let reply = office.sign_in("anna");
        let body = json!({ "challenge": reply.json()["challenge"], "recovery_code": code });
        assert_eq!(office.server.post("/api/v1/auth/token/challenge/", &body).status, 200);
    };
    works(&office, &codes[0]);

    // A new key, and nothing that opens what there is.
    office.place.write("new.key", &format!("{}\n", "0123456789abcdef".repeat(4)));
    office.configure("secrets: { master_key: { file: new.key } }");
    let said = office.place.run(&["secrets", "rotate"]);
    let refusal = said.refusal();
    for part in ["signing key ", "second factor ", "sealed under another master key", "secrets.previous_master_keys"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert!(office.place.run(&["serve"]).refusal().contains("sealed under another master key"));
    works(&office, &codes[1]);

    office.configure("secrets: { master_key: { file: new.key }, previous_master_keys: [{ file: data/master.key }] }");
    office.server = office.place.serve();
    works(&office, &codes[2]);
    let rotated = office.place.json(&["secrets", "rotate"], "");
    let id = rotated["master_key_id"].as_str().unwrap().to_owned();
    let tally = |resealed: u64, current: u64| json!({ "resealed": resealed, "current": current });
    let expected = |signing: Value, factors: Value| json!({ "master_key_id": id, "signing_keys": signing, "second_factors": factors, "mail": tally(0, 0) });
    assert_eq!(rotated, expected(tally(2, 0), tally(1, 0)));
    works(&office, &codes[3]);
    assert_eq!(office.place.json(&["secrets", "rotate"], ""), expected(tally(0, 2), tally(0, 1)));
    let said = office.place.run(&["secrets", "rotate"]);
    let text = &said.success().stdout;
    assert!(text.contains(&id) && text.contains("signing keys: 0 sealed anew, 2 already were"), "{text}");
    assert!(!text.contains(key.trim()), "{text}");

    std::fs::remove_file(office.place.path("data/master.key")).unwrap();
    assert!(office.place.run(&["serve"]).refusal().contains("data/master.key"), "it is named, so it must be there");
    office.configure("secrets: { master_key: { file: new.key } }");
    office.server = office.place.serve();
    works(&office, &codes[4]);
}
