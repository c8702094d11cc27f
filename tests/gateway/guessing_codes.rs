//! Guessing at second factors: counted over all ways to show one, and apart from the password.

use std::sync::Arc;

use portcullis::domain::clock::{Clock as _, ManualClock};
use portcullis::domain::secret::Secret;
use serde_json::json;

use crate::guessing::{SECOND, TOKEN, WRONG, fail, sign_in, wait_of, world};
use crate::harness::{PASSWORD, Reply, World, operator};

const CHALLENGE: &str = "/api/v1/auth/token/challenge/";

/// What the authenticator of a user shows, by hand (RFC 6238).
struct Authenticator {
    key: Vec<u8>,
    clock: Arc<ManualClock>,
}

impl Authenticator {
    /// Set up and confirmed by a user who is signed in.
    fn enrol(world: &World, clock: &Arc<ManualClock>, access: &str) -> Self {
        let bearer = format!("Bearer {access}");
        let post = |path: &str, body: &str| {
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
            let reply = world.request("POST", &format!("/api/v1/auth/2fa/totp/{path}/"), &headers, body.as_bytes());
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.json()
        };
        let secret = post("setup", "{}")["secret"].as_str().unwrap().to_owned();
        let byte = |index: usize| u8::from_str_radix(&secret[index..index + 2], 16).unwrap();
        let key = (0..secret.len()).step_by(2).map(byte).collect();
        let authenticator = Self { key, clock: Arc::clone(clock) };
        post("verify", &json!({ "token": authenticator.code() }).to_string());
        authenticator
    }

    /// The code of the next step, which was not shown before.
    fn next(&self) -> String {
        self.clock.advance(30 * SECOND);
        self.code()
    }

    fn code(&self) -> String {
        use aws_lc_rs::hmac;

        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.key);
        let tag = hmac::sign(&key, &(self.clock.now().as_secs() / 30).to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[19] & 15);
        let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// One that is not right at any time near.
    fn wrong(&self) -> String {
        let right: u32 = self.code().parse().unwrap();
        format!("{:06}", (right + 500_000) % 1_000_000)
    }
}

fn challenge(world: &World) -> String {
    let reply = sign_in(world, "anna", PASSWORD);
    assert_eq!((reply.status, reply.code().as_str()), (401, "mfa_required"), "{reply:?}");
    reply.json()["challenge"].as_str().unwrap().to_owned()
}

fn answer(world: &World, challenge: &str, otp: &str) -> Reply {
    world.post_json(CHALLENGE, &json!({"challenge": challenge, "otp": otp}))
}

fn enrolled() -> (World, Arc<ManualClock>, Authenticator) {
    let (world, clock) = world("");
    let (access, _) = world.sign_in("anna");
    let authenticator = Authenticator::enrol(&world, &clock, &access);
    (world, clock, authenticator)
}

#[test]
fn five_codes_are_free_over_all_challenges_and_whoever_waits_loses_none() {
    let (world, clock, authenticator) = enrolled();
    let first = challenge(&world);
    for _ in 0..3 {
        assert_eq!(answer(&world, &first, &authenticator.wrong()).code(), "second_factor_invalid");
    }
    let second = challenge(&world);
    for _ in 0..2 {
        assert_eq!(answer(&world, &second, &authenticator.wrong()).code(), "second_factor_invalid");
    }
    // The password is asked for as before; what it gives waits with the others.
    let third = challenge(&world);
    for challenge in [&first, &second, &third] {
        for _ in 0..6 {
            assert_eq!(wait_of(&answer(&world, challenge, &authenticator.code())), 10);
        }
    }
    let reply = world.post_json(TOKEN, &json!({"username": "anna", "password": PASSWORD, "otp": authenticator.code()}));
    assert_eq!(wait_of(&reply), 10, "over all ways to show one");
    let wrong = world.post_json(TOKEN, &json!({"username": "anna", "password": WRONG, "otp": authenticator.code()}));
    assert_eq!(wrong.code(), "no_active_account");
    clock.advance(10 * SECOND);
    let right = answer(&world, &third, &authenticator.next());
    assert_eq!(right.status, 200, "{right:?}");
    assert_eq!(answer(&world, &third, &authenticator.next()).code(), "challenge_invalid", "it is used up");
    for _ in 0..5 {
        assert_eq!(answer(&world, &first, &authenticator.wrong()).status, 401, "and five are free again");
    }
}

#[test]
fn a_challenge_takes_five_codes_and_is_gone() {
    let (world, clock, authenticator) = enrolled();
    let ticket = challenge(&world);
    for number in 0..5 {
        assert_eq!(answer(&world, &ticket, &authenticator.wrong()).code(), "second_factor_invalid", "{number}");
    }
    clock.advance(10 * SECOND);
    let used_up = answer(&world, &ticket, &authenticator.next());
    assert_eq!((used_up.status, used_up.code().as_str()), (401, "challenge_invalid"));
    let junk = answer(&world, "junk", "123456");
    assert_eq!(used_up.comparable(), junk.comparable(), "as one that never was");
    // Nor does one survive its time, or a change of the password.
    let ticket = challenge(&world);
    clock.advance(300 * SECOND);
    assert_eq!(answer(&world, &ticket, &authenticator.next()).comparable(), junk.comparable());
    let ticket = challenge(&world);
    let new = Secret::new("purple monkey dishwasher".to_owned());
    world.wait(world.administration.users.set_password("anna", new, &operator())).unwrap();
    assert_eq!(answer(&world, &ticket, &authenticator.next()).comparable(), junk.comparable());
}

#[test]
fn a_right_password_is_no_wrong_one_because_its_code_was() {
    let (world, _, authenticator) = enrolled();
    for _ in 0..4 {
        let body = json!({"username": "anna", "password": PASSWORD, "otp": authenticator.wrong()});
        assert_eq!(world.post_json(TOKEN, &body).code(), "second_factor_invalid");
    }
    fail(&world, "anna", 9);
    let body = json!({"username": "anna", "password": PASSWORD, "otp": authenticator.next()});
    let reply = world.post_json(TOKEN, &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    fail(&world, "anna", 10);
    wait_of(&sign_in(&world, "anna", PASSWORD));
}
